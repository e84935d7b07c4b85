package decision_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/dataplane/decision"
)

// with is the world's state with add-ons.
func (w *world) with(t failer, addOns ...decision.AddOn) *decision.State {
	t.Helper()
	s := w.state(t)
	e := decision.Edit(s)
	for _, a := range addOns {
		e.SetAddOn(&a)
	}
	next, err := e.Build(s.Epoch())
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func quota(limit int64) *decision.Quota {
	return &decision.Quota{Limit: limit, Period: decision.Month, Hard: true}
}

// outcome says what a request at path is decided, counted as and limited to.
func outcome(s *decision.State, path string, now time.Time) string {
	v := decide(s, accounts{}, get(path), now)
	out := []string{string(v.Code)}
	if v.Cold {
		out[0] = "cold"
	}
	for _, l := range v.Limits() {
		out = append(out, fmt.Sprintf("%s=%d", l.Policy, l.Quota))
	}
	if v.Charge.Units > 0 {
		out = append(out, "as "+v.Charge.Feature)
	}
	return strings.Join(out, " ")
}

func TestI8_AnAddOnGrantsFromItsStartToItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(quota(10))
	w.license.AddOns = []decision.Attachment{{AddOn: "extra", From: noon, To: noon.Add(time.Hour)}}
	s := w.with(t, decision.AddOn{Key: "extra", Entitlements: []decision.Entitlement{{Feature: "gold", Enabled: true}, {Feature: "calls", Quota: quota(70)}, {Feature: "space"}}})
	for now, want := range map[time.Time][4]string{
		noon.Add(-time.Nanosecond):            {"feature_not_in_plan", "cold calls=10", "feature_not_in_plan", "calls,reports"},
		noon:                                  {"ok", "cold calls=70", "ok as space", "calls,gold,reports,space"},
		noon.Add(time.Hour - time.Nanosecond): {"ok", "cold calls=70", "ok as space", "calls,gold,reports,space"},
		noon.Add(time.Hour):                   {"feature_not_in_plan", "cold calls=10", "feature_not_in_plan", "calls,reports"},
	} {
		v := decide(s, accounts{}, get("/free"), now)
		if got := [4]string{outcome(s, "/gold", now), outcome(s, "/calls", now), outcome(s, "/storage", now), v.Features()}; got != want {
			t.Errorf("at %v: %q, want %q", now, got, want)
		}
	}
}

// One order: override, then add-on, then plan; among add-ons what was attached last, whatever feature it counts the meter under.
func TestDecide_AnAddOnStandsBetweenOverrideAndPlan(t *testing.T) {
	t.Parallel()
	first := decision.AddOn{Key: "first", Entitlements: []decision.Entitlement{{Feature: "calls", Quota: quota(20)}}}
	second := decision.AddOn{Key: "second", Entitlements: []decision.Entitlement{{Feature: "other", Quota: quota(30)}}}
	attached := func(keys ...string) (all []decision.Attachment) {
		for i, k := range keys {
			all = append(all, decision.Attachment{AddOn: k, From: noon.Add(time.Duration(i-len(keys)) * time.Minute)})
		}
		return all
	}
	for name, tt := range map[string]struct {
		attached  []decision.Attachment
		overrides []decision.Override
		want      string
	}{
		"the plan alone":                             {nil, nil, "cold calls=10"},
		"an add-on before the plan":                  {attached("first"), nil, "cold calls=20"},
		"the one attached last":                      {attached("first", "second"), nil, "cold other=30"},
		"the other way round":                        {attached("second", "first"), nil, "cold calls=20"},
		"an override before both":                    {attached("first", "second"), []decision.Override{{Feature: "calls", Quota: quota(40)}}, "cold calls=40"},
		"another feature's override":                 {attached("first"), []decision.Override{{Feature: "other", Quota: quota(40)}}, "cold other=40"},
		"what withholds the last falls back":         {attached("first", "second"), []decision.Override{{Feature: "other", Withheld: true}}, "cold calls=20"},
		"what withholds the plan's leaves the other": {attached("second"), []decision.Override{{Feature: "calls", Withheld: true}}, "cold other=30"},
		"an add-on gives nothing that is withheld":   {attached("first"), []decision.Override{{Feature: "calls", Withheld: true}}, "feature_not_in_plan"},
		"one that is not there":                      {attached("none"), nil, "cold calls=10"},
		"one that comes later":                       {[]decision.Attachment{{AddOn: "first", From: noon.Add(time.Minute)}}, nil, "cold calls=10"},
	} {
		w := newWorld(quota(10))
		w.license.AddOns, w.license.Overrides = tt.attached, tt.overrides
		if got := outcome(w.with(t, first, second), "/calls", noon); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A change of an add-on is one change of the state for all licences, and so is its end.
func TestEditor_AnAddOnIsReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(quota(10))
	w.license.AddOns = []decision.Attachment{{AddOn: "extra"}}
	s := w.with(t, decision.AddOn{Key: "extra", Entitlements: []decision.Entitlement{{Feature: "calls", Quota: quota(20)}}})
	edit := func(f func(*decision.Editor)) string {
		e := decision.Edit(s)
		f(e)
		next, err := e.Build(decision.Epoch{Generation: 1, Number: 8})
		if err != nil {
			t.Fatal(err)
		}
		return outcome(next, "/calls", noon)
	}
	raised := decision.AddOn{Key: "extra", Entitlements: []decision.Entitlement{{Feature: "calls", Quota: quota(30)}}}
	if got := edit(func(e *decision.Editor) { e.SetAddOn(&raised) }); got != "cold calls=30" {
		t.Errorf("replaced: %q", got)
	}
	if got := edit(func(e *decision.Editor) { e.RemoveAddOn("extra") }); got != "cold calls=10" {
		t.Errorf("removed: %q", got)
	}
	if got := outcome(s, "/calls", noon); got != "cold calls=20" {
		t.Errorf("the state before became %q", got)
	}
	e := decision.Edit(s)
	e.SetAddOn(&decision.AddOn{Key: "extra", Entitlements: []decision.Entitlement{{Feature: "calls"}, {Feature: "other"}}})
	if _, err := e.Build(s.Epoch()); err == nil || !strings.Contains(err.Error(), "extra") {
		t.Errorf("two features of one meter: %v", err)
	}
}

func TestI10_DecidingUnderAddOnsAllocatesNothing(t *testing.T) {
	w := newWorld(&decision.Quota{Limit: 1 << 40, Period: decision.Month})
	w.license.AddOns = []decision.Attachment{{AddOn: "none"}, {AddOn: "extra"}}
	w.license.Overrides = []decision.Override{{Feature: "space", Withheld: true}}
	s := w.with(t, decision.AddOn{Key: "extra", Entitlements: []decision.Entitlement{
		{Feature: "gold", Enabled: true}, {Feature: "calls", Quota: &decision.Quota{Limit: 1 << 41, Period: decision.Month}},
	}})
	a := accounts{}
	var v decision.Verdict
	for _, path := range []string{"/calls", "/gold"} {
		r := get(path)
		decision.Decide(&v, s, &r, a, noon)
		if n := testing.AllocsPerRun(100, func() { decision.Decide(&v, s, &r, a, noon) }); n != 0 || v.Code != decision.OK {
			t.Errorf("%s: %v allocations, %s", path, n, v.Code)
		}
	}
}

// said is one thing that a licence's record says of a feature, as a naive reader lists them.
type said struct {
	rank    int // 0: the plan, 1: an add-on, 2: an override.
	from    time.Time
	feature string
	quota   *decision.Quota
	denied  bool
}

var meterOf = map[string]string{"calls": "requests", "other": "requests", "space": "bytes"}

// resolver is the naive one: it lists all that holds in the order in which it counts, and looks.
type resolver []said

func naive(version *decision.PlanVersion, lic *decision.License, addOns map[string]decision.AddOn, now time.Time) (all resolver) {
	grants := func(rank int, from time.Time, of []decision.Entitlement) {
		for _, e := range of {
			if meterOf[e.Feature] != "" || e.Enabled {
				all = append(all, said{rank, from, e.Feature, e.Quota, false})
			}
		}
	}
	holds := func(from, to time.Time) bool { return !from.After(now) && (to.IsZero() || to.After(now)) }
	grants(0, time.Time{}, version.Entitlements)
	for _, a := range lic.AddOns {
		if holds(a.From, a.To) {
			grants(1, a.From, addOns[a.AddOn].Entitlements)
		}
	}
	for _, o := range lic.Overrides {
		if holds(o.From, o.To) {
			all = append(all, said{2, o.From, o.Feature, o.Quota, o.Withheld})
		}
	}
	slices.SortStableFunc(all, func(a, b said) int { return cmp.Or(cmp.Compare(a.rank, b.rank), a.from.Compare(b.from)) })
	return all
}

// last is the last word about a feature; nil where there is none.
func (r resolver) last(feature string) *said {
	for i := len(r) - 1; i >= 0; i-- {
		if r[i].feature == feature {
			return &r[i]
		}
	}
	return nil
}

func (r resolver) has(feature string) bool { return r.last(feature) != nil && !r.last(feature).denied }

func (r resolver) counts(meter string) *said {
	for i := len(r) - 1; i >= 0; i-- {
		if meterOf[r[i].feature] == meter && r.has(r[i].feature) && r.last(r[i].feature) == &r[i] {
			return &r[i]
		}
	}
	return nil
}

// Whatever plan, add-ons and overrides a licence has: what is granted, counted and limited is what a naive reader finds.
func TestTerms_AreWhatANaiveReaderFinds(t *testing.T) {
	t.Parallel()
	all := []string{"calls", "gold", "other", "reports", "space"}
	rapid.Check(t, func(t *rapid.T) {
		limits := int64(0)
		entitlements := func(name string) (out []decision.Entitlement) {
			metered := map[string]bool{}
			for _, f := range all {
				if metered[meterOf[f]] || !rapid.Bool().Draw(t, name+" "+f) {
					continue
				}
				e := decision.Entitlement{Feature: f, Enabled: meterOf[f] == ""}
				if m := meterOf[f]; m != "" {
					metered[m] = true
					if limits++; rapid.Bool().Draw(t, "quota") {
						e.Quota = quota(limits)
					}
				}
				out = append(out, e)
			}
			return out
		}
		minutes := func(from, to int, name string) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Minute
		}
		end := func(from time.Time) time.Time {
			if rapid.Bool().Draw(t, "ends") {
				return from.Add(minutes(1, 60, "for"))
			}
			return time.Time{}
		}
		w := newWorld(nil)
		w.version.Entitlements = entitlements("plan")
		addOns := map[string]decision.AddOn{}
		for _, k := range []string{"a", "b", "c"} {
			addOns[k] = decision.AddOn{Key: k, Entitlements: entitlements(k)}
		}
		at := noon.Add(-time.Hour)
		for range rapid.IntRange(0, 6).Draw(t, "attached") {
			at = at.Add(minutes(0, 20, "later"))
			w.license.AddOns = append(w.license.AddOns, decision.Attachment{AddOn: rapid.SampledFrom([]string{"a", "b", "c", "none"}).Draw(t, "add-on"), From: at, To: end(at)})
		}
		at = noon.Add(-time.Hour)
		for range rapid.IntRange(0, 5).Draw(t, "overrides") {
			at = at.Add(minutes(0, 25, "later"))
			o := decision.Override{From: at, To: end(at), Feature: rapid.SampledFrom(all).Draw(t, "of"), Withheld: rapid.Bool().Draw(t, "withheld")}
			if limits++; meterOf[o.Feature] != "" && !o.Withheld && rapid.Bool().Draw(t, "quota") {
				o.Quota = quota(limits)
			}
			w.license.Overrides = append(w.license.Overrides, o)
		}
		s := w.with(t, slices.Collect(maps.Values(addOns))...)
		now := noon.Add(minutes(-70, 70, "now"))
		want := naive(&w.version, &w.license, addOns, now)

		var granted []string
		for _, f := range all {
			if want.has(f) {
				granted = append(granted, f)
			}
		}
		if got := decide(s, accounts{}, get("/free"), now).Features(); got != strings.Join(granted, ",") {
			t.Fatalf("granted %s, want %s", got, granted)
		}
		if got := outcome(s, "/gold", now) == "ok"; got != (want.has("gold") && want.has("reports")) {
			t.Fatalf("/gold is forwarded: %t", got)
		}
		for meter, path := range map[string]string{"requests": "/calls", "bytes": "/storage"} {
			expected := string(decision.FeatureNotInPlan)
			if c := want.counts(meter); c != nil {
				expected = "ok as " + c.feature
				if c.quota != nil {
					expected = fmt.Sprintf("cold %s=%d", c.feature, c.quota.Limit)
				}
			}
			if got := outcome(s, path, now); got != expected {
				t.Fatalf("%s: %q, want %q", path, got, expected)
			}
		}
	})
}
