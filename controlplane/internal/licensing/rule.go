package licensing

import (
	"slices"

	"tollgate/dataplane/decision"
)

// Rule is the licence as a decision reads it.
func (l *License) Rule() decision.License {
	statuses := map[LicenseStatus]decision.Status{
		Active: decision.Active, Suspended: decision.Suspended, Canceled: decision.Canceled, Revoked: decision.Revoked,
	}
	all := l.phases()
	out := decision.License{
		ID: l.ID, Customer: l.Customer, Phase: all[0].rule(), Status: statuses[l.Decided],
		StartsAt: l.StartsAt, EndsAt: l.EndsAt, CancelsAt: l.CancelsAt,
		PastDue: !l.GraceUntil.IsZero(), GraceUntil: l.GraceUntil, Anchor: l.Anchor,
	}
	for _, p := range all[1:] {
		out.Next = append(out.Next, p.rule())
	}
	for i := range l.Overrides {
		out.Overrides = append(out.Overrides, l.Overrides[i].rule())
	}
	for _, a := range l.AddOns {
		out.AddOns = append(out.AddOns, decision.Attachment{AddOn: a.AddOn, From: a.StartsAt, To: a.EndsAt})
	}
	for i := range l.Grants {
		out.Grants = append(out.Grants, l.Grants[i].Rule())
	}
	return out
}

func (p Phase) rule() decision.Phase {
	return decision.Phase{At: p.At, Plan: p.Plan, PlanVersion: p.Version, CounterGeneration: p.CounterGeneration}
}

func (o *Override) rule() decision.Override {
	out := decision.Override{ID: o.ID, From: o.StartsAt, To: o.EndsAt, Feature: o.Feature, Withheld: o.Feature != "" && !o.Enabled}
	if o.Quota != nil && o.Enabled {
		q := o.Quota.Rule()
		out.Quota = &q
	}
	if o.RateLimit != nil {
		rl := o.RateLimit.Rule()
		out.RateLimit = &rl
	}
	return out
}

// Granted is what entitlements grant, as a decision reads it; features has those that they are for.
func Granted(entitlements []Entitlement, features map[string]*Feature) (*decision.Granted, error) {
	all := make([]decision.Entitlement, len(entitlements))
	for i := range entitlements {
		all[i] = entitlements[i].rule()
	}
	return decision.Compile(all, func(key string) *decision.Feature {
		if f := features[key]; f != nil {
			return f.rule()
		}
		return nil
	})
}

func (e *Entitlement) rule() decision.Entitlement {
	out := decision.Entitlement{Feature: e.Feature, Enabled: e.Enabled, Value: e.Value.JSON()}
	if e.Quota != nil {
		q := e.Quota.Rule()
		out.Quota = &q
	}
	return out
}

func (f *Feature) rule() *decision.Feature {
	types := map[FeatureType]decision.FeatureType{Boolean: decision.Boolean, Metered: decision.Metered, Static: decision.Static}
	return &decision.Feature{Key: f.Key, Type: types[f.Type], Meter: f.Meter}
}

// Rule is the quota as a decision reads it.
func (q *Quota) Rule() decision.Quota {
	return decision.Quota{Limit: q.Limit, Period: q.Period.Rule(), Hard: q.Mode != Soft, Rollover: q.Rollover}
}

// Rule is the period as a decision reads it.
func (p Period) Rule() decision.Period {
	return decision.Minute + decision.Period(slices.Index(Periods(), p))
}

// Rule is the rate limit as a decision reads it.
func (r *RateLimit) Rule() decision.RateLimit {
	return decision.RateLimit{Key: r.Key, Limit: r.Limit, Per: r.Per, Burst: r.Burst}
}
