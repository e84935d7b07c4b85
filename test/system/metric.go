package system

import (
	"bufio"
	"strconv"
	"strings"
	"testing"
)

// Metric is the sum of a metric's samples whose labels contain label, as a process shows them now.
func Metric(t testing.TB, opsURL, name, label string) int64 {
	t.Helper()
	_, body, err := Get(opsURL+"/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") || !strings.Contains(line, label) {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("metric %s: %v", line, err)
		}
		sum += v
	}
	return int64(sum)
}
