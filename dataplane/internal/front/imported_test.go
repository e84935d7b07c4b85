package front_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestI12_ImportedKeyForwardsAndStaysHere(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	h := setup(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Clone() })
	key := h.keys["imported"]
	for name, send := range map[string]func(*http.Request){
		"bearer":    header("Authorization", "Bearer "+key),
		"X-Api-Key": header("X-Api-Key", key),
	} {
		res := h.get("", "/free", send)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", name, res.StatusCode, res.body)
		}
		seen := <-got
		if seen.Get("Tollgate-License") != "lic_pro" {
			t.Errorf("%s: %v", name, seen)
		}
		for field, values := range seen {
			if strings.Contains(strings.Join(values, " "), key) {
				t.Errorf("%s: the upstream got the key in %s", name, field)
			}
		}
	}
}
