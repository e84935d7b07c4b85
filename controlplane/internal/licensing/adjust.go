package licensing

import (
	"slices"
	"time"
)

// What support may give by itself: enough to help a customer over a day or a month, and nothing that stays.
const (
	SupportOverrideFor = 7 * 24 * time.Hour
	SupportGrantFor    = 31 * 24 * time.Hour
)

func beyondSupport(field, format string, args ...any) *Error {
	e := invalid(field, format, args...)
	e.Code = PermissionDenied
	return e
}

// mayOverride refuses a role to put, or end, what lasts for longer than it may give.
func (w *write) mayOverride(o *Override) error {
	if w.call.Role == Support && (o.EndsAt.IsZero() || o.EndsAt.Sub(w.now) > SupportOverrideFor) {
		return beyondSupport("ends_at", "support's overrides end within %d days: ask an editor for more", SupportOverrideFor/(24*time.Hour))
	}
	return nil
}

// mayGrant refuses a role to give more than the quota that the licence's plan has for one period, or for long. What the licence was given
// lately counts, whoever gave it: else the bound would be one of each call, and not of what support gives.
func (w *write) mayGrant(l *License, g *Grant, v *PlanVersion) error {
	if w.call.Role != Support {
		return nil
	}
	if g.ExpiresAt.IsZero() || g.ExpiresAt.Sub(w.now) > SupportGrantFor {
		return beyondSupport("expires_at", "support's grants expire within %d days: ask an editor for more", SupportGrantFor/(24*time.Hour))
	}
	i := slices.IndexFunc(v.Entitlements, func(e Entitlement) bool { return e.Feature == g.Feature && e.Quota != nil })
	if i < 0 {
		return beyondSupport("feature", "support grants units of a quota, and the plan %s has none of %q", VersionID(v.Plan, v.Version), g.Feature)
	}
	most, given := v.Entitlements[i].Quota.Limit, int64(0)
	for i := range l.Grants {
		if o := &l.Grants[i]; o.Feature == g.Feature && w.now.Sub(o.CreateTime) < SupportGrantFor {
			given += o.Units
		}
	}
	if g.Units > most-given {
		return beyondSupport("units", "support grants at most what the plan's quota has, %d in %d days, of which %d were given: ask an editor for more",
			most, SupportGrantFor/(24*time.Hour), given)
	}
	return nil
}
