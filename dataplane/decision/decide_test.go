package decision_test

import (
	"slices"
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

func monthly(limit int64, hard bool) *decision.Quota {
	return &decision.Quota{Limit: limit, Period: decision.Month, Hard: hard}
}

func perSecond(limit, burst int64) decision.RateLimit {
	return decision.RateLimit{Key: "rate", Limit: limit, Per: time.Second, Burst: burst}
}

func TestDecide_GivesEachCode(t *testing.T) {
	t.Parallel()
	exhaust := func(limit string, kind decision.LoanKind, retry time.Duration) func(*decision.Account) {
		return func(a *decision.Account) {
			for _, ask := range a.Asks("lic", decision.Waiting{Requests: 1, Units: 1}, time.Minute, decision.At(noon)) {
				if ask.Key.Kind == kind && ask.Key.Limit == limit {
					a.Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, Exhausted: true, RetryAfter: retry}, noon, noon)
				} else {
					grant(a, ask, 0, ask.Want, noon)
				}
			}
		}
	}
	tests := []struct {
		name    string
		code    decision.Code
		world   func(*world)
		request func(*decision.Request)
		path    string
		quota   *decision.Quota
		rates   []decision.RateLimit
		// account is what happens between a first, cold decision and the one that counts.
		account  func(*decision.Account)
		nilState bool
		at       time.Time
	}{
		{name: "nothing to pay", code: decision.OK, path: "/free"},
		{name: "feature granted", code: decision.OK, path: "/reports"},
		{name: "unlimited and counted", code: decision.OK, path: "/calls"},
		{name: "within a soft quota", code: decision.OK, path: "/calls", quota: monthly(1, false)},
		{name: "beyond a soft quota", code: decision.OKOverage, path: "/bulk", quota: monthly(4, false)},
		{name: "no token", code: decision.RateLimited, path: "/free", rates: []decision.RateLimit{perSecond(5, 5)}, account: exhaust("rate", decision.RateLoan, 200*time.Millisecond)},
		{name: "no unit", code: decision.QuotaExhausted, path: "/calls", quota: monthly(10, true), account: exhaust("requests", decision.QuotaLoan, 0)},
		{name: "quota below the cost", code: decision.QuotaExhausted, path: "/bulk", quota: monthly(4, true)},
		{name: "no credential", code: decision.CredentialMissing, path: "/free", request: func(r *decision.Request) { r.Presented = decision.NoCredential }},
		{name: "not a key", code: decision.CredentialInvalid, path: "/free", request: func(r *decision.Request) { r.Presented = decision.BadCredential }},
		{name: "unknown key", code: decision.CredentialInvalid, path: "/free", request: func(r *decision.Request) { r.KeyID = "other" }},
		{name: "wrong secret", code: decision.CredentialInvalid, path: "/free", request: func(r *decision.Request) { r.KeyHash[31] ^= 1 }},
		{name: "two keys", code: decision.CredentialAmbiguous, path: "/free", request: func(r *decision.Request) { r.Presented = decision.ManyCredentials }},
		{name: "revoked key", code: decision.CredentialRevoked, path: "/free", world: func(w *world) { w.key.Revoked = true }},
		{name: "expired key", code: decision.CredentialExpired, path: "/free", world: func(w *world) { w.key.ExpiresAt = noon }},
		{name: "key about to expire", code: decision.OK, path: "/free", world: func(w *world) { w.key.ExpiresAt = noon.Add(1) }},
		{name: "key of no licence", code: decision.LicenseMissing, path: "/free", world: func(w *world) { w.key.License = "gone" }},
		{name: "licence of no customer", code: decision.LicenseMissing, path: "/free", world: func(w *world) { w.license.Customer = "gone" }},
		{name: "licence of no plan", code: decision.LicenseMissing, path: "/free", world: func(w *world) { w.license.PlanVersion = 3 }},
		{name: "ended", code: decision.LicenseExpired, path: "/free", world: func(w *world) { w.license.EndsAt = noon }},
		{name: "about to end", code: decision.OK, path: "/free", world: func(w *world) { w.license.EndsAt = noon.Add(1) }},
		{name: "not started", code: decision.LicenseNotStarted, path: "/free", world: func(w *world) { w.license.StartsAt = noon.Add(1) }},
		{name: "just started", code: decision.OK, path: "/free", world: func(w *world) { w.license.StartsAt = noon }},
		{name: "suspended", code: decision.LicenseSuspended, path: "/free", world: func(w *world) { w.license.Status = decision.Suspended }},
		{name: "past due, in grace", code: decision.OKGrace, path: "/free", world: func(w *world) { w.license.PastDue, w.license.GraceUntil = true, noon.Add(1) }},
		{name: "past due, grace over", code: decision.PaymentRequired, path: "/free", world: func(w *world) { w.license.PastDue, w.license.GraceUntil = true, noon }},
		{name: "past due and suspended", code: decision.LicenseSuspended, path: "/free", world: func(w *world) {
			w.license.PastDue, w.license.GraceUntil, w.license.Status = true, noon, decision.Suspended
		}},
		{name: "revoked", code: decision.LicenseRevoked, path: "/free", world: func(w *world) { w.license.Status = decision.Revoked }},
		{name: "canceled", code: decision.LicenseCanceled, path: "/free", world: func(w *world) { w.license.Status = decision.Canceled }},
		{name: "canceled and ended", code: decision.LicenseCanceled, path: "/free", world: func(w *world) { w.license.Status, w.license.EndsAt = decision.Canceled, noon }},
		{name: "feature not granted", code: decision.FeatureNotInPlan, path: "/gold"},
		{name: "meter not granted", code: decision.FeatureNotInPlan, path: "/storage"},
		{name: "no route", code: decision.RouteUnknown, path: "/nowhere"},
		{name: "no route, no credential", code: decision.RouteUnknown, path: "/nowhere", request: func(r *decision.Request) { r.Presented = decision.NoCredential }},
		{name: "malformed", code: decision.RequestMalformed, path: "/free", request: func(r *decision.Request) { r.Malformed = true }},
		{name: "no rules", code: decision.RulesUnavailable, path: "/free", nilState: true},
		{name: "stale rules", code: decision.RulesUnavailable, path: "/free", request: func(r *decision.Request) { r.Age = decision.AgeBlock }},
		{name: "cold rate", code: decision.LimitsUnavailable, path: "/free", rates: []decision.RateLimit{perSecond(5, 5)}},
		{name: "cold quota", code: decision.LimitsUnavailable, path: "/calls", quota: monthly(10, true)},
	}
	given := map[decision.Code]bool{}
	for _, tt := range tests {
		given[tt.code] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(tt.quota, tt.rates...)
			if tt.world != nil {
				tt.world(w)
			}
			s := w.state(t)
			r := get(tt.path)
			if tt.request != nil {
				tt.request(&r)
			}
			if tt.nilState {
				s = nil
			}
			a := accounts{}
			if tt.account != nil {
				if v := decide(s, a, r, noon); !v.Cold {
					t.Fatalf("the first decision is not cold: %s", describe(v))
				}
				tt.account(a.Account("lic"))
			}
			v := decide(s, a, r, noon)
			reason := decision.ReasonOf(tt.code)
			if v.Code != tt.code {
				t.Fatalf("got %s, want %s", describe(v), tt.code)
			}
			if v.Outcome != reason.Outcome && tt.code != decision.QuotaExhausted {
				t.Errorf("outcome %s, want %s", v.Outcome, reason.Outcome)
			}
			if v.Cold != (tt.code == decision.LimitsUnavailable) {
				t.Errorf("cold: %v", v.Cold)
			}
			if v.Outcome != decision.Forward && v.Charge != (decision.Charge{}) {
				t.Errorf("denied, and charged %+v", v.Charge)
			}
			if s != nil && v.Epoch != s.Epoch() {
				t.Errorf("epoch %v", v.Epoch)
			}
		})
	}
	// The others are not Decide's to give: they arise before or after it.
	elsewhere := []decision.Code{decision.LogUnavailable, decision.Overloaded, decision.UpstreamFailed, decision.UpstreamTimeout}
	// Of the terms there is a test of their own.
	elsewhere = append(elsewhere, decision.BlockedByTerm, decision.ThrottledByTerm, decision.TermError)
	for _, r := range decision.Reasons() {
		if !given[r.Code] && !slices.Contains(elsewhere, r.Code) {
			t.Errorf("no test gives %s", r.Code)
		}
	}
}

func TestDecide_QuotaThatNothingResetsBlocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		quota *decision.Quota
		path  string
		want  decision.Outcome
	}{
		{"month", monthly(10, true), "/calls", decision.Throttle},
		{"lifetime", &decision.Quota{Limit: 10, Period: decision.Lifetime, Hard: true}, "/calls", decision.Block},
		{"cost above the limit", monthly(4, true), "/bulk", decision.Block},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, a := newWorld(tt.quota).state(t), accounts{}
			decide(s, a, get(tt.path), noon)
			for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 1, Units: 5}, time.Minute, decision.At(noon)) {
				a["lic"].Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, Exhausted: true}, noon, noon)
			}
			v := decide(s, a, get(tt.path), noon)
			if v.Code != decision.QuotaExhausted || v.Outcome != tt.want {
				t.Fatalf("got %s", describe(v))
			}
			reset := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
			if tt.want == decision.Throttle && (!v.ResetAt.Equal(reset) || v.RetryAfter != reset.Sub(noon)) {
				t.Errorf("reset at %v, in %v", v.ResetAt, v.RetryAfter)
			}
			if tt.want == decision.Block && (!v.ResetAt.IsZero() || v.RetryAfter != 0) {
				t.Errorf("reset at %v, in %v, though nothing resets it", v.ResetAt, v.RetryAfter)
			}
		})
	}
}

func TestDecide_MeteredFeatureWithoutQuotaIsChargedToTheLicencesGeneration(t *testing.T) {
	t.Parallel()
	v := decide(newWorld(nil).state(t), accounts{}, get("/bulk"), noon)
	want := decision.Charge{Meter: "requests", Feature: "calls", Units: 5, Generation: 1}
	if v.Charge != want {
		t.Fatalf("charged %+v, want %+v", v.Charge, want)
	}
}

// A request has to pass a rate of 3 tokens and a hard quota of 10 units: whichever is dry, nothing is taken from the other.
func TestI11_DeniedRequestSpendsNothing(t *testing.T) {
	t.Parallel()
	s, a := newWorld(monthly(10, true), perSecond(3, 3)).state(t), accounts{}
	if v := decide(s, a, get("/bulk"), noon); !v.Cold {
		t.Fatalf("got %s", describe(v))
	}
	account := a["lic"]
	var quota, rate decision.Ask
	for _, ask := range account.Asks("lic", decision.Waiting{Requests: 1, Units: 5}, time.Minute, decision.At(noon)) {
		if ask.Key.Kind == decision.QuotaLoan {
			quota = ask
		} else {
			rate = ask
		}
	}
	// Tokens are there, and units for one request only.
	account.Apply(decision.Answer{Key: rate.Key, Asked: 3, Granted: 3, Grant: 3, Lives: time.Second, RetryAfter: 300 * time.Millisecond}, noon, noon)
	account.Apply(decision.Answer{Key: quota.Key, Asked: 10, Granted: 7, Grant: 7, Exhausted: true}, noon, noon)
	if v := decide(s, a, get("/bulk"), noon); v.Code != decision.OK {
		t.Fatalf("got %s", describe(v))
	}
	for range 10 {
		if v := decide(s, a, get("/bulk"), noon); v.Code != decision.QuotaExhausted {
			t.Fatalf("got %s", describe(v))
		}
	}
	// The two tokens that are left are still there, and so are the two units.
	for i := range 2 {
		v := decide(s, a, get("/calls"), noon)
		if v.Code != decision.OK {
			t.Fatalf("request %d: got %s", i, describe(v))
		}
	}
	// A rate that is dry keeps the quota whole.
	account.Apply(decision.Answer{Key: quota.Key, Asked: 10, Granted: 12, Grant: 5}, noon, noon)
	for range 10 {
		if v := decide(s, a, get("/bulk"), noon); v.Code != decision.RateLimited {
			t.Fatalf("got %s", describe(v))
		}
	}
	if held, spent := account.Totals(decision.At(noon)); held != 5 || spent != 3+7 {
		t.Errorf("holds %d, spent %d", held, spent)
	}
}

func TestDecide_ColdNeverHidesAKnownDenial(t *testing.T) {
	t.Parallel()
	s, a := newWorld(monthly(10, true), perSecond(3, 3)).state(t), accounts{}
	decide(s, a, get("/calls"), noon)
	for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 1, Units: 1}, time.Minute, decision.At(noon)) {
		if ask.Key.Kind == decision.QuotaLoan {
			a["lic"].Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, Exhausted: true}, noon, noon)
		}
	}
	if v := decide(s, a, get("/calls"), noon); v.Cold || v.Code != decision.QuotaExhausted {
		t.Fatalf("the rate is cold and the quota exhausted; got %s", describe(v))
	}
}

// The lender's next token may be a millisecond away, and the answer takes longer than that: whoever waited for it must be told to
// wait, not that limits are unavailable.
func TestDecide_AnswerWithoutATokenIsADenialForThoseWhoWaited(t *testing.T) {
	t.Parallel()
	s, a := newWorld(nil, perSecond(1000, 1000)).state(t), accounts{}
	decide(s, a, get("/free"), noon)
	ask := a["lic"].Asks("lic", decision.Waiting{Requests: 1}, time.Minute, decision.At(noon))[0]
	arrived := noon.Add(5 * time.Millisecond)
	a["lic"].Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, RetryAfter: time.Millisecond}, noon, arrived)
	v := decide(s, a, get("/free"), arrived.Add(time.Millisecond))
	if v.Code != decision.RateLimited || v.RetryAfter <= 0 {
		t.Fatalf("got %s", describe(v))
	}
	if v := decide(s, a, get("/free"), arrived.Add(time.Second)); !v.Cold {
		t.Fatalf("long after, got %s", describe(v))
	}
}

func TestDecide_ChangedRateIsNotDeniedByWhatWasKnownOfTheOldOne(t *testing.T) {
	t.Parallel()
	hourly := decision.RateLimit{Key: "rate", Limit: 1, Per: time.Hour, Burst: 1}
	s, a := newWorld(nil, hourly).state(t), accounts{}
	decide(s, a, get("/free"), noon)
	ask := a["lic"].Asks("lic", decision.Waiting{Requests: 1}, time.Minute, decision.At(noon))[0]
	a["lic"].Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, RetryAfter: time.Hour}, noon, noon)
	if v := decide(s, a, get("/free"), noon.Add(time.Second)); v.Code != decision.RateLimited {
		t.Fatalf("got %s", describe(v))
	}
	if v := decide(newWorld(nil, perSecond(1000, 1000)).state(t), a, get("/free"), noon.Add(time.Second)); !v.Cold {
		t.Fatalf("under the new limit, got %s", describe(v))
	}
}

func TestDecide_RemainingIsNeverMoreThanIsLeft(t *testing.T) {
	t.Parallel()
	s, a := newWorld(monthly(10, true), perSecond(5, 5)).state(t), accounts{}
	decide(s, a, get("/calls"), noon)
	lend(a["lic"], 3, noon)
	for left := int64(2); left >= 0; left-- {
		v := decide(s, a, get("/calls"), noon)
		if v.Code != decision.OK || len(v.Limits()) != 2 {
			t.Fatalf("got %s", describe(v))
		}
		for _, l := range v.Limits() {
			if l.Remaining != left {
				t.Errorf("%s says %d remain, %d do", l.Policy, l.Remaining, left)
			}
		}
	}
}

// I10: the whole way of a warm request, with a key, a feature, a rate limit and a hard quota.
func TestI10_DecidingAllocatesNothing(t *testing.T) {
	w := newWorld(&decision.Quota{Limit: 1 << 40, Period: decision.Month, Hard: true}, decision.RateLimit{Key: "rate", Limit: 1 << 30, Per: time.Second, Burst: 1 << 30})
	e := decision.Edit(w.state(t))
	e.SetRoute(&decision.Route{Key: "all", Path: "/all/{id}/*", Methods: []string{"GET"}, Requires: []string{"reports"}, Meter: "requests", Cost: 1})
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 8})
	if err != nil {
		t.Fatal(err)
	}
	a := accounts{}
	r := get("/all/42/of/it")
	decide(s, a, r, noon)
	for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 1, Units: 1}, time.Minute, decision.At(noon)) {
		a["lic"].Apply(decision.Answer{Key: ask.Key, Asked: 1, Granted: 1 << 30, Grant: 1 << 30, Lives: time.Hour}, noon, noon)
	}
	var v decision.Verdict
	now := noon
	var source decision.Accounts = a
	allocs := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		decision.Decide(&v, s, &r, source, now)
	})
	if v.Code != decision.OK || len(v.Limits()) != 2 {
		t.Fatalf("got %s", describe(&v))
	}
	if allocs != 0 {
		t.Errorf("%v allocations for each decision", allocs)
	}
}
