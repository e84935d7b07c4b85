package licensing

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tollgate/dataplane/decision"
)

// TermEffect is what a term does with a request for which it holds.
type TermEffect string

// The effects.
const (
	TermBlock    TermEffect = "block"
	TermThrottle TermEffect = "throttle"
	TermForward  TermEffect = "forward" // Later terms are not looked at.
	TermCost     TermEffect = "cost"    // The request takes other units.
)

func (e TermEffect) denies() bool { return e == TermBlock || e == TermThrottle }

// Term is a custom rule: what happens to a subject's requests for which a condition holds.
type Term struct {
	Key         string
	DisplayName string
	On          string // "all", "plan:KEY", "license:ID", "customer:ID" or "route:KEY"; empty: all.
	When        string // CEL: see decision.CheckCondition.
	Effect      TermEffect
	Priority    int32         // Lowest first; ties go by key.
	RetryAfter  time.Duration // Of TermThrottle; 0 there: a second.
	Cost        *int64        // Of TermCost, and required there.
	Message     string        // For the client that is denied.
	Meta
}

const (
	defaultRetryAfter = time.Second
	maxRetryAfter     = 24 * time.Hour
	// maxTermsOn bounds the terms of one subject: a request looks at those of five.
	maxTermsOn = 32
)

// Validate checks what callers set, but not that the subject exists.
func (t *Term) Validate() error {
	if err := checkKey("key", t.Key); err != nil {
		return err
	}
	if err := checkText("display_name", t.DisplayName, 200); err != nil {
		return err
	}
	if err := checkText("on", t.On, 128); err != nil {
		return err
	}
	if _, err := decision.ParseSubject(t.On); err != nil {
		return invalid("on", "%s", err)
	}
	if err := t.validateEffect(); err != nil {
		return err
	}
	if err := checkText("message", t.Message, 500); err != nil {
		return err
	}
	if t.Message != "" && !t.Effect.denies() {
		return invalid("message", "a term of effect %s denies nobody", t.Effect)
	}
	return t.validateWhen()
}

func (t *Term) validateEffect() error {
	switch t.Effect {
	case TermBlock, TermThrottle, TermForward, TermCost:
	case "":
		return invalid("effect", "is required: block, throttle, forward or cost")
	default:
		return invalid("effect", "%q is not an effect: use block, throttle, forward or cost", t.Effect)
	}
	switch {
	case t.RetryAfter == 0:
	case t.Effect != TermThrottle:
		return invalid("retry_after", "is of a throttle, and this is a %s", t.Effect)
	case t.RetryAfter < 0 || t.RetryAfter > maxRetryAfter || t.RetryAfter%time.Millisecond != 0:
		return invalid("retry_after", "is %s: has to be whole milliseconds, %s at most", t.RetryAfter, maxRetryAfter)
	}
	switch {
	case t.Effect == TermCost && t.Cost == nil:
		return invalid("cost", "is required: the units that the request takes")
	case t.Cost == nil:
	case t.Effect != TermCost:
		return invalid("cost", "is of effect cost, and this is a %s", t.Effect)
	case *t.Cost < 0 || *t.Cost > MaxCost:
		return invalid("cost", "is %d: has to be from 0 to %d", *t.Cost, MaxCost)
	}
	return nil
}

func (t *Term) validateWhen() error {
	if t.When == "" {
		return invalid("when", "is required: a condition, or true")
	}
	if len(t.When) > decision.MaxCondition {
		return invalid("when", "is longer than %d bytes", decision.MaxCondition)
	}
	if !utf8.ValidString(t.When) {
		return invalid("when", "is not valid UTF-8")
	}
	// Lines may be broken. CEL takes other control characters within quotes; Postgres takes no NUL, terminals none of them.
	if strings.ContainsFunc(t.When, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return invalid("when", "has control characters other than line breaks and tabs")
	}
	err := decision.CheckCondition(t.When)
	if _, ok := errors.AsType[*decision.ConditionError](err); ok {
		return invalid("when", "%s", err)
	}
	return err
}

func (t *Term) normalize() {
	if t.On == "" {
		t.On = "all"
	}
	if t.Effect == TermThrottle && t.RetryAfter == 0 {
		t.RetryAfter = defaultRetryAfter
	}
}

func (t *Term) units() int64 {
	if t.Cost == nil {
		return -1
	}
	return *t.Cost
}

// sameRule compares what nodes have to know. Both terms are normalized.
func (t *Term) sameRule(o *Term) bool {
	return t.On == o.On && t.When == o.When && t.Effect == o.Effect && t.Priority == o.Priority && t.RetryAfter == o.RetryAfter &&
		t.units() == o.units() && t.Message == o.Message
}

func (t *Term) sameAs(o *Term) bool { return t.DisplayName == o.DisplayName && t.sameRule(o) }
