package decision

import (
	"math"
	"sync"
	"time"
)

// Account is what one boot was lent, and counts, for one licence. The zero value is a licence that was lent nothing.
// Safe for concurrent use; the mutex is never held across anything but arithmetic.
//
// An account must live as long as its boot, unless Forgettable says otherwise: totals are cumulative for a boot, and one that started
// anew would take units that it has spent for new ones.
type Account struct {
	mu     sync.Mutex
	quotas []quotaLoan
	rates  []rateLoan
	// forgot is the latest end of a period whose loan is forgotten. Nothing is lent for periods up to there any more.
	forgot time.Time
}

const (
	// recheck is how long an answer that a quota is exhausted is believed without asking again.
	recheck = time.Second
	// breath is how long an answer that a rate has no token is believed, at least: who waited for it has to be decided by it, and a
	// flood of one licence must not become one of questions.
	breath = 20 * time.Millisecond
	// coldFor is how long after a request found a loan dry the loan is asked for what requests wait for.
	coldFor = 2 * time.Second
	// recalledFor is how long after a recall nothing is borrowed ahead: others go short, and units that come back only to lie idle here again
	// help nobody.
	recalledFor = 2 * time.Second
	// rateAhead is how much demand on a rate is borrowed ahead: enough to cover a few renewals.
	rateAhead = 250 * time.Millisecond
	// remember is how long a loan is kept after its period, for requests that were read before the period's end and are decided after, and for a
	// date that is less than one before it.
	remember = 5 * time.Minute
)

// quotaLoan is units of one quota in one period. granted, spent and returned are cumulative for the boot, and spent +
// returned never pass granted.
type quotaLoan struct {
	meter      string
	generation uint64
	span       Span
	// What the span was made from.
	period Period
	zone   *time.Location
	anchor time.Time

	hard  bool
	limit int64

	granted, spent, returned int64
	// What the lender knows of spent and returned.
	reportedSpent, reportedReturned int64
	// used is what was counted while the quota was soft.
	used int64
	// Ticks.
	exhaustedUntil time.Time
	coldAt         time.Time
	recalledAt     time.Time
	// horizon is the outage to ride out, as last asked for; short: the last answer granted less than was wanted.
	horizon time.Duration
	short   bool
	demand  demand
}

func (l *quotaLoan) balance() int64 { return l.granted - l.spent - l.returned }

// fewTrips is the demand during which a renewal surely arrives.
const fewTrips = 100 * time.Millisecond

// low reports whether it is time to renew: the balance covers no more than half of the outage that it should ride out, for the
// lender may go away at any time. Where the pool gives less than was wanted, nobody can hold that much: then it is a few round trips of demand, or all
// nodes would ask without end.
func (l *quotaLoan) low(now time.Time) bool {
	span := fewTrips
	if !l.short {
		span = max(span, l.horizon/2)
	}
	return l.balance() <= max(1, l.demand.over(span, now))
}

func (l *quotaLoan) over(now time.Time) bool { return !l.span.End.IsZero() && !now.Before(l.span.End) }

func (l *quotaLoan) is(k LoanKey) bool {
	start, end := l.span.Unix()
	return l.meter == k.Limit && start == k.PeriodStart && end == k.PeriodEnd && l.generation == k.Generation
}

func (l *quotaLoan) key(license string) LoanKey {
	start, end := l.span.Unix()
	return LoanKey{Kind: QuotaLoan, License: license, Limit: l.meter, PeriodStart: start, PeriodEnd: end, Generation: l.generation}
}

// rateLoan is tokens of one rate limit. They end at livesUntil.
type rateLoan struct {
	limit RateLimit

	granted, spent, returned int64
	// reported is what the lender knows of spent + returned.
	reported int64
	// Ticks.
	livesUntil time.Time
	retryAt    time.Time
	coldAt     time.Time
	demand     demand
}

// balance is what may be spent at now. What has lapsed counts as returned.
func (l *rateLoan) balance(now time.Time) int64 {
	if !now.Before(l.livesUntil) {
		l.returned = l.granted - l.spent
	}
	return l.granted - l.spent - l.returned
}

// rate is the loan of a rate limit. Where the limit is another than before, what was known of its pool is not true any more.
func (a *Account) rate(rl *RateLimit) *rateLoan {
	l := a.rateByKey(rl.Key)
	if l.limit != *rl {
		l.limit, l.retryAt = *rl, time.Time{}
	}
	return l
}

func (a *Account) rateByKey(key string) *rateLoan {
	for i := range a.rates {
		if a.rates[i].limit.Key == key {
			return &a.rates[i]
		}
	}
	a.rates = append(a.rates, rateLoan{limit: RateLimit{Key: key}})
	return &a.rates[len(a.rates)-1]
}

// quota is the loan of the period that contains now. What identifies it to the lender is the meter, the generation and
// the period: as long as these are the same, it is the same loan, whatever else of the quota changes.
func (a *Account) quota(meter string, en *Entitlement, anchor time.Time, generation uint64, zone *time.Location, now time.Time) *quotaLoan {
	q := en.Quota
	for i := len(a.quotas) - 1; i >= 0; i-- {
		l := &a.quotas[i]
		if l.meter == meter && l.generation == generation && l.period == q.Period && l.zone == zone &&
			l.anchor.Equal(anchor) && l.span.Contains(now) {
			return l.under(q)
		}
	}
	span := SpanAt(q.Period, zone, anchor, now)
	start, end := span.Unix()
	key := LoanKey{Limit: meter, PeriodStart: start, PeriodEnd: end, Generation: generation}
	for i := range a.quotas {
		if l := &a.quotas[i]; l.is(key) {
			l.span, l.period, l.zone, l.anchor = span, q.Period, zone, anchor
			return l.under(q)
		}
	}
	a.forget(now.Add(-remember))
	l := quotaLoan{
		meter: meter, generation: generation, span: span,
		period: q.Period, zone: zone, anchor: anchor, limit: q.Limit,
	}
	if !span.End.IsZero() && !span.End.After(a.forgot) {
		// The clock was set back to where it is not known any more what was spent.
		l.exhaustedUntil = time.Unix(math.MaxInt32, 0)
	}
	a.quotas = append(a.quotas, l)
	return a.quotas[len(a.quotas)-1].under(q)
}

func (l *quotaLoan) under(q *Quota) *quotaLoan {
	l.hard = q.Hard
	if l.limit != q.Limit {
		l.limit, l.exhaustedUntil = q.Limit, time.Time{}
	}
	return l
}

// forget drops the loans of periods that ended before t: their units are worth nothing.
func (a *Account) forget(t time.Time) {
	kept := a.quotas[:0]
	for _, l := range a.quotas {
		if l.over(t) {
			if l.span.End.After(a.forgot) {
				a.forgot = l.span.End
			}
			continue
		}
		kept = append(kept, l)
	}
	clear(a.quotas[len(kept):])
	a.quotas = kept
}

// Unspend takes back what a forwarded request was charged: its response is not billed.
func (a *Account) Unspend(c Charge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.quotas {
		l := &a.quotas[i]
		if !l.is(LoanKey{Limit: c.Meter, PeriodStart: c.PeriodStart, PeriodEnd: c.PeriodEnd, Generation: c.Generation}) {
			continue
		}
		if c.Lent {
			l.spent -= c.Units
		} else {
			l.used -= c.Units
		}
	}
}

// Forgettable reports whether a new account could stand for this one: nothing of a period that may come again was lent
// or counted, and no tokens are held. forgot has to be given to the account that comes after it, by Resume.
func (a *Account) Forgettable(at Moment) (forgot time.Time, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(at.Date.Add(-remember))
	for i := range a.quotas {
		if l := &a.quotas[i]; l.granted > 0 || l.used > 0 {
			return time.Time{}, false
		}
	}
	for i := range a.rates {
		if l := &a.rates[i]; l.balance(at.Tick) > 0 || l.granted > l.reported {
			return time.Time{}, false
		}
	}
	return a.forgot, true
}

// Resume makes a new account one that follows a forgotten one.
func (a *Account) Resume(forgot time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgot = forgot
}

// Totals are the units and tokens that are held and that were spent.
func (a *Account) Totals(at Moment) (held, spent int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.quotas {
		if l := &a.quotas[i]; !l.over(at.Date) {
			held, spent = held+l.balance(), spent+l.spent
		}
	}
	for i := range a.rates {
		l := &a.rates[i]
		held, spent = held+l.balance(at.Tick), spent+l.spent
	}
	return held, spent
}
