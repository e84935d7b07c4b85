package decision_test

import (
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// Fail-open where that is wanted, and fail-closed where that is: by each route's policy, at each age.
func TestI8_EachRouteDoesWhatItsPolicySays(t *testing.T) {
	t.Parallel()
	ages := []decision.Age{decision.AgeFresh, decision.AgeStale, decision.AgeGrace, decision.AgeBlock, decision.AgeUnknown}
	const ok, no = decision.OK, decision.RulesUnavailable
	for _, tt := range []struct {
		path   string
		policy decision.OnStale
		want   [5]decision.Code
	}{
		{"/free", decision.StaleBlock, [5]decision.Code{ok, ok, ok, no, no}},
		{"/free", decision.StaleServe, [5]decision.Code{ok, ok, ok, ok, no}},
		{"/free", decision.StaleBlockAtGrace, [5]decision.Code{ok, ok, no, no, no}},
		{"/nowhere", decision.StaleServe, [5]decision.Code{decision.RouteUnknown, decision.RouteUnknown, decision.RouteUnknown, no, no}},
	} {
		e := decision.Edit(newWorld(nil).state(t))
		e.SetRoute(&decision.Route{Key: "free", Path: "/free", OnStale: tt.policy})
		s, err := e.Build(decision.Epoch{Generation: 1, Number: 8})
		if err != nil {
			t.Fatal(err)
		}
		for i, age := range ages {
			r := get(tt.path)
			r.Age = age
			if v := decide(s, accounts{}, r, noon); v.Code != tt.want[i] || (v.Outcome == decision.Forward) != (tt.want[i] == ok) {
				t.Errorf("%s, policy %d, %s: %s, want %s", tt.path, tt.policy, age, describe(v), tt.want[i])
			}
			if serves := age < decision.AgeBlock || age == decision.AgeBlock && tt.policy == decision.StaleServe; s.ServesAt(age) != serves {
				t.Errorf("policy %d, %s: the state serves: %v", tt.policy, age, !serves)
			}
			// No policy lets old rules forward what they would not when they were fresh.
			r.KeyHash = [32]byte{2}
			if v := decide(s, accounts{}, r, noon); v.Outcome == decision.Forward {
				t.Errorf("%s, policy %d, %s: %s with a wrong key", tt.path, tt.policy, age, describe(v))
			}
		}
	}
}

// In grace and after it, units that were lent are spent, and no others are asked for.
func TestI8_InGraceOnlyLentUnitsAreSpent(t *testing.T) {
	t.Parallel()
	w := newWorld(&decision.Quota{Limit: 100, Period: decision.Month, Hard: true})
	s, a := w.state(t), accounts{}
	r := get("/calls")
	decide(s, a, r, noon)
	for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 3, Units: 3}, time.Minute, decision.At(noon)) {
		grant(a["lic"], ask, 0, 3, noon)
	}
	r.Age = decision.AgeGrace
	for range 3 {
		if v := decide(s, a, r, noon); v.Outcome != decision.Forward || v.Renew {
			t.Fatalf("%s, renew %v", describe(v), v.Renew)
		}
	}
	v := decide(s, a, r, noon)
	if v.Code != decision.LimitsUnavailable || v.Cold {
		t.Errorf("%s", describe(v))
	}
	if asks := a["lic"].Asks("lic", decision.Waiting{}, -1, decision.At(noon)); len(asks) != 0 {
		t.Errorf("asked for %+v", asks)
	}
	// When the rules are fresh again, it is asked for as ever.
	r.Age = decision.AgeFresh
	if v := decide(s, a, r, noon); !v.Cold {
		t.Errorf("%s", describe(v))
	}
}
