// Package docs holds tests that the documentation is true.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tollgate/dataplane/decision"
)

func TestDocs_EveryReasonStandsInTheTableAsItIs(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/reference/reasons.md")
	rows := strings.Count(text, "\n| `")
	if want := len(decision.Reasons()); rows != want {
		t.Errorf("the table has %d rows, there are %d codes", rows, want)
	}
	for _, r := range decision.Reasons() {
		status := strconv.Itoa(r.Status)
		if r.Status == 0 {
			status = "the upstream's"
		}
		row := fmt.Sprintf("| `%s` | %s | %s |", r.Code, r.Outcome, status)
		if !strings.Contains(text, row) {
			t.Errorf("no row %q", row)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

func TestDocs_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	files, err := filepath.Glob(filepath.Join(root, "docs", "*", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(append(files, more...), filepath.Join(root, "README.md"), filepath.Join(root, "web", "README.md"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(f), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", f, m[1])
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
