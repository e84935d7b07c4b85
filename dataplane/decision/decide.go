package decision

import (
	"crypto/subtle"
	"time"
)

// Presented says what credential a request carried.
type Presented uint8

// What a request may carry.
const (
	NoCredential  Presented = iota
	BadCredential           // Not one that could be ours.
	ManyCredentials
	KeyCredential
)

// Request is what is decided.
type Request struct {
	// Malformed: the request must not be routed.
	Malformed bool
	// Stale: the rules are older than the fleet allows.
	Stale              bool
	Method, Host, Path string // Host in lower case without port; Path without query.
	Presented          Presented
	// Of a KeyCredential.
	KeyID   string
	KeyHash [32]byte
	// Details are for terms; nil: none are known.
	Details Details
}

// MaxLimits bounds the limits of one request: a plan version's rate limits and a quota.
const MaxLimits = 17

// Limit is where a request stands at one limit.
type Limit struct {
	Policy string
	// Quota units per Window; Window is 0 for a lifetime.
	Quota  int64
	Window time.Duration
	// Remaining is what this node surely can still grant: never more than is truly left.
	Remaining int64
	// Reset is how long until Remaining can grow. 0: at once, or never.
	Reset time.Duration
}

// Charge is what a request takes of one metered feature.
type Charge struct {
	Meter, Feature string
	Units          int64
	PeriodStart    int64  // Unix seconds; 0 where no quota counts.
	PeriodEnd      int64  // Unix seconds, exclusive; 0 where nothing ends it.
	Generation     uint64 // The phase's CounterGeneration.
	Lent           bool   // Taken from a loan of a hard quota.
}

// Verdict is a decision and what it was based on. What was not reached is nil or zero. Its texts are good as long as somebody wants them, but
// keep pages of the state alive: who keeps one for long clones it.
type Verdict struct {
	Outcome Outcome
	Code    Code
	Epoch   Epoch

	Route *Route
	// Credential's License and License's Customer are empty where these were not reached.
	Credential Credential
	License    License
	Customer   Customer
	// Plan and PlanVersion are what the licence is on.
	Plan        string
	PlanVersion uint32

	// Feature is the one that is missing, for FeatureNotInPlan.
	Feature string
	// Policy is the limit or the term that stopped the request. Of a limit, LimitUnits, Remaining and ResetAt describe it; of a term,
	// Message does, which may be empty.
	Policy     string
	Message    string
	LimitUnits int64
	Remaining  int64
	ResetAt    time.Time // Zero: never.
	RetryAfter time.Duration

	// Cost is what the request takes of its route's meter, by the route or by a term.
	Cost int64
	// Charge is what was taken. Units 0: nothing.
	Charge Charge

	// Cold: a loan is missing or dry while the pool is not known to be empty. Nothing is decided: fetch a loan
	// and decide again, or answer with Code, which is LimitsUnavailable.
	Cold bool
	// Renew: it is time to borrow ahead.
	Renew bool

	state *State
	phase Phase // Of License, at now.
	plan  *plan // nil: none was reached.
	now   time.Time

	limits  [MaxLimits]Limit
	nlimits int
}

// Features are the keys of all features that the licence grants, comma-separated; empty where no licence was reached.
func (v *Verdict) Features() string {
	if v.plan == nil {
		return ""
	}
	return v.terms().features()
}

// Limits are the limits that applied. The slice is good as long as v.
func (v *Verdict) Limits() []Limit { return v.limits[:v.nlimits] }

// Accounts finds the account of a licence, making it where there is none. It must not block.
type Accounts interface {
	Account(license string) *Account
}

// Decide decides one request, and spends what it takes. v is overwritten; it is the caller's so that
// nothing is allocated. s may be nil: then nothing is forwarded.
func Decide(v *Verdict, s *State, r *Request, accounts Accounts, now time.Time) {
	*v = Verdict{}
	if s != nil {
		v.Epoch = s.epoch
	}
	if code := v.admit(s, r, now); code != OK {
		v.deny(code)
		return
	}
	for _, f := range v.Route.Requires {
		if !v.terms().has(f) {
			v.Feature = f
			v.deny(FeatureNotInPlan)
			return
		}
	}
	v.Cost = v.Route.Cost
	counted, counts := v.counted()
	if v.Code == "" && s.termed.all > 0 {
		v.meetTerms(s, r, accounts, now)
		if v.Cost != v.Route.Cost && v.Code == "" {
			counted, counts = v.counted()
		}
	}
	if v.Code != "" {
		return
	}
	var en *Entitlement
	if counts {
		en = &counted
	}
	if len(v.plan.RateLimits) == 0 && en == nil {
		v.forward(OK)
		return
	}
	a := accounts.Account(v.License.ID)
	a.mu.Lock()
	defer a.mu.Unlock()
	v.spend(a, en, now)
}

// counted is the entitlement that the request is counted under; false where it costs nothing. A meter that is not granted denies.
func (v *Verdict) counted() (Entitlement, bool) {
	if v.Route.Meter == "" || v.Cost <= 0 {
		return Entitlement{}, false
	}
	en, ok := v.terms().counts(v.Route.Meter)
	if !ok {
		v.Feature = v.Route.Meter
		v.deny(FeatureNotInPlan)
	}
	return en, ok
}

// forward lets the request through. That a payment is missing is said first: it ends the licence soon.
func (v *Verdict) forward(c Code) {
	if v.License.PastDue {
		c = OKGrace
	}
	v.Outcome, v.Code = Forward, c
}

func (v *Verdict) deny(c Code) {
	v.Code = c
	v.Outcome = ReasonOf(c).Outcome
}

// admit goes through the steps that need no counters.
func (v *Verdict) admit(s *State, r *Request, now time.Time) Code {
	if s == nil || r.Stale {
		return RulesUnavailable
	}
	if r.Malformed {
		return RequestMalformed
	}
	if v.Route = s.table.route(r.Host, r.Method, r.Path); v.Route == nil {
		return RouteUnknown
	}
	switch r.Presented {
	case NoCredential:
		return CredentialMissing
	case BadCredential:
		return CredentialInvalid
	case ManyCredentials:
		return CredentialAmbiguous
	}
	c, lic := &v.Credential, &v.License
	license, ok := s.credential(c, identOf(r.KeyID))
	if !ok || subtle.ConstantTimeCompare(c.Hash[:], r.KeyHash[:]) != 1 {
		*c = Credential{}
		return CredentialInvalid
	}
	c.ID = r.KeyID
	if c.Revoked {
		return CredentialRevoked
	}
	if !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt) {
		return CredentialExpired
	}
	customer, ok := s.license(lic, license)
	if !ok {
		return LicenseMissing
	}
	c.License = lic.ID
	known := s.customer(&v.Customer, customer)
	lic.Customer = v.Customer.ID
	v.state, v.phase, v.now = s, *lic.PhaseAt(now), now
	v.plan = s.plans[planKey{v.phase.Plan, v.phase.PlanVersion}]
	v.Plan, v.PlanVersion = v.phase.Plan, v.phase.PlanVersion
	switch {
	case lic.Status == Revoked:
		return LicenseRevoked
	case lic.Status == Canceled || !lic.CancelsAt.IsZero() && !now.Before(lic.CancelsAt):
		return LicenseCanceled
	case !lic.EndsAt.IsZero() && !now.Before(lic.EndsAt):
		return LicenseExpired
	case now.Before(lic.StartsAt):
		return LicenseNotStarted
	case lic.Status != Active:
		return LicenseSuspended
	case lic.PastDue && !now.Before(lic.GraceUntil):
		return PaymentRequired
	case !known || v.plan == nil:
		return LicenseMissing
	}
	return OK
}

// spend checks every limit, and takes from all of them or from none. The account is locked.
func (v *Verdict) spend(a *Account, en *Entitlement, now time.Time) {
	cold, rates := false, len(v.plan.RateLimits)
	for i := range rates {
		rl := v.terms().rate(i)
		l := a.rate(rl)
		l.demand.add(1, now)
		balance := l.balance(now)
		lim := v.limit(rl.Key, rl.Limit, rl.Per, balance)
		if balance >= 1 {
			continue
		}
		if !now.Before(l.retryAt) {
			l.coldAt = now
			cold = true
			continue
		}
		lim.Reset = l.retryAt.Sub(now)
		v.stop(RateLimited, lim, l.retryAt)
	}
	var q *quotaLoan
	if en != nil {
		v.Charge = Charge{
			Meter: v.Route.Meter, Feature: en.Feature, Units: v.Cost, Generation: v.phase.CounterGeneration,
		}
		if en.Quota != nil {
			q = a.quota(v.Route.Meter, en, v.License.Anchor, v.phase.CounterGeneration, v.Customer.Zone, now)
			cold = v.checkQuota(q, en, now) || cold
		}
	}
	if v.Code != "" {
		v.Charge = Charge{}
		return
	}
	if cold {
		v.Charge = Charge{}
		v.Cold = true
		v.deny(LimitsUnavailable)
		return
	}
	v.forward(OK)
	for i := range rates {
		l := a.rate(v.terms().rate(i))
		l.spent++
		v.limits[i].Remaining--
		v.Renew = v.Renew || (l.balance(now) < l.demand.over(rateAhead/2, now) && !now.Before(l.retryAt))
	}
	if q == nil {
		return
	}
	v.Charge.PeriodStart, v.Charge.PeriodEnd = q.span.Unix()
	v.Charge.Lent = q.hard
	if q.hard {
		q.spent += v.Charge.Units
		v.limits[v.nlimits-1].Remaining -= v.Charge.Units
		v.Renew = v.Renew || (q.low(now) && !now.Before(q.exhaustedUntil))
		return
	}
	q.used += v.Charge.Units
	if q.used+q.spent > en.Quota.Limit {
		v.forward(OKOverage)
	}
}

// checkQuota reports whether a hard quota's loan is cold. It spends nothing.
func (v *Verdict) checkQuota(q *quotaLoan, en *Entitlement, now time.Time) (cold bool) {
	if !en.Quota.Hard {
		return false
	}
	q.demand.add(v.Charge.Units, now)
	var window, reset time.Duration
	if !q.span.End.IsZero() {
		window, reset = q.span.End.Sub(q.span.Start), q.span.End.Sub(now)
	}
	balance := q.balance()
	lim := v.limit(en.Feature, en.Quota.Limit, window, balance)
	lim.Reset = reset
	if balance >= v.Charge.Units {
		return false
	}
	most := en.Quota.Limit + en.Quota.Rollover + v.terms().granted(v.Route.Meter)
	never := q.span.End.IsZero() || most < v.Charge.Units
	if most >= v.Charge.Units && !now.Before(q.exhaustedUntil) {
		q.coldAt = now
		return true
	}
	if v.Code != "" {
		return false
	}
	v.stop(QuotaExhausted, lim, q.span.End)
	if never {
		// Nothing resets it: waiting does not help.
		v.Outcome, v.ResetAt, v.RetryAfter = Block, time.Time{}, 0
	}
	return false
}

func (v *Verdict) limit(policy string, units int64, window time.Duration, remaining int64) *Limit {
	l := &v.limits[v.nlimits]
	v.nlimits++
	*l = Limit{Policy: policy, Quota: units, Window: window, Remaining: max(0, remaining)}
	return l
}

// stop denies at a limit; the first one wins.
func (v *Verdict) stop(c Code, l *Limit, reset time.Time) {
	if v.Code != "" {
		return
	}
	v.deny(c)
	v.Policy, v.LimitUnits, v.Remaining, v.ResetAt, v.RetryAfter = l.Policy, l.Quota, l.Remaining, reset, l.Reset
}
