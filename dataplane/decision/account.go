package decision

import (
	"math"
	"sync"
	"time"
)

// LoanKind is what a loan is of.
type LoanKind uint8

// The kinds.
const (
	QuotaLoan LoanKind = iota + 1
	RateLoan
)

// LoanKey names what is lent.
type LoanKey struct {
	Kind        LoanKind
	License     string
	Limit       string // The metered feature's key, or the rate limit's.
	PeriodStart int64  // Unix seconds; 0 for a rate.
	Generation  uint64 // The licence's CounterGeneration; 0 for a rate.
}

// Ask is what an account wants of the lender for one loan. Spent and Returned are cumulative.
type Ask struct {
	Key             LoanKey
	Spent, Returned int64
	Waiting, Want   int64
}

// Answer is what the lender said. Granted is cumulative; Grant is what this answer adds.
type Answer struct {
	Key            LoanKey
	Granted, Grant int64
	// Exhausted: nothing is left anywhere.
	Exhausted bool
	// RetryAfter and Lives (rates) count from the sending of the request.
	RetryAfter, Lives time.Duration
}

// Account is what one boot was lent, and counts, for one licence. Safe for concurrent use; the mutex is
// never held across anything but arithmetic.
type Account struct {
	mu     sync.Mutex
	quotas []quotaLoan
	rates  []rateLoan
}

// recheck is how long an answer that a quota is exhausted is believed without asking again.
const recheck = time.Second

type quotaLoan struct {
	feature    string
	span       Span
	generation uint64
	hard       bool

	granted, spent, returned int64
	exhaustedUntil           time.Time
	demand                   demand
}

func (l *quotaLoan) balance() int64 { return l.granted - l.spent - l.returned }

type rateLoan struct {
	key                      string
	granted, spent, returned int64
	livesUntil               time.Time
	retryAt                  time.Time
	reported                 int64 // spent + returned, as last sent.
	demand                   demand
}

func (l *rateLoan) balance(now time.Time) int64 {
	if !now.Before(l.livesUntil) {
		l.returned = l.granted - l.spent
	}
	return l.granted - l.spent - l.returned
}

// demand is an exponentially weighted average of units asked for per second.
type demand struct {
	perSecond float64
	pending   float64
	since     time.Time
}

// demandSpan is the average's time constant.
const demandSpan = time.Second

func (d *demand) add(units int64, now time.Time) {
	d.pending += float64(units)
	if d.since.IsZero() {
		d.since = now
	}
	if dt := now.Sub(d.since); dt >= 20*time.Millisecond {
		w := 1 - math.Exp(-dt.Seconds()/demandSpan.Seconds())
		d.perSecond += w * (d.pending/dt.Seconds() - d.perSecond)
		d.pending, d.since = 0, now
	}
}

// over is the units expected in span: at least what was asked for in the last moments.
func (d *demand) over(span time.Duration, now time.Time) int64 {
	rate := d.perSecond
	if idle := now.Sub(d.since); idle > demandSpan {
		rate *= math.Exp(-(idle - demandSpan).Seconds() / demandSpan.Seconds())
	}
	return int64(math.Ceil(rate * span.Seconds()))
}

func (a *Account) rate(key string) *rateLoan {
	for i := range a.rates {
		if a.rates[i].key == key {
			return &a.rates[i]
		}
	}
	a.rates = append(a.rates, rateLoan{key: key})
	return &a.rates[len(a.rates)-1]
}

// quota is the loan of the period that contains now. Loans of earlier periods are forgotten once the
// lender knows what was spent of them: units of a period that is over are worth nothing.
func (a *Account) quota(en *Entitlement, lic *License, zone *time.Location, now time.Time) *quotaLoan {
	for i := range a.quotas {
		l := &a.quotas[i]
		if l.feature == en.Feature && l.generation == lic.CounterGeneration && l.span.Contains(now) {
			return l
		}
	}
	span := SpanAt(en.Quota.Period, zone, lic.Anchor, now)
	kept := a.quotas[:0]
	for _, l := range a.quotas {
		if l.feature != en.Feature || l.span.Start == span.Start {
			kept = append(kept, l)
		}
	}
	a.quotas = append(kept, quotaLoan{feature: en.Feature, generation: lic.CounterGeneration, span: span})
	return &a.quotas[len(a.quotas)-1]
}

// rateAhead is how much demand on a rate is borrowed ahead: enough to cover a few renewals.
const rateAhead = 250 * time.Millisecond

// Asks lists what to ask the lender for: every loan that is running low or on which requests wait, and reports
// of rate tokens spent. waiting is the number of units that requests wait for. horizon is the outage that quotas should
// ride out.
func (a *Account) Asks(license string, waiting int64, horizon time.Duration, now time.Time) []Ask {
	a.mu.Lock()
	defer a.mu.Unlock()
	var asks []Ask
	for i := range a.rates {
		l := &a.rates[i]
		balance := l.balance(now)
		ask := Ask{
			Key:   LoanKey{Kind: RateLoan, License: license, Limit: l.key},
			Spent: l.spent, Returned: l.returned,
		}
		if !now.Before(l.retryAt) {
			ask.Waiting = max(0, waiting-balance)
			ask.Want = max(ask.Waiting, l.demand.over(rateAhead, now)-balance, 0)
		}
		if ask.Want > 0 || l.spent+l.returned > l.reported {
			asks = append(asks, ask)
		}
	}
	for i := range a.quotas {
		l := &a.quotas[i]
		if !l.hard || !l.span.Contains(now) {
			continue
		}
		balance := l.balance()
		ask := Ask{
			Key: LoanKey{
				Kind: QuotaLoan, License: license, Limit: l.feature,
				PeriodStart: l.span.Start.Unix(), Generation: l.generation,
			},
			Spent: l.spent, Returned: l.returned,
		}
		if !now.Before(l.exhaustedUntil) {
			ask.Waiting = max(0, waiting-balance)
			if ask.Waiting > 0 || l.low(now) {
				ask.Want = max(ask.Waiting, l.demand.over(horizon, now)-balance, 0)
			}
		}
		if ask.Want > 0 {
			asks = append(asks, ask)
		}
	}
	return asks
}

// low reports whether it is time to renew: the balance covers no more than a few round trips of demand.
func (l *quotaLoan) low(now time.Time) bool {
	return l.balance() <= max(1, l.demand.over(100*time.Millisecond, now))
}

// Apply takes the lender's answer to a request that was sent at sent. Answers to one loan have to be applied in the order of
// their requests.
func (a *Account) Apply(ans Answer, sent, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch ans.Key.Kind {
	case RateLoan:
		l := a.rate(ans.Key.Limit)
		l.balance(now)
		// What earlier answers granted and never arrived has lapsed.
		if lost := ans.Granted - ans.Grant - l.granted; lost > 0 {
			l.returned += lost
		}
		l.granted = max(l.granted, ans.Granted)
		if ans.Grant > 0 {
			l.livesUntil = sent.Add(ans.Lives)
			l.balance(now)
		}
		l.retryAt = sent.Add(ans.RetryAfter)
	case QuotaLoan:
		for i := range a.quotas {
			l := &a.quotas[i]
			if l.feature == ans.Key.Limit && l.span.Start.Unix() == ans.Key.PeriodStart && l.generation == ans.Key.Generation {
				l.granted = max(l.granted, ans.Granted)
				l.exhaustedUntil = time.Time{}
				if ans.Exhausted {
					l.exhaustedUntil = now.Add(recheck)
				}
			}
		}
	}
}

// Reported notes that the lender has taken an ask's totals.
func (a *Account) Reported(ask Ask) {
	if ask.Key.Kind != RateLoan {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.rate(ask.Key.Limit)
	l.reported = max(l.reported, ask.Spent+ask.Returned)
}

// Recall gives back the idle units of a quota and returns the ask that reports it. keep is what
// requests in progress may still need. False where nothing is idle.
func (a *Account) Recall(key LoanKey, keep int64) (Ask, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.quotas {
		l := &a.quotas[i]
		if l.feature != key.Limit || l.span.Start.Unix() != key.PeriodStart || l.generation != key.Generation {
			continue
		}
		idle := l.balance() - keep
		if idle <= 0 {
			return Ask{}, false
		}
		l.returned += idle
		return Ask{Key: key, Spent: l.spent, Returned: l.returned}, true
	}
	return Ask{}, false
}

// Unspend takes back what a forwarded request was charged: its response is not billed.
func (a *Account) Unspend(c Charge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.quotas {
		l := &a.quotas[i]
		if l.feature == c.Feature && l.span.Start.Unix() == c.PeriodStart && l.generation == c.Generation {
			l.spent -= c.Units
		}
	}
}
