package decision

import (
	"slices"
	"strings"
	"time"
)

// terms are what a licence is granted at one moment: override before add-on before plan version. Each holds for its feature, and for
// the meter that the feature counts on. Where two of a kind hold, the one that began last wins: a licence's record has them in that order.
type terms struct {
	state *State
	lic   *License
	plan  *plan
	now   time.Time
}

func (v *Verdict) terms() terms { return terms{v.state, &v.License, v.plan, v.now} }

// has reports whether a feature is granted.
func (t terms) has(feature string) bool {
	if o := t.lic.OverrideOf(feature, t.now); o != nil {
		return !o.Withheld
	}
	for i := range t.lic.AddOns {
		if t.addOn(i).has(feature) {
			return true
		}
	}
	return t.plan.enabled[feature]
}

// addOn is what the licence's i-th add-on grants; nil where it does not hold, or is not there.
func (t terms) addOn(i int) *Granted {
	if a := &t.lic.AddOns[i]; a.HoldsAt(t.now) {
		return t.state.extra[a.AddOn]
	}
	return nil
}

// counts is the metered entitlement that requests on a meter are counted under.
func (t terms) counts(meter string) (Entitlement, bool) {
	return t.lic.counts(t.state, t.plan.Granted, meter, t.now)
}

// granted is the units of all grants on a meter that hold: no more than these are there beside its quota.
func (t terms) granted(meter string) int64 {
	var units int64
	for i := range t.lic.Grants {
		g := &t.lic.Grants[i]
		if f := t.state.features[g.Feature]; f != nil && f.Meter == meter && g.HoldsAt(t.now) {
			units += g.Units
		}
	}
	return units
}

// OverrideOf is the override of a feature that holds at now; nil where there is none.
func (l *License) OverrideOf(feature string, now time.Time) *Override {
	for i := len(l.Overrides) - 1; i >= 0; i-- {
		if o := &l.Overrides[i]; o.RateLimit == nil && o.Feature == feature && o.HoldsAt(now) {
			return o
		}
	}
	return nil
}

// OverrideOfRate is what replaces the rate limit with that key at now; nil where nothing does.
func (l *License) OverrideOfRate(key string, now time.Time) *RateLimit {
	for i := len(l.Overrides) - 1; i >= 0; i-- {
		if o := &l.Overrides[i]; o.RateLimit != nil && o.RateLimit.Key == key && o.HoldsAt(now) {
			return o.RateLimit
		}
	}
	return nil
}

// rate is the i-th rate limit of the plan, or what replaces it.
func (t terms) rate(i int) *RateLimit {
	rl := &t.plan.RateLimits[i]
	if o := t.lic.OverrideOfRate(rl.Key, t.now); o != nil {
		return o
	}
	return rl
}

// features are the keys of all that is granted, sorted and comma-separated. Where no override or add-on changes them, that is the plan's
// own text.
func (t terms) features() string {
	changed := false
	for i := range t.lic.AddOns {
		changed = changed || !t.plan.covers(t.addOn(i))
	}
	for i := range t.lic.Overrides {
		o := &t.lic.Overrides[i]
		changed = changed || o.Feature != "" && o.HoldsAt(t.now) && t.plan.enabled[o.Feature] == o.Withheld
	}
	if !changed {
		return t.plan.keys
	}
	var keys []string
	for k := range t.plan.enabled {
		if t.has(k) {
			keys = append(keys, k)
		}
	}
	for i := range t.lic.Overrides {
		if o := &t.lic.Overrides[i]; o.Feature != "" && !t.plan.enabled[o.Feature] && t.has(o.Feature) {
			keys = append(keys, o.Feature)
		}
	}
	for i := range t.lic.AddOns {
		if g := t.addOn(i); g != nil {
			for k := range g.enabled {
				if t.has(k) {
					keys = append(keys, k)
				}
			}
		}
	}
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), ",")
}
