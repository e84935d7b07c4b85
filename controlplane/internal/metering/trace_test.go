package metering_test

import (
	"testing"

	"tollgate/controlplane/internal/metering"
	"tollgate/dataplane/decision"
)

// Every code of the table of reasons explains itself: the steps before the one where it arises passed, and nothing after it was reached.
func TestTrace_StopsAtTheStepWhereTheCodeArose(t *testing.T) {
	t.Parallel()
	for _, r := range decision.Reasons() {
		d := metering.Decision{
			Code: r.Code, Outcome: r.Outcome, Plan: "free", PlanVersion: 3, License: "lic_1", Credential: "key_1", Route: "hello",
			Policy: "free-rate", Node: "node-1",
		}
		trace := metering.Trace(&d)
		if len(trace) != len(decision.Steps()) {
			t.Fatalf("%s: %d steps", r.Code, len(trace))
		}
		want := metering.Passed
		for i, s := range trace {
			result := want
			if s.Step == r.Step {
				result, want = string(r.Code), metering.Skipped
			}
			if s.Step != decision.Steps()[i] || s.Result != result {
				t.Errorf("%s: step %d is %s %s, want %s %s", r.Code, i, s.Step, s.Result, decision.Steps()[i], result)
			}
			if (s.Source == "") != (s.Result == metering.Skipped) {
				t.Errorf("%s: step %s (%s) rests on %q", r.Code, s.Step, s.Result, s.Source)
			}
		}
	}
}

func TestTrace_SaysWhatADenialRestsOn(t *testing.T) {
	t.Parallel()
	d := metering.Decision{Code: decision.RateLimited, Plan: "free", PlanVersion: 3, Policy: "free-rate"}
	for _, s := range metering.Trace(&d) {
		if s.Step == decision.StepRates && s.Source != "policy free-rate of plan free@3" {
			t.Errorf("rates rest on %q", s.Source)
		}
	}
	unrouted := metering.Decision{Code: decision.RouteUnknown, Method: "GET", Path: "/nowhere"}
	if got := metering.Trace(&unrouted)[1]; got.Source != "GET /nowhere" {
		t.Errorf("route rests on %q", got.Source)
	}
}
