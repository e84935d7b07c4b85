package ruleset

import (
	"fmt"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

var termEffects = map[rulesv1.TermEffect]decision.Effect{
	rulesv1.TermEffect_TERM_EFFECT_BLOCK:    decision.EffectBlock,
	rulesv1.TermEffect_TERM_EFFECT_THROTTLE: decision.EffectThrottle,
	rulesv1.TermEffect_TERM_EFFECT_FORWARD:  decision.EffectForward,
	rulesv1.TermEffect_TERM_EFFECT_COST:     decision.EffectCost,
}

// term refuses what cannot be carried out. A condition that cannot be compiled can: it denies.
func term(t *rulesv1.Term) (*decision.Term, error) {
	subject, err := decision.ParseSubject(t.GetOn())
	if err != nil {
		return nil, fmt.Errorf("term %s is on %w", t.GetKey(), err)
	}
	effect, ok := termEffects[t.GetEffect()]
	if !ok {
		return nil, fmt.Errorf("term %s has effect %s", t.GetKey(), t.GetEffect())
	}
	d := &decision.Term{
		Key: t.GetKey(), Subject: subject, When: t.GetWhen(), Effect: effect, Priority: t.GetPriority(),
		RetryAfter: t.GetRetryAfter().AsDuration(), Cost: t.GetCost(), Message: t.GetMessage(),
	}
	if d.Cost < 0 || d.RetryAfter < 0 {
		return nil, fmt.Errorf("term %s costs %d, retry after %s", d.Key, d.Cost, d.RetryAfter)
	}
	return d, nil
}

// broken says once of each term that it cannot be compiled.
func (f *Follower) broken(s *decision.State) {
	now := map[string]string{}
	s.BrokenTerms(func(t *decision.Term, err error) {
		now[t.Key] = t.When
		if f.brokenTerms[t.Key] != t.When {
			f.log.Error("a term cannot be compiled: the requests that it is for are denied", "term", t.Key, "on", t.Subject.String(), "error", err)
		}
	})
	f.brokenTerms = now
}
