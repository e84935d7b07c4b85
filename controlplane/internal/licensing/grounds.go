package licensing

import (
	"context"
	"slices"

	"tollgate/dataplane/decision"
)

// grounds is what a licence's record refers to, as far as one licence needs it. It is a decision.Source, so that what is explained is what
// nodes enforce.
type grounds struct {
	plan     *decision.Granted
	addOns   map[string]*AddOn
	granted  map[string]*decision.Granted // By add-on.
	features map[string]*Feature
}

// OfPlan implements decision.Source: there is one, the current one.
func (g *grounds) OfPlan(string, uint32) *decision.Granted { return g.plan }

// OfAddOn implements decision.Source.
func (g *grounds) OfAddOn(key string) *decision.Granted { return g.granted[key] }

// MeterOf implements decision.Source.
func (g *grounds) MeterOf(feature string) string {
	if f := g.features[feature]; f != nil {
		return f.Meter
	}
	return ""
}

// grounds finds what a licence's record refers to: its plan version's and its add-ons' entitlements. What is archived grants nothing.
func (l *License) grounds(ctx context.Context, r Reader, v *PlanVersion) (*grounds, error) {
	g := &grounds{addOns: map[string]*AddOn{}, granted: map[string]*decision.Granted{}, features: map[string]*Feature{}}
	var keys, features []string
	for _, a := range l.AddOns {
		keys = append(keys, a.AddOn)
	}
	found, err := r.AddOnsNamed(ctx, keys)
	if err != nil {
		return nil, err
	}
	named := func(all []Entitlement) {
		for i := range all {
			features = append(features, all[i].Feature)
		}
	}
	named(v.Entitlements)
	for i := range found {
		if a := &found[i]; !a.Archived() {
			g.addOns[a.Key] = a
			named(a.Entitlements)
		}
	}
	for i := range l.Overrides {
		if f := l.Overrides[i].Feature; f != "" {
			features = append(features, f)
		}
	}
	for i := range l.Grants {
		features = append(features, l.Grants[i].Feature)
	}
	all, err := r.FeaturesNamed(ctx, features)
	if err != nil {
		return nil, err
	}
	for i := range all {
		g.features[all[i].Key] = &all[i]
	}
	if g.plan, err = Granted(v.Entitlements, g.features); err != nil {
		return nil, err
	}
	for key, a := range g.addOns {
		if g.granted[key], err = Granted(a.Entitlements, g.features); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// grants reports whether an add-on grants a feature, or what counts on its meter.
func (g *grounds) grants(addOn string, f *Feature) bool {
	a := g.addOns[addOn]
	return a != nil && slices.ContainsFunc(a.Entitlements, func(e Entitlement) bool {
		return e.Feature == f.Key || f.Meter != "" && g.MeterOf(e.Feature) == f.Meter
	})
}
