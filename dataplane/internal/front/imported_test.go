package front_test

import (
	"net/http"
	"strings"
	"testing"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
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

// While a request waits for the lender its key may be imported anew, under another id: it is identified by the rules that decide.
func TestI6_AfterWaitingTheKeyIsReadByTheRulesThatDecide(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	const key = "sk_former_0123456789"
	hash := apikey.HashImported(pepper, apikey.Sum(key))
	before, _ := h.rules.Current()
	build := func(number uint64, change func(*decision.Editor)) *decision.State {
		e := decision.Edit(before)
		change(e)
		s, err := e.Build(decision.Epoch{Generation: 1, Number: number})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before = build(8, func(e *decision.Editor) {
		e.SetCredential(&decision.Credential{ID: "key_first", License: "lic_free", Hash: hash, Imported: true})
	})
	after := build(9, func(e *decision.Editor) {
		e.RemoveCredential("key_first")
		e.SetCredential(&decision.Credential{ID: "key_second", License: "lic_free", Hash: hash, Imported: true})
	})
	h.rules.set(before, decision.AgeFresh)
	h.bank.mu.Lock()
	h.bank.waiting = func() { h.rules.set(after, decision.AgeFresh) }
	h.bank.mu.Unlock()
	if res := h.get("", "/hello", header("X-Api-Key", key)); res.StatusCode != http.StatusOK {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}
