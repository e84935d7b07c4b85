package front_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestI12_ImportedKeyForwardsAndStaysHere(t *testing.T) {
	t.Parallel()
	var seen http.Header
	h := setup(t, func(w http.ResponseWriter, r *http.Request) { seen = r.Header.Clone() })
	key := h.keys["imported"]
	for name, send := range map[string]func(*http.Request){
		"bearer":    header("Authorization", "Bearer "+key),
		"X-Api-Key": header("X-Api-Key", key),
	} {
		seen = nil
		res := h.get("", "/free", send)
		if res.StatusCode != http.StatusOK || seen.Get("Tollgate-License") != "lic_pro" {
			t.Fatalf("%s: %d %s", name, res.StatusCode, res.body)
		}
		for field, values := range seen {
			if strings.Contains(strings.Join(values, " "), key) {
				t.Errorf("%s: the upstream got the key in %s", name, field)
			}
		}
	}
}
