// Package lending says what may be lent: the hard quotas and rate limits of a licence, and whether a node asks for
// a period that is current.
package lending

import (
	"time"

	"tollgate/dataplane/decision"
)

// Terms are what a licence grants, as far as it is lent.
type Terms struct {
	License    string
	Generation uint64
	// Zone is the customer's, Anchor the licence's: they say when periods begin.
	Zone   *time.Location
	Anchor time.Time
	// Quotas are the hard ones, by feature.
	Quotas map[string]decision.Quota
	// Rates are by the rate limit's key.
	Rates map[string]decision.RateLimit
}

// skew is how far a node's clock may be from ours at a period's boundary.
const skew = 5 * time.Second

// Quota is the limit of a quota; false where it is unknown, or the key's period is neither the current one
// nor its neighbour within a few seconds of the boundary.
func (t *Terms) Quota(key decision.LoanKey, now time.Time) (units int64, ok bool) {
	q, ok := t.Quotas[key.Limit]
	if !ok || key.Generation != t.Generation {
		return 0, false
	}
	for _, at := range [...]time.Time{now, now.Add(-skew), now.Add(skew)} {
		if decision.SpanAt(q.Period, t.Zone, t.Anchor, at).Start.Unix() == key.PeriodStart {
			return q.Limit, true
		}
	}
	return 0, false
}

// Rate is a rate limit's rate in tokens per second, and its burst; false where it is unknown.
func (t *Terms) Rate(key decision.LoanKey) (perSecond float64, burst int64, ok bool) {
	r, ok := t.Rates[key.Limit]
	if !ok || r.Per <= 0 {
		return 0, 0, false
	}
	return float64(r.Limit) / r.Per.Seconds(), r.Burst, true
}

// Ask is a node's ask with the limit that applies.
type Ask struct {
	decision.Ask
	// Units is a quota's limit.
	Units int64
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
