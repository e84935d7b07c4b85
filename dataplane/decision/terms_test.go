package decision_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/dataplane/decision"
)

// at decides one request of the world's licence.
func (w *world) at(t failer, path string, now time.Time) *decision.Verdict {
	t.Helper()
	var v decision.Verdict
	r := decision.Request{Method: "GET", Path: path, Presented: decision.KeyCredential, KeyID: "key", KeyHash: [32]byte{1}}
	decision.Decide(&v, w.state(t), &r, accounts{}, now)
	return &v
}

// What time alone brings about needs no further record: every one of these is one rule state, asked at two instants.
func TestI8_WhatTimeBringsAboutActsOnTime(t *testing.T) {
	t.Parallel()
	turn := noon.Add(20 * time.Second)
	for name, tt := range map[string]struct {
		change        func(*world)
		path          string
		before, after decision.Code
	}{
		"a cancellation at the period's end": {
			func(w *world) { w.license.CancelsAt = turn }, "/free", decision.OK, decision.LicenseCanceled,
		},
		"a licence's end": {
			func(w *world) { w.license.EndsAt = turn }, "/free", decision.OK, decision.LicenseExpired,
		},
		"a licence's start": {
			func(w *world) { w.license.StartsAt = turn }, "/free", decision.LicenseNotStarted, decision.OK,
		},
		"a grace's end": {
			func(w *world) { w.license.PastDue, w.license.GraceUntil = true, turn }, "/free", decision.OKGrace, decision.PaymentRequired,
		},
		"a plan version that takes effect": {
			func(w *world) { w.license.Next = []decision.Phase{{At: turn, Plan: "plan", PlanVersion: 2}} }, "/gold", decision.FeatureNotInPlan, decision.OK,
		},
		"an override's start": {
			func(w *world) { w.license.Overrides = []decision.Override{{From: turn, Feature: "gold"}} }, "/gold", decision.FeatureNotInPlan, decision.OK,
		},
		"an override's end": {
			func(w *world) { w.license.Overrides = []decision.Override{{To: turn, Feature: "gold"}} }, "/gold", decision.OK, decision.FeatureNotInPlan,
		},
		"an override that withholds": {
			func(w *world) {
				w.license.Overrides = []decision.Override{{From: turn, Feature: "reports", Withheld: true}}
			}, "/reports", decision.OK, decision.FeatureNotInPlan,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(nil)
			tt.change(w)
			if v := w.at(t, tt.path, turn.Add(-time.Nanosecond)); v.Code != tt.before {
				t.Errorf("just before: %s, want %s", v.Code, tt.before)
			}
			if v := w.at(t, tt.path, turn); v.Code != tt.after {
				t.Errorf("at the instant: %s, want %s", v.Code, tt.after)
			}
		})
	}
}

func TestDecide_AnOverrideReplacesQuotaAndRate(t *testing.T) {
	t.Parallel()
	w := newWorld(&decision.Quota{Limit: 10, Period: decision.Day, Hard: true}, decision.RateLimit{Key: "r", Limit: 5, Per: time.Second, Burst: 5})
	w.license.Overrides = []decision.Override{
		{Feature: "calls", Quota: &decision.Quota{Limit: 70, Period: decision.Month, Hard: true}, To: noon.Add(time.Hour)},
		{RateLimit: &decision.RateLimit{Key: "r", Limit: 9, Per: time.Second, Burst: 9}, To: noon.Add(time.Hour)},
	}
	for now, want := range map[time.Time][2]int64{noon: {9, 70}, noon.Add(time.Hour): {5, 10}} {
		v := w.at(t, "/calls", now)
		limits := v.Limits()
		if len(limits) != 2 || limits[0].Quota != want[0] || limits[1].Quota != want[1] {
			t.Errorf("at %v: limits %+v, want %v", now, limits, want)
		}
	}
}

// An override may grant what counts on a meter that the plan does not have at all.
func TestDecide_AnOverrideGrantsAMeterThatThePlanLacks(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.license.Overrides = []decision.Override{{Feature: "space"}}
	if v := w.at(t, "/storage", noon); v.Code != decision.OK || v.Charge.Feature != "space" || v.Features() != "calls,reports,space" {
		t.Errorf("%s, charge %+v, features %s", v.Code, v.Charge, v.Features())
	}
	w.license.Overrides[0].Withheld = true
	if v := w.at(t, "/storage", noon); v.Code != decision.FeatureNotInPlan {
		t.Errorf("withheld: %s", v.Code)
	}
}

func TestDecide_ToWithholdAFeatureSaysNothingOfAnotherOnItsMeter(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.license.Overrides = []decision.Override{{Feature: "other", Withheld: true}}
	if v := w.at(t, "/calls", noon); v.Code != decision.OK || v.Charge.Feature != "calls" {
		t.Errorf("%s, charge %+v", v.Code, v.Charge)
	}
	w.license.Overrides[0].Feature = "calls"
	if v := w.at(t, "/calls", noon); v.Code != decision.FeatureNotInPlan {
		t.Errorf("what is withheld itself: %s", v.Code)
	}
}

// The later of two phases that have begun holds, and of two overrides that hold, the one that began last.
func TestTerms_TheLatestHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(nil)
		var want bool
		at := noon.Add(-time.Hour)
		for range rapid.IntRange(0, 6).Draw(t, "overrides") {
			at = at.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "after")) * time.Minute)
			o := decision.Override{From: at, Feature: "gold", Withheld: rapid.Bool().Draw(t, "withheld")}
			if rapid.Bool().Draw(t, "ends") {
				o.To = at.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "for")) * time.Minute)
			}
			if !noon.Before(o.From) && (o.To.IsZero() || noon.Before(o.To)) {
				want = !o.Withheld
			}
			w.license.Overrides = append(w.license.Overrides, o)
		}
		version := uint32(1)
		at = noon.Add(-time.Hour)
		for i := range rapid.IntRange(0, 5).Draw(t, "phases") {
			at = at.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "later")) * time.Minute)
			w.license.Next = append(w.license.Next, decision.Phase{At: at, Plan: "plan", PlanVersion: uint32(i + 2)})
			if !noon.Before(at) {
				version = uint32(i + 2)
			}
		}
		if got := w.license.PhaseAt(noon).PlanVersion; got != version {
			t.Fatalf("on version %d, want %d", got, version)
		}
		w.license.Next = nil
		if got := w.at(t, "/gold", noon).Outcome == decision.Forward; got != want {
			t.Fatalf("gold is granted: %t, want %t", got, want)
		}
	})
}

func TestI10_DecidingUnderOverridesAllocatesNothing(t *testing.T) {
	w := newWorld(&decision.Quota{Limit: 1 << 40, Period: decision.Month}, decision.RateLimit{Key: "r", Limit: 5, Per: time.Second, Burst: 5})
	w.license.Overrides = []decision.Override{
		{Feature: "gold"}, {Feature: "calls", Quota: &decision.Quota{Limit: 1 << 41, Period: decision.Month}},
		{RateLimit: &decision.RateLimit{Key: "r", Limit: 9, Per: time.Second, Burst: 9}},
	}
	w.license.Next = []decision.Phase{{At: noon.Add(time.Hour), Plan: "plan", PlanVersion: 2}}
	s, a := w.state(t), accounts{}
	var v decision.Verdict
	r := decision.Request{Method: "GET", Path: "/calls", Presented: decision.KeyCredential, KeyID: "key", KeyHash: [32]byte{1}}
	decision.Decide(&v, s, &r, a, noon)
	if n := testing.AllocsPerRun(100, func() { decision.Decide(&v, s, &r, a, noon) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A node does not know what is left of a grant: it asks the lender as long as there may be some, and not when there cannot be.
func TestDecide_AsksForGrantsBesideAnExhaustedQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(&decision.Quota{Limit: 0, Period: decision.Month, Hard: true})
	if v := w.at(t, "/calls", noon); v.Code != decision.QuotaExhausted || v.Outcome != decision.Block || v.Cold {
		t.Errorf("without a grant: %s", v.Code)
	}
	w.license.Grants = []decision.Grant{{ID: "g", Feature: "calls", Units: 3, To: noon.Add(time.Hour)}, {ID: "h", Feature: "space", Units: 99}}
	if v := w.at(t, "/calls", noon); !v.Cold {
		t.Errorf("with a grant: %s", v.Code)
	}
	if v := w.at(t, "/bulk", noon); v.Code != decision.QuotaExhausted {
		t.Errorf("a request that costs more than the grant: %s", v.Code)
	}
	if v := w.at(t, "/calls", noon.Add(time.Hour)); v.Code != decision.QuotaExhausted {
		t.Errorf("when the grant has expired: %s", v.Code)
	}
}
