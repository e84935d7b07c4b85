// Package lending says what may be lent: the hard quotas and rate limits of a licence, and whether a node asks for
// a period that is current.
package lending

import (
	"time"

	"tollgate/dataplane/decision"
)

// Terms are what a licence grants, as far as it is lent. They are a decision.Source: what is lent is resolved as nodes resolve it.
type Terms struct {
	License decision.License
	// Zone is the customer's.
	Zone *time.Location
	// Grants are in burn order, all of the licence's.
	Grants []Grant
	// Meters are those of the features that the licence's overrides and grants are for.
	Meters map[string]string
	// Plans are those of the licence's phases.
	Plans map[PlanVersion]*Limits
	// AddOns are those that the licence has and that are not archived.
	AddOns map[string]*decision.Granted
}

// OfPlan implements decision.Source.
func (t *Terms) OfPlan(plan string, version uint32) *decision.Granted {
	if l := t.Plans[PlanVersion{plan, version}]; l != nil {
		return l.Granted
	}
	return nil
}

// OfAddOn implements decision.Source.
func (t *Terms) OfAddOn(key string) *decision.Granted { return t.AddOns[key] }

// MeterOf implements decision.Source.
func (t *Terms) MeterOf(feature string) string { return t.Meters[feature] }

// Grant is extra units, drawn from before or after the quota.
type Grant struct {
	decision.Grant
	Before bool
}

// GrantsOf are the grants on a meter that hold at now, in burn order.
func (t *Terms) GrantsOf(meter string, now time.Time) []Grant {
	var out []Grant
	for i := range t.Grants {
		if g := &t.Grants[i]; t.Meters[g.Feature] == meter && g.HoldsAt(now) {
			out = append(out, *g)
		}
	}
	return out
}

// PlanVersion names a plan version.
type PlanVersion struct {
	Plan    string
	Version uint32
}

// Limits are what a plan version lends.
type Limits struct {
	Granted *decision.Granted
	// Rates are by the rate limit's key.
	Rates map[string]decision.RateLimit
}

// skew is how far a node's clock may be from ours where time changes something.
const skew = 5 * time.Second

func moments(now time.Time) [3]time.Time { return [...]time.Time{now, now.Add(-skew), now.Add(skew)} }

// Quota is what a hard quota lends in one period.
type Quota struct {
	Units int64
	// Rollover is how much of Before may be carried over.
	Rollover int64
	Before   Before
}

// Before is the quota's period before; PeriodEnd is 0 where there was none.
type Before struct{ PeriodStart, PeriodEnd, Units int64 }

// Quota finds a quota; false where it is unknown, or the key's period is neither the current one
// nor its neighbour within a few seconds of the boundary.
func (t *Terms) Quota(key decision.LoanKey, now time.Time) (q Quota, ok bool) {
	for _, at := range moments(now) {
		phase := t.License.PhaseAt(at)
		q, ok := t.quota(key.Limit, at)
		if !ok || key.Generation != phase.CounterGeneration {
			continue
		}
		span := decision.SpanAt(q.Period, t.Zone, t.License.Anchor, at)
		if start, end := span.Unix(); start == key.PeriodStart && end == key.PeriodEnd {
			return Quota{Units: q.Limit, Rollover: q.Rollover, Before: t.before(&q, span, key.Limit)}, true
		}
	}
	return Quota{}, false
}

// before is the period before span: the licence has to have had a quota of the same periods then.
func (t *Terms) before(q *decision.Quota, span decision.Span, meter string) Before {
	last := span.Start.Add(-time.Nanosecond)
	if q.Rollover <= 0 || last.Before(t.License.StartsAt) {
		return Before{}
	}
	was, ok := t.quota(meter, last)
	if !ok || was.Period != q.Period {
		return Before{}
	}
	start, end := decision.SpanAt(was.Period, t.Zone, t.License.Anchor, last).Unix()
	return Before{PeriodStart: start, PeriodEnd: end, Units: was.Limit}
}

// quota is the hard quota that requests on a meter are counted under.
func (t *Terms) quota(meter string, at time.Time) (decision.Quota, bool) {
	en, ok := t.License.Counts(t, meter, at)
	if !ok || en.Quota == nil || !en.Quota.Hard {
		return decision.Quota{}, false
	}
	return *en.Quota, true
}

// Rate is a rate limit's rate in tokens per second, and its burst; false where it is unknown. Where it changes within a few seconds, it is
// the one of now: what was lent under another is not taken back, but ends soon.
func (t *Terms) Rate(key decision.LoanKey, now time.Time) (perSecond float64, burst int64, ok bool) {
	for _, at := range moments(now) {
		phase := t.License.PhaseAt(at)
		limits := t.Plans[PlanVersion{phase.Plan, phase.PlanVersion}]
		if limits == nil {
			continue
		}
		r, ok := limits.Rates[key.Limit]
		if !ok {
			continue
		}
		if o := t.License.OverrideOfRate(key.Limit, at); o != nil {
			r = *o
		}
		if r.Per > 0 {
			return float64(r.Limit) / r.Per.Seconds(), r.Burst, true
		}
	}
	return 0, 0, false
}

// Ask is a node's ask with the limit that applies.
type Ask struct {
	decision.Ask
	// Quota is a quota's limit and what comes from the period before, Grants what there is beside it.
	Quota
	Grants []Grant
	// PerSecond and Burst are a rate limit's.
	PerSecond float64
	Burst     int64
}

// Lives is how long lent tokens of a rate limit may be spent, counted by the node from its request's sending.
const Lives = time.Second

// Loan answers an Ask.
type Loan struct {
	// Closed: the boot is closed, nothing is lent to it any more.
	Closed bool
	// Granted is all that was ever granted to the boot under the key, Grant what this answer added.
	Granted, Grant int64
	// Remaining is what is left of a quota. Idle is what other boots hold of it and have not spent; it is known
	// only where Grant is less than what was waiting, or nothing.
	Remaining, Idle int64
	// RetryAfter is when a rate limit's next token can be there.
	RetryAfter time.Duration
}
