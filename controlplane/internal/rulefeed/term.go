package rulefeed

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/internal/licensing"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func term(t *licensing.Term) *rulesv1.Term {
	out := &rulesv1.Term{Key: t.Key, On: t.On, When: t.When, Effect: termEffects[t.Effect], Priority: t.Priority, Message: t.Message}
	if t.RetryAfter > 0 {
		out.RetryAfter = durationpb.New(t.RetryAfter)
	}
	if t.Cost != nil {
		out.Cost = *t.Cost
	}
	return out
}

var termEffects = map[licensing.TermEffect]rulesv1.TermEffect{
	licensing.TermBlock:    rulesv1.TermEffect_TERM_EFFECT_BLOCK,
	licensing.TermThrottle: rulesv1.TermEffect_TERM_EFFECT_THROTTLE,
	licensing.TermForward:  rulesv1.TermEffect_TERM_EFFECT_FORWARD,
	licensing.TermCost:     rulesv1.TermEffect_TERM_EFFECT_COST,
}
