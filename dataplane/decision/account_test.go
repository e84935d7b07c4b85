package decision_test

import (
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// poolOf lends from one pool per period, by cumulative totals, and never fails.
type poolOf struct{ *modelLender }

func (p poolOf) serve(a *decision.Account, units int64, now time.Time) {
	asks := a.Asks("lic", decision.Waiting{Requests: 1, Units: units}, time.Minute, decision.At(now))
	for i, ans := range p.lend("boot", asks, now) {
		a.Reported(asks[i])
		a.Apply(ans, now, now)
	}
}

// spendAll decides requests at now until one is denied, borrowing where it is cold, and returns how many units were taken.
func spendAll(t *testing.T, s *decision.State, a accounts, p poolOf, now time.Time) (taken int64) {
	t.Helper()
	for range 1000 {
		v := decide(s, a, get("/calls"), now)
		switch {
		case v.Cold:
			p.serve(a["lic"], 1, now)
		case v.Outcome == decision.Forward:
			taken += v.Charge.Units
		default:
			return taken
		}
	}
	t.Fatal("it never ends")
	return 0
}

// Requests that were read on both sides of a period's boundary are decided in any order: neither period may start anew.
func TestI2_RequestsDecidedAcrossABoundaryInAnyOrder(t *testing.T) {
	t.Parallel()
	s := newWorld(&decision.Quota{Limit: 10, Period: decision.Minute, Hard: true}).state(t)
	a, p := accounts{}, poolOf{newModelLender(10, 1, 1, 1, noon)}
	before, after := noon.Add(time.Minute-time.Millisecond), noon.Add(time.Minute)
	taken := map[time.Time]int64{}
	for range 5 {
		for _, now := range []time.Time{before, after} {
			taken[now.Truncate(time.Minute)] += spendAll(t, s, a, p, now)
		}
	}
	for period, units := range taken {
		if units > 10 {
			t.Errorf("%d units of 10 in the minute from %v", units, period)
		}
	}
}

func TestI2_ClockSetBackSpendsNothingTwice(t *testing.T) {
	t.Parallel()
	s := newWorld(&decision.Quota{Limit: 10, Period: decision.Minute, Hard: true}).state(t)
	a, p := accounts{}, poolOf{newModelLender(10, 1, 1, 1, noon)}
	if taken := spendAll(t, s, a, p, noon); taken != 10 {
		t.Fatalf("%d units of 10", taken)
	}
	spendAll(t, s, a, p, noon.Add(time.Hour))
	if taken := spendAll(t, s, a, p, noon.Add(2*time.Second)); taken != 0 {
		t.Errorf("%d units more when the clock was set back by an hour", taken)
	}
}

func TestI2_ForgottenAccountLeavesNoWayBack(t *testing.T) {
	t.Parallel()
	s := newWorld(&decision.Quota{Limit: 10, Period: decision.Minute, Hard: true}).state(t)
	a, p := accounts{}, poolOf{newModelLender(10, 1, 1, 1, noon)}
	spendAll(t, s, a, p, noon)
	if _, ok := a["lic"].Forgettable(decision.At(noon.Add(30 * time.Second))); ok {
		t.Fatal("an account with units of the current period may be forgotten")
	}
	forgot, ok := a["lic"].Forgettable(decision.At(noon.Add(time.Hour)))
	if !ok {
		t.Fatal("an account of a period long gone may not be forgotten")
	}
	next := &decision.Account{}
	next.Resume(forgot)
	a["lic"] = next
	if taken := spendAll(t, s, a, p, noon.Add(2*time.Second)); taken != 0 {
		t.Errorf("%d units more after the account was forgotten", taken)
	}
}

// The key of a loan is meter, generation and period. A rule that changes without changing these must not make spent units new, and
// neither must one that changes the period.
func TestI2_RuleChangesKeepALoan(t *testing.T) {
	t.Parallel()
	w := newWorld(monthly(10, true))
	a, p := accounts{}, poolOf{newModelLender(10, 1, 1, 1, noon)}
	first := time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC)
	if taken := spendAll(t, w.state(t), a, p, first); taken != 10 {
		t.Fatalf("%d units of 10", taken)
	}
	w.license.Anchor = w.license.Anchor.Add(time.Hour)
	if taken := spendAll(t, w.state(t), a, p, first.Add(2*time.Second)); taken != 0 {
		t.Errorf("%d units more with another anchor", taken)
	}
	// The day begins when the month does.
	w.version.Entitlements[0].Quota = &decision.Quota{Limit: 10, Period: decision.Day, Hard: true}
	if taken := spendAll(t, w.state(t), a, p, first.Add(4*time.Second)); taken != 0 {
		t.Errorf("%d units more with days for months", taken)
	}
	// A loan follows the change at once: it does not go on to the month's end.
	if taken := spendAll(t, w.state(t), a, p, first.AddDate(0, 0, 1)); taken != 10 {
		t.Errorf("%d units on the next day, want 10", taken)
	}
}

func TestAccount_SoftQuotaNeverUsesUpWhatAHardOneLends(t *testing.T) {
	t.Parallel()
	w := newWorld(monthly(10, false))
	a, p := accounts{}, poolOf{newModelLender(10, 1, 1, 1, noon)}
	for range 50 {
		if v := decide(w.state(t), a, get("/calls"), noon); v.Outcome != decision.Forward || v.Charge.Lent {
			t.Fatalf("got %s", describe(v))
		}
	}
	w.version.Entitlements[0].Quota = monthly(10, true)
	if taken := spendAll(t, w.state(t), a, p, noon); taken != 10 {
		t.Errorf("%d units of what the lender lends, want 10", taken)
	}
	w.version.Entitlements[0].Quota = monthly(100, false)
	for range 40 {
		if v := decide(w.state(t), a, get("/calls"), noon); v.Code != decision.OK {
			t.Fatalf("got %s", describe(v))
		}
	}
	if v := decide(w.state(t), a, get("/calls"), noon); v.Code != decision.OKOverage {
		t.Errorf("after 50 soft, 10 hard and 40 soft units of 100: %s", describe(v))
	}
}

func TestAccount_UnspendGivesBackToWhereItWasTaken(t *testing.T) {
	t.Parallel()
	s := newWorld(monthly(10, true)).state(t)
	a, p := accounts{}, poolOf{newModelLender(10, 1, 1, 1, noon)}
	decide(s, a, get("/calls"), noon)
	p.serve(a["lic"], 10, noon)
	v := decide(s, a, get("/bulk"), noon)
	charge := v.Charge
	held, _ := a["lic"].Totals(decision.At(noon))
	a["lic"].Unspend(charge)
	if after, _ := a["lic"].Totals(decision.At(noon)); after != held+5 {
		t.Errorf("holds %d after 5 units came back to %d", after, held)
	}
	charge.Generation++
	a["lic"].Unspend(charge)
	if after, _ := a["lic"].Totals(decision.At(noon)); after != held+5 {
		t.Errorf("holds %d after a charge of another generation came back", after)
	}
}

func TestAccount_RecallGivesBackWhatIsIdleAndReportsIt(t *testing.T) {
	t.Parallel()
	s := newWorld(monthly(10, true)).state(t)
	a, p := accounts{}, poolOf{newModelLender(10, 1, 1, 1, noon)}
	decide(s, a, get("/calls"), noon)
	p.serve(a["lic"], 6, noon)
	v := decide(s, a, get("/calls"), noon)
	key := decision.LoanKey{Kind: decision.QuotaLoan, License: "lic", Limit: "requests", PeriodStart: v.Charge.PeriodStart, PeriodEnd: v.Charge.PeriodEnd, Generation: 1}
	ask, ok := a["lic"].Recall(key, 0, noon)
	if !ok || ask.Spent != 1 || ask.Returned != 5 {
		t.Fatalf("recalled %+v, %v", ask, ok)
	}
	// Until the lender has heard it, the report is repeated by whatever is asked next.
	asks := a["lic"].Asks("lic", decision.Waiting{}, time.Minute, decision.At(noon))
	if len(asks) != 1 || asks[0].Returned != 5 {
		t.Fatalf("asks %+v", asks)
	}
	a["lic"].Reported(ask)
	if ask, ok := a["lic"].Recall(key, 0, noon); ok {
		t.Errorf("nothing is idle or unknown, and %+v is reported", ask)
	}
	if other, ok := a["lic"].Recall(decision.LoanKey{Kind: decision.QuotaLoan, Limit: "requests"}, 0, noon); ok {
		t.Errorf("another period's recall gave %+v", other)
	}
}

func TestAccount_AsksOnlyForWhatRequestsFoundDry(t *testing.T) {
	t.Parallel()
	w := newWorld(monthly(1000, true), perSecond(100, 100))
	s, a, p := w.state(t), accounts{}, poolOf{newModelLender(1000, 100, 100, 1, noon)}
	// The rate limit alone is dry: a route that is free of charge waits.
	decide(s, a, get("/calls"), noon)
	p.serve(a["lic"], 1, noon)
	later := noon.Add(time.Minute)
	if v := decide(s, a, get("/free"), later); !v.Cold {
		t.Fatalf("got %s", describe(v))
	}
	for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 7, Units: 7}, time.Minute, decision.At(later)) {
		want := int64(7)
		if ask.Key.Kind == decision.QuotaLoan {
			want = 0
		}
		if ask.Waiting != want {
			t.Errorf("%+v, want %d waiting", ask, want)
		}
	}
}

func TestAccount_ReturnGivesBackEverything(t *testing.T) {
	t.Parallel()
	s := newWorld(monthly(1000, true), perSecond(100, 100)).state(t)
	a, p := accounts{}, poolOf{newModelLender(1000, 100, 100, 1, noon)}
	decide(s, a, get("/calls"), noon)
	p.serve(a["lic"], 9, noon)
	decide(s, a, get("/calls"), noon)
	asks := a["lic"].Return("lic", decision.At(noon))
	p.lend("boot", asks, noon)
	for key, pool := range p.quotas {
		if pool.lent != 1 {
			t.Errorf("%d units of %v are lent, 1 was spent", pool.lent, key)
		}
	}
	if v := decide(s, a, get("/calls"), noon); v.Outcome == decision.Forward {
		t.Errorf("after everything was given back: %s", describe(v))
	}
}
