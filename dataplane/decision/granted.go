package decision

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Granted is what a plan version or an add-on grants, made ready to be looked up. It never changes.
type Granted struct {
	enabled map[string]bool
	metered map[string]Entitlement // By meter.
	keys    string                 // What is granted, comma-separated.
}

// Compile makes entitlements ready. feature finds a feature by key; what it does not find is not granted. Two features that count on
// one meter are an error.
func Compile(entitlements []Entitlement, feature func(key string) *Feature) (*Granted, error) {
	g := &Granted{enabled: map[string]bool{}, metered: map[string]Entitlement{}}
	var keys []string
	for _, en := range entitlements {
		f := feature(en.Feature)
		switch {
		case f == nil:
		case f.Type == Metered:
			if _, twice := g.metered[f.Meter]; twice {
				return nil, fmt.Errorf("two features of meter %s", f.Meter)
			}
			g.metered[f.Meter] = en
			g.enabled[en.Feature] = true
			keys = append(keys, en.Feature)
		case f.Type == Static && en.Value != "", f.Type == Boolean && en.Enabled:
			g.enabled[en.Feature] = true
			keys = append(keys, en.Feature)
		}
	}
	slices.Sort(keys)
	g.keys = strings.Join(keys, ",")
	return g, nil
}

// Source finds what a licence's record refers to. A State is one; whoever resolves a licence's terms elsewhere has another, so that
// there is one resolution.
type Source interface {
	// OfPlan is what a plan version grants; nil where there is none.
	OfPlan(plan string, version uint32) *Granted
	// OfAddOn is what an add-on grants; nil where there is none.
	OfAddOn(key string) *Granted
	// MeterOf is the meter that a metered feature counts on; empty for others.
	MeterOf(feature string) string
}

// Feature finds a feature; nil where there is none.
func (s *State) Feature(key string) *Feature { return s.features[key] }

// OfPlan implements Source.
func (s *State) OfPlan(plan string, version uint32) *Granted {
	if p := s.plans[planKey{plan, version}]; p != nil {
		return p.Granted
	}
	return nil
}

// OfAddOn implements Source.
func (s *State) OfAddOn(key string) *Granted { return s.extra[key] }

// MeterOf implements Source.
func (s *State) MeterOf(feature string) string {
	if f := s.features[feature]; f != nil && f.Type == Metered {
		return f.Meter
	}
	return ""
}

// Counts is what requests of a licence on a meter are counted under at now; false where nothing grants it.
func (l *License) Counts(from Source, meter string, now time.Time) (Entitlement, bool) {
	ph := l.PhaseAt(now)
	return l.counts(from, from.OfPlan(ph.Plan, ph.PlanVersion), meter, now)
}

// counts looks at overrides, then at add-ons, then at the plan; among those of one kind at what began last first. What an override withholds
// is passed over: it says nothing of another feature on the meter.
func (l *License) counts(from Source, plan *Granted, meter string, now time.Time) (Entitlement, bool) {
	for i := len(l.Overrides) - 1; i >= 0; i-- {
		o := &l.Overrides[i]
		if o.Feature == "" || o.Withheld || !o.HoldsAt(now) || from.MeterOf(o.Feature) != meter {
			continue
		}
		if l.OverrideOf(o.Feature, now) == o {
			return Entitlement{Feature: o.Feature, Quota: o.Quota}, true
		}
	}
	for i := len(l.AddOns) - 1; i >= 0; i-- {
		a := &l.AddOns[i]
		if !a.HoldsAt(now) {
			continue
		}
		if en, ok := from.OfAddOn(a.AddOn).counts(meter); ok && l.OverrideOf(en.Feature, now) == nil {
			return en, true
		}
	}
	en, ok := plan.counts(meter)
	return en, ok && l.OverrideOf(en.Feature, now) == nil
}

func (g *Granted) counts(meter string) (Entitlement, bool) {
	if g == nil {
		return Entitlement{}, false
	}
	en, ok := g.metered[meter]
	return en, ok
}

// has reports whether a feature is granted; nothing is by what is not there.
func (g *Granted) has(feature string) bool { return g != nil && g.enabled[feature] }

// covers reports whether all that o grants is granted, in whatever amount.
func (g *Granted) covers(o *Granted) bool {
	if o == nil {
		return true
	}
	for k := range o.enabled {
		if !g.enabled[k] {
			return false
		}
	}
	return true
}
