package licensing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tollgate/dataplane/decision"
)

// Entitled is what a licence is granted of one feature at one moment, and where that comes from.
type Entitled struct {
	Feature Feature
	Granted bool
	Value   Value // Of a static feature.
	// Quota is a metered feature's; nil: unlimited. Its Limit is without grants and what was carried over.
	Quota *Quota
	// Limit is what there is in the period: the quota's, what was CarriedOver from the period before, and what is left, or was drawn in this period,
	// of grants. Used is what is counted in the period, and complete up to AsOf.
	Limit, CarriedOver, Used int64
	// ResetsAt is when the period ends; zero: never, or after the year 9999.
	ResetsAt time.Time
	AsOf     time.Time
	// Source says what the value comes from: "plan_version:free@1", "add_on:extra", "override:ovr_…", "grant:grt_…". Of a metered feature
	// that is what its meter is counted under, which another feature's entitlement may be.
	Source string
	// ExpiresAt is when the source ends, or another takes over; zero: never.
	ExpiresAt time.Time
	// Grants are in burn order: all on the feature's meter, for they are spent under whichever entitlement it is counted under.
	Grants []GrantLeft
	// replaced: an add-on or an override may take over before ExpiresAt.
	replaced bool
}

// GrantLeft is a grant and how many of its units are lent or used.
type GrantLeft struct {
	Grant
	Drawn int64
}

// Pool is what units of a hard quota are lent from: a licence's, of one meter, in one period.
type Pool struct {
	License, Meter string
	Span           decision.Span
	Generation     uint64
}

// EntitledRate is a rate limit of a licence at one moment, and where it comes from.
type EntitledRate struct {
	RateLimit
	Source    string
	ExpiresAt time.Time
}

// Entitlements are what a licence is granted at a moment: override before add-on before plan version, and grants beside a quota. They are what nodes
// enforce, whatever the licence's status is, which stands in License.
type Entitlements struct {
	License    License
	Features   []Entitled // By key.
	RateLimits []EntitledRate
}

// GetEntitlements explains what a licence is granted at a moment; zero: now.
func (s *Service) GetEntitlements(ctx context.Context, id string, moment time.Time) (Entitlements, error) {
	if err := checkText("license", id, maxKey); err != nil {
		return Entitlements{}, err
	}
	if err := checkTime("at", moment); err != nil {
		return Entitlements{}, err
	}
	if moment.IsZero() {
		moment = s.now()
	}
	l, err := s.store.License(ctx, id)
	if err != nil {
		return Entitlements{}, at("license", err)
	}
	c, err := s.store.Customer(ctx, l.Customer)
	if err != nil {
		return Entitlements{}, err
	}
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return Entitlements{}, err
	}
	phase := l.PhaseAt(moment)
	v, err := s.store.PlanVersion(ctx, phase.Plan, phase.Version)
	if err != nil {
		return Entitlements{}, err
	}
	g, err := l.grounds(ctx, s.store, &v)
	if err != nil {
		return Entitlements{}, err
	}
	e := explainer{svc: s, license: l, phase: phase, version: v, grounds: g, zone: zone, at: moment}
	out := Entitlements{License: l.seen(moment), RateLimits: e.rates()}
	out.Features, err = e.features(ctx)
	return out, err
}

type explainer struct {
	svc     *Service
	license License
	phase   Phase
	version PlanVersion
	grounds *grounds
	zone    *time.Location
	at      time.Time
}

// features puts together what the version, the add-ons, the overrides and the grants are for.
func (e *explainer) features(ctx context.Context) ([]Entitled, error) {
	byKey := map[string]*Entitled{}
	until := e.phaseEnd()
	planned := map[string]bool{}
	for _, en := range e.version.Entitlements {
		planned[en.Feature] = true
		byKey[en.Feature] = &Entitled{Granted: en.Enabled, Value: en.Value, Quota: en.Quota, Source: "plan_version:" + VersionID(e.phase.Plan, e.phase.Version), ExpiresAt: until}
	}
	for _, a := range e.license.AddOns {
		if n := e.grounds.addOns[a.AddOn]; n != nil && a.HoldsAt(e.at) {
			for _, en := range n.Entitlements {
				planned[en.Feature] = true
				byKey[en.Feature] = &Entitled{Granted: en.Enabled, Value: en.Value, Quota: en.Quota, Source: "add_on:" + a.AddOn, ExpiresAt: a.EndsAt}
			}
		}
	}
	for _, en := range byKey {
		en.replaced = true
	}
	for i := range e.license.Overrides {
		if o := &e.license.Overrides[i]; o.Feature != "" && o.HoldsAt(e.at) {
			planned[o.Feature] = false
			byKey[o.Feature] = &Entitled{Granted: o.Enabled, Value: o.Value, Quota: o.Quota, Source: "override:" + o.ID, ExpiresAt: o.EndsAt}
		}
	}
	grants, err := e.grants(ctx)
	if err != nil {
		return nil, err
	}
	for i := range grants {
		if g := &grants[i]; byKey[g.Feature] == nil {
			byKey[g.Feature] = &Entitled{Source: "grant:" + g.ID, ExpiresAt: g.ExpiresAt}
		}
	}
	for key, en := range byKey {
		for i := range grants {
			if m := e.grounds.MeterOf(key); m != "" && m == e.grounds.MeterOf(grants[i].Feature) {
				en.Grants = append(en.Grants, grants[i])
			}
		}
		f := e.grounds.features[key]
		if f == nil {
			return nil, fmt.Errorf("licence %s refers to feature %s, which is not there", e.license.ID, key)
		}
		en.Feature = *f
		// Plans and add-ons say of boolean features alone whether they are on.
		en.Granted = en.Granted || planned[key] && f.Type != Boolean
		if en.replaced {
			en.ExpiresAt = e.takenOver(f, en.ExpiresAt)
		}
	}
	e.share(byKey)
	out := make([]Entitled, 0, len(byKey))
	for _, en := range byKey {
		if err := e.count(ctx, en); err != nil {
			return nil, err
		}
		out = append(out, *en)
	}
	slices.SortFunc(out, func(a, b Entitled) int { return cmp.Compare(a.Feature.Key, b.Feature.Key) })
	return out, nil
}

// grants are those that hold, in burn order.
func (e *explainer) grants(ctx context.Context) (out []GrantLeft, err error) {
	ordered, _ := BurnOrder(e.license.Grants)
	var ids []string
	for i := range ordered {
		if g := &ordered[i]; !e.at.Before(g.StartsAt) && !begun(g.ExpiresAt, e.at) {
			out, ids = append(out, GrantLeft{Grant: *g}), append(ids, g.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	drawn, err := e.svc.store.Drawn(ctx, ids)
	for i := range out {
		out[i].Drawn = drawn[out[i].ID]
	}
	return out, err
}

// takenOver is when what an add-on or the plan says of a feature ends: at end, or when a later add-on or an override takes over.
func (e *explainer) takenOver(f *Feature, end time.Time) time.Time {
	sooner := func(at time.Time) {
		if at.After(e.at) && (end.IsZero() || at.Before(end)) {
			end = at
		}
	}
	for _, a := range e.license.AddOns {
		if e.grounds.grants(a.AddOn, f) {
			sooner(a.StartsAt)
		}
	}
	for i := range e.license.Overrides {
		if o := &e.license.Overrides[i]; o.Feature == f.Key || o.Enabled && f.Meter != "" && e.grounds.MeterOf(o.Feature) == f.Meter {
			sooner(o.StartsAt)
		}
	}
	return end
}

// share gives features of one meter the quota that the meter is counted under, as nodes do.
func (e *explainer) share(byKey map[string]*Entitled) {
	rule := e.license.Rule()
	for key, en := range byKey {
		if en.Feature.Type != Metered || !en.Granted {
			continue
		}
		counted, ok := rule.Counts(e.grounds, en.Feature.Meter, e.at)
		if w := byKey[counted.Feature]; ok && counted.Feature != key && w != nil {
			en.Quota, en.Source, en.ExpiresAt = w.Quota, w.Source, w.ExpiresAt
		}
	}
}

// count fills in what is counted of a metered feature.
func (e *explainer) count(ctx context.Context, en *Entitled) error {
	if en.Feature.Type != Metered {
		return nil
	}
	from, to := e.license.StartsAt, endOfTime
	if en.Quota != nil {
		span := decision.SpanAt(en.Quota.Period.Rule(), e.zone, e.license.Anchor, e.at)
		from, en.Limit = span.Start, en.Quota.Limit
		if !span.End.IsZero() {
			to, en.ResetsAt = span.End, span.End.UTC()
			if en.ResetsAt.After(endOfTime) {
				en.ResetsAt = time.Time{} // It could not be written.
			}
		}
		pool := Pool{License: e.license.ID, Meter: en.Feature.Meter, Span: span, Generation: e.phase.CounterGeneration}
		if err := e.addUnits(ctx, en, pool); err != nil {
			return err
		}
	}
	var err error
	en.Used, en.AsOf, err = e.svc.store.Used(ctx, e.license.ID, en.Feature.Meter, e.phase.CounterGeneration, from, to)
	if err != nil {
		return fmt.Errorf("what is used of %s: %w", en.Feature.Key, err)
	}
	return nil
}

// addUnits adds to a hard quota's limit what was carried over, what is left of grants, and what was taken of them in the period itself. What an
// earlier period took of them is gone.
func (e *explainer) addUnits(ctx context.Context, en *Entitled, pool Pool) error {
	if en.Quota.Mode == Soft {
		return nil
	}
	if en.Quota.Rollover > 0 {
		var err error
		if en.CarriedOver, err = e.carried(ctx, en, pool); err != nil {
			return err
		}
		en.Limit += en.CarriedOver
	}
	if len(en.Grants) == 0 {
		return nil
	}
	var ids []string
	for i := range en.Grants {
		ids = append(ids, en.Grants[i].ID)
	}
	here, err := e.svc.store.DrawnIn(ctx, ids, pool)
	if err != nil {
		return err
	}
	for i := range en.Grants {
		g := &en.Grants[i]
		en.Limit += max(0, g.Units-g.Drawn) + here[g.ID]
	}
	return nil
}

// carried is what the period before leaves for a pool: for the current one as the lender would find it now, for others as of their last loan.
func (e *explainer) carried(ctx context.Context, en *Entitled, pool Pool) (int64, error) {
	now, last := e.svc.now(), pool.Span.Start.Add(-time.Nanosecond)
	if now.Before(pool.Span.Start) || !pool.Span.End.IsZero() && !now.Before(pool.Span.End) {
		return e.svc.store.Rolled(ctx, pool)
	}
	if last.Before(e.license.StartsAt) {
		return 0, nil
	}
	phase, grounds := e.license.PhaseAt(last), e.grounds
	if phase.Plan != e.phase.Plan || phase.Version != e.phase.Version {
		v, err := e.svc.store.PlanVersion(ctx, phase.Plan, phase.Version)
		if err != nil {
			return 0, err
		}
		if grounds, err = e.license.grounds(ctx, e.svc.store, &v); err != nil {
			return 0, err
		}
	}
	rule := e.license.Rule()
	was, ok := rule.Counts(grounds, pool.Meter, last)
	if !ok || was.Quota == nil || !was.Quota.Hard || was.Quota.Period != en.Quota.Period.Rule() {
		return 0, nil
	}
	before := pool
	before.Span = decision.SpanAt(was.Quota.Period, e.zone, e.license.Anchor, last)
	return e.svc.store.Carried(ctx, before, Quota{Limit: was.Quota.Limit, Rollover: en.Quota.Rollover})
}

// phaseEnd is when another phase begins; zero: never.
func (e *explainer) phaseEnd() time.Time {
	all := e.license.phases()
	if i := phaseIndex(all, e.at) + 1; i < len(all) {
		return all[i].At
	}
	return time.Time{}
}

func (e *explainer) rates() []EntitledRate {
	var out []EntitledRate
	for _, r := range e.version.RateLimits {
		next := EntitledRate{RateLimit: r, Source: "plan_version:" + VersionID(e.phase.Plan, e.phase.Version), ExpiresAt: e.phaseEnd()}
		for i := range e.license.Overrides {
			if o := &e.license.Overrides[i]; o.RateLimit != nil && o.RateLimit.Key == r.Key && o.HoldsAt(e.at) {
				next = EntitledRate{RateLimit: *o.RateLimit, Source: "override:" + o.ID, ExpiresAt: o.EndsAt}
			}
		}
		out = append(out, next)
	}
	return out
}
