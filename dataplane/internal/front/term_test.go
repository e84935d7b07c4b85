package front_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// terms adds terms to the rules in force.
func (h *house) terms(terms ...decision.Term) {
	h.Helper()
	s, _ := h.rules.Current()
	e := decision.Edit(s)
	for _, t := range terms {
		e.SetTerm(&t)
	}
	next, err := e.Build(decision.Epoch{Generation: 1, Number: s.Epoch().Number + 1})
	if err != nil {
		h.Fatal(err)
	}
	h.rules.set(next, decision.AgeFresh)
}

func TestDeny_ByATermNamesTheTerm(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	all := decision.Subject{Kind: decision.SubjectAll}
	h.terms(
		decision.Term{Key: "no-post", Subject: all, When: `request.method == "POST"`, Effect: decision.EffectBlock},
		decision.Term{Key: "no-head", Subject: all, When: `request.query["raw"] == "yes"`, Effect: decision.EffectBlock, Priority: 9},
		decision.Term{Key: "later", Subject: all, When: `"x-batch" in request.headers`, Effect: decision.EffectThrottle, RetryAfter: 1500 * time.Millisecond},
		decision.Term{Key: "told", Subject: all, When: `"x-told" in request.headers`, Effect: decision.EffectBlock, Message: "Ask sales."},
	)
	post := func(r *http.Request) { r.Method = http.MethodPost }
	for _, c := range []struct {
		path   string
		change func(*http.Request)
		code   decision.Code
		status int
		policy string
		detail string
		retry  string
	}{
		{"/hello", post, decision.BlockedByTerm, 403, "no-post", "no-post", ""},
		{"/hello?raw=yes", header("X-Y", "1"), decision.BlockedByTerm, 403, "no-head", "no-head", ""},
		{"/hello", header("X-Y", "1"), decision.TermError, 403, "no-head", "no-head", ""},
		// What the query says to an upstream that splits at semicolons, or lets a wrong escape pass, is not known here.
		{"/hello?raw=no&x;raw=yes", header("X-Y", "1"), decision.TermError, 403, "no-head", "no-head", ""},
		{"/hello?raw=no&raw=%zz", header("X-Y", "1"), decision.TermError, 403, "no-head", "no-head", ""},
		{"/hello?raw=no", header("x-batch", "1"), decision.ThrottledByTerm, 429, "later", "Retry after 2 seconds", "2"},
		{"/hello?raw=no", header("X-Told", "1"), decision.BlockedByTerm, 403, "told", "Ask sales.", ""},
	} {
		res := h.get("pro", c.path, c.change)
		p := res.problem(t)
		if res.StatusCode != c.status || p["code"] != string(c.code) || p["policy"] != c.policy || !strings.Contains(p["detail"].(string), c.detail) ||
			p["limit"] != nil || p["remaining"] != nil || p["reset_at"] != nil || res.Header.Get("Retry-After") != c.retry {
			t.Errorf("%s %s: %d %v %s", c.code, c.path, res.StatusCode, res.Header, res.body)
		}
		if d := h.ledger.lastDenial(t); d.Code != c.code || d.Policy != c.policy || d.Status != c.status || d.Charge.Units != 0 {
			t.Errorf("%s: logged %+v", c.code, d)
		}
	}
	if res := h.get("pro", "/hello?raw=no"); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}

// What the term makes a request cost is what is logged, and what the lender is asked for.
func TestForward_CostOfATermIsCharged(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	h.bank.mu.Lock()
	h.bank.pools["requests"], h.bank.pools["free-rate"] = 1000, 100
	h.bank.mu.Unlock()
	h.terms(decision.Term{Key: "dear", Subject: decision.Subject{Kind: decision.SubjectRoute, ID: "hello"}, When: "true", Effect: decision.EffectCost, Cost: 30})
	if res := h.get("free", "/hello"); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	if s := <-h.ledger.settling; s.Intent.Charge.Units != 30 {
		t.Errorf("charged %+v", s.Intent.Charge)
	}
}

// A key must not be guessed from what a term answers.
func TestDeny_TermsNeverSeeCredentials(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	h.terms(decision.Term{
		Key: "probe", Subject: decision.Subject{Kind: decision.SubjectAll}, Effect: decision.EffectBlock,
		When: `request.headers.exists(h, request.headers[h].contains("tg_live") || request.headers[h].contains("session"))`,
	})
	if res := h.get("pro", "/hello", header("Cookie", "session=1")); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	if res := h.get("pro", "/hello", header("X-Other", "session")); res.StatusCode != 403 {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}
