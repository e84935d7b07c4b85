package metering

import (
	"fmt"

	"tollgate/dataplane/decision"
)

// Step is one step of the decision order and how it went.
type Step struct {
	Step decision.Step
	// Result is "passed", "skipped" (not reached), or the decision's code.
	Result string
	// Source is what the result rests on, like "route hello" or "plan free@3".
	Source string
}

// Results of the steps before and after the one that decided.
const (
	Passed  = "passed"
	Skipped = "skipped"
)

// Trace explains a decision: every step of the order, up to the one where its code arose, passed; the rest
// was never reached. It is a pure function, so an old decision is explained as it was made and not by today's rules.
func Trace(d *Decision) []Step {
	decided := decision.ReasonOf(d.Code).Step
	trace := make([]Step, 0, len(decision.Steps()))
	result := Passed
	for _, s := range decision.Steps() {
		step := Step{Step: s, Result: result}
		if s == decided {
			step.Result = string(d.Code)
			result = Skipped
		}
		if step.Result != Skipped {
			step.Source = source(d, s)
		}
		trace = append(trace, step)
	}
	return trace
}

func source(d *Decision, s decision.Step) string {
	plan := named("plan", d.Plan)
	if d.Plan != "" {
		plan = fmt.Sprintf("plan %s@%d", d.Plan, d.PlanVersion)
	}
	switch s {
	case decision.StepRead:
		return fmt.Sprintf("epoch %d.%d", d.Epoch.Generation, d.Epoch.Number)
	case decision.StepRoute:
		if d.Route == "" {
			return d.Method + " " + d.Path
		}
		return named("route", d.Route)
	case decision.StepIdentify:
		return named("credential", d.Credential)
	case decision.StepLicense:
		return named("license", d.License)
	case decision.StepFeatures:
		return plan
	case decision.StepTerms:
		if d.Policy != "" && decision.ReasonOf(d.Code).Step == s {
			return "term " + d.Policy
		}
		return fmt.Sprintf("epoch %d.%d", d.Epoch.Generation, d.Epoch.Number)
	case decision.StepRates, decision.StepQuotas:
		if d.Policy != "" && decision.ReasonOf(d.Code).Step == s {
			return "policy " + d.Policy + " of " + plan
		}
		return plan
	case decision.StepForward:
		if d.UpstreamStatus != 0 {
			return fmt.Sprintf("upstream status %d", d.UpstreamStatus)
		}
		return named("node", d.Node)
	default:
		return ""
	}
}

func named(kind, name string) string {
	if name == "" {
		return ""
	}
	return kind + " " + name
}
