package ruleset_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// A term that a node cannot compile is taken with the rest of its change set, and denies whom it is for: it is never left out.
func TestMapping_TermsAreEnforcedAndRemoved(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	term := func(on, when string, effect rulesv1.TermEffect) *rulesv1.Record {
		return &rulesv1.Record{Value: &rulesv1.Record_Term{Term: &rulesv1.Term{
			Key: "term", On: on, When: when, Effect: effect, Priority: 3, RetryAfter: durationpb.New(7 * time.Second), Cost: 4, Message: "no",
		}}}
	}
	throttle, cost := rulesv1.TermEffect_TERM_EFFECT_THROTTLE, rulesv1.TermEffect_TERM_EFFECT_COST
	s.publish(1, everything()...)
	for i, tt := range []struct {
		record *rulesv1.Record
		code   decision.Code
		cost   int64
	}{
		{term("plan:plan", `request.path == "/r/1"`, throttle), decision.ThrottledByTerm, 3},
		{term("plan:other", `request.path == "/r/1"`, throttle), decision.LimitsUnavailable, 3},
		{term("all", `request.path == "/r/1"`, cost), decision.LimitsUnavailable, 4},
		{term("", `request.path.newFunction()`, cost), decision.TermError, 3},
		{removal(rulesv1.Kind_KIND_TERM, "term"), decision.LimitsUnavailable, 3},
	} {
		s.publish(uint64(i)+2, tt.record)
		n.enforces(1, uint64(i)+2)
		state, _ := n.Current()
		r := decision.Request{Method: "GET", Host: "api.example", Path: "/r/1", Presented: decision.KeyCredential, KeyID: "key"}
		var v decision.Verdict
		decision.Decide(&v, state, &r, oneAccount{&decision.Account{}}, begin.AddDate(0, 1, 0))
		if v.Code != tt.code || v.Cost != tt.cost {
			t.Errorf("%v: decided %s, for %d", tt.record, v.Code, v.Cost)
		}
		if v.Code == decision.ThrottledByTerm && (v.Policy != "term" || v.RetryAfter != 7*time.Second || v.Message != "no") {
			t.Errorf("policy %q, retry after %s, message %q", v.Policy, v.RetryAfter, v.Message)
		}
	}
}
