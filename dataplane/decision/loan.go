package decision

import "time"

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
	Limit       string // The meter's key, or the rate limit's.
	PeriodStart int64  // Unix seconds; 0 for a rate.
	PeriodEnd   int64  // Unix seconds, exclusive; 0 for a rate and where nothing ends it.
	Generation  uint64 // The phase's CounterGeneration; 0 for a rate.
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
	// Asked is the ask's Want: an answer to a report says nothing about what is left.
	Asked int64
	// Exhausted: nothing is left anywhere.
	Exhausted bool
	// RetryAfter and Lives (rates) count from the sending of the request.
	RetryAfter, Lives time.Duration
}

// Waiting is what waits for an answer: requests, and the units that they cost.
type Waiting struct{ Requests, Units int64 }

// Asks lists what to ask the lender for: loans that are running low or on which requests wait, and reports
// of tokens spent and of units given back. w is shared by all loans that a request found dry in the last moments. horizon is the outage that
// quotas should ride out; less than 0: no units of quotas are asked for.
func (a *Account) Asks(license string, w Waiting, horizon time.Duration, at Moment) []Ask {
	now := at.Tick
	a.mu.Lock()
	defer a.mu.Unlock()
	var asks []Ask
	for i := range a.rates {
		l := &a.rates[i]
		balance := l.balance(now)
		ask := Ask{Key: LoanKey{Kind: RateLoan, License: license, Limit: l.limit.Key}, Spent: l.spent, Returned: l.returned}
		if !now.Before(l.retryAt) {
			ask.Waiting = w.on(w.Requests, l.coldAt, balance, now)
			ask.Want = max(ask.Waiting, l.demand.over(rateAhead, now)-balance, 0)
		}
		if ask.Want > 0 || l.spent+l.returned > l.reported {
			asks = append(asks, ask)
		}
	}
	for i := range a.quotas {
		l := &a.quotas[i]
		if l.over(at.Date) {
			// What is left may be carried over: nothing is spent of a period that has ended.
			l.returned += max(0, l.balance())
			if l.returned > l.reportedReturned {
				asks = append(asks, Ask{Key: l.key(license), Spent: l.spent, Returned: l.returned})
			}
			continue
		}
		balance := l.balance()
		ask := Ask{Key: l.key(license), Spent: l.spent, Returned: l.returned}
		if horizon >= 0 {
			l.horizon = horizon
		}
		if l.hard && horizon >= 0 && !now.Before(l.exhaustedUntil) {
			ask.Waiting = w.on(w.Units, l.coldAt, balance, now)
			ask.Want = ask.Waiting
			if ahead := now.Sub(l.recalledAt) >= recalledFor; ahead && (ask.Waiting > 0 || l.low(now)) {
				ask.Want = max(ask.Waiting, l.demand.over(horizon, now)-balance, 0)
			}
		}
		if ask.Want > 0 || l.returned > l.reportedReturned {
			asks = append(asks, ask)
		}
	}
	return asks
}

// on is how much of what waits one loan cannot serve.
func (w Waiting) on(n int64, coldAt time.Time, balance int64, now time.Time) int64 {
	if coldAt.IsZero() || now.Sub(coldAt) > coldFor {
		return 0
	}
	return max(0, n-balance)
}

// Apply takes the lender's answer to a request that was sent at sent; both times are ticks. Answers to one loan have to be applied in the order of
// their requests; one that is not applied at all does no harm.
func (a *Account) Apply(ans Answer, sent, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ans.Key.Kind == RateLoan {
		a.rateByKey(ans.Key.Limit).apply(ans, sent, now)
		return
	}
	for i := range a.quotas {
		if l := &a.quotas[i]; l.is(ans.Key) {
			l.granted = max(l.granted, ans.Granted)
			if ans.Asked > 0 {
				l.short = ans.Grant < ans.Asked
			}
			if ans.Exhausted {
				l.exhaustedUntil = now.Add(recheck)
			}
		}
	}
}

func (l *rateLoan) apply(ans Answer, sent, now time.Time) {
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
	if ans.Asked <= 0 {
		return
	}
	l.retryAt = sent.Add(ans.RetryAfter)
	if soonest := now.Add(breath); ans.RetryAfter > 0 && l.retryAt.Before(soonest) {
		l.retryAt = soonest
	}
}

// Reported notes that the lender has taken an ask's totals.
func (a *Account) Reported(ask Ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ask.Key.Kind == RateLoan {
		l := a.rateByKey(ask.Key.Limit)
		l.reported = max(l.reported, ask.Spent+ask.Returned)
		return
	}
	for i := range a.quotas {
		if l := &a.quotas[i]; l.is(ask.Key) {
			l.reportedSpent = max(l.reportedSpent, ask.Spent)
			l.reportedReturned = max(l.reportedReturned, ask.Returned)
		}
	}
}

// Recall gives back the idle units of a quota and returns the ask that reports it. keep is what
// requests in progress may still need, now a tick. False where there is nothing that the lender does not know: it waits for those who may hold
// idle units, so that all of them are spent is worth telling, too.
func (a *Account) Recall(key LoanKey, keep int64, now time.Time) (Ask, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.quotas {
		l := &a.quotas[i]
		if !l.is(key) {
			continue
		}
		l.returned += max(0, l.balance()-keep)
		l.recalledAt = now
		if l.spent <= l.reportedSpent && l.returned <= l.reportedReturned {
			return Ask{}, false
		}
		return Ask{Key: l.key(key.License), Spent: l.spent, Returned: l.returned}, true
	}
	return Ask{}, false
}

// Return gives back all that is idle, and returns the asks that report it: the boot ends.
func (a *Account) Return(license string, at Moment) []Ask {
	a.mu.Lock()
	defer a.mu.Unlock()
	var asks []Ask
	for i := range a.rates {
		l := &a.rates[i]
		l.returned = l.granted - l.spent
		if l.spent+l.returned > l.reported {
			asks = append(asks, Ask{Key: LoanKey{Kind: RateLoan, License: license, Limit: l.limit.Key}, Spent: l.spent, Returned: l.returned})
		}
	}
	for i := range a.quotas {
		l := &a.quotas[i]
		if l.over(at.Date) {
			continue
		}
		l.returned += max(0, l.balance())
		if l.spent > l.reportedSpent || l.returned > l.reportedReturned {
			asks = append(asks, Ask{Key: l.key(license), Spent: l.spent, Returned: l.returned})
		}
	}
	return asks
}
