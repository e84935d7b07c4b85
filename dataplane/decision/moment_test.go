package decision_test

import (
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// decideAt decides at a moment of which date and tick differ.
func decideAt(s *decision.State, a decision.Accounts, r decision.Request, date, tick time.Time) *decision.Verdict {
	r.Tick = tick
	return decide(s, a, r, date)
}

// Tokens end by elapsed time alone: a date that stands still does not keep them, and one that leaps does not take them.
func TestI3_TokensEndByElapsedTime(t *testing.T) {
	t.Parallel()
	s := newWorld(nil, perSecond(10, 10)).state(t)
	boot := time.Unix(1000, 0)
	for name, tt := range map[string]struct {
		date, tick time.Duration
		cold       bool
	}{
		"both go on":               {500 * time.Millisecond, 500 * time.Millisecond, false},
		"the date leaps":           {10 * time.Minute, 500 * time.Millisecond, false},
		"the date stands still":    {0, time.Second, true},
		"the machine was asleep":   {0, 3 * time.Hour, true},
		"both, and time has ended": {time.Second, time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := accounts{}
			if v := decideAt(s, a, get("/free"), noon, boot); !v.Cold {
				t.Fatalf("lent before it was asked for: %s", describe(v))
			}
			for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 5, Units: 5}, time.Minute, decision.Moment{Date: noon, Tick: boot}) {
				grant(a["lic"], ask, 0, ask.Want, boot)
			}
			if v := decideAt(s, a, get("/free"), noon.Add(tt.date), boot.Add(tt.tick)); v.Cold != tt.cold {
				t.Errorf("%s", describe(v))
			}
		})
	}
}

// A denied rate says by the date when it may be tried again, and counts by elapsed time.
func TestDecide_ARateResetsByBothClocks(t *testing.T) {
	t.Parallel()
	s := newWorld(nil, perSecond(10, 10)).state(t)
	boot, a := time.Unix(1000, 0), accounts{}
	decideAt(s, a, get("/free"), noon, boot)
	for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 1}, time.Minute, decision.Moment{Date: noon, Tick: boot}) {
		a["lic"].Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, RetryAfter: 400 * time.Millisecond}, boot, boot)
	}
	v := decideAt(s, a, get("/free"), noon.Add(time.Hour), boot.Add(100*time.Millisecond))
	if v.Code != decision.RateLimited || v.RetryAfter != 300*time.Millisecond || !v.ResetAt.Equal(noon.Add(time.Hour+300*time.Millisecond)) {
		t.Errorf("%s", describe(v))
	}
}

// What a quota's period is follows from the date, whatever has elapsed.
func TestI2_PeriodsFollowTheDate(t *testing.T) {
	t.Parallel()
	s := newWorld(&decision.Quota{Limit: 10, Period: decision.Minute, Hard: true}).state(t)
	boot, a := time.Unix(1000, 0), accounts{}
	take := func(date, tick time.Time) *decision.Verdict {
		v := decideAt(s, a, get("/calls"), date, tick)
		if !v.Cold {
			return v
		}
		for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 1, Units: 1}, time.Minute, decision.Moment{Date: date, Tick: tick}) {
			if ask.Want > 0 {
				grant(a["lic"], ask, ask.Spent+ask.Returned, ask.Want, tick)
			}
		}
		return decideAt(s, a, get("/calls"), date, tick)
	}
	for _, tt := range []struct {
		date, tick time.Duration
		period     time.Time
	}{
		{59 * time.Second, 0, noon},
		{59 * time.Second, time.Hour, noon},
		{60 * time.Second, time.Hour, noon.Add(time.Minute)},
		{5 * time.Minute, time.Hour, noon.Add(5 * time.Minute)},
	} {
		v := take(noon.Add(tt.date), boot.Add(tt.tick))
		if v.Outcome != decision.Forward || v.Charge.PeriodStart != tt.period.Unix() {
			t.Errorf("at %v: %s", tt.date, describe(v))
		}
	}
}
