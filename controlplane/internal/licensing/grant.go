package licensing

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tollgate/dataplane/decision"
)

// Grant is extra units of one metered feature, beside its hard quota. Units, never money.
type Grant struct {
	ID      string // grt_ + ULID.
	License string // The licence's id.
	Feature string
	Units   int64
	// Priority is the grant's place in the burn order: lower burns first. Below zero it burns before the plan's quota, else after it.
	Priority   int32
	StartsAt   time.Time // Zero when created: now.
	ExpiresAt  time.Time // Exclusive; zero: never.
	Reason     string
	CreateTime time.Time
}

// Validate checks what callers set, but not that licence and feature exist.
func (g *Grant) Validate() error {
	if g.License == "" {
		return invalid("license", "is required: the licence's id")
	}
	if err := checkText("license", g.License, maxKey); err != nil {
		return err
	}
	if err := checkKey("feature", g.Feature); err != nil {
		return err
	}
	if g.Units < 1 || g.Units > MaxQuota {
		return invalid("units", "is %d: has to be from 1 to %d", g.Units, int64(MaxQuota))
	}
	if g.Priority < -1000 || g.Priority > 1000 {
		return invalid("priority", "is %d: has to be from -1000 to 1000", g.Priority)
	}
	if err := checkText("reason", g.Reason, 500); err != nil {
		return err
	}
	for field, t := range map[string]time.Time{"starts_at": g.StartsAt, "expires_at": g.ExpiresAt} {
		if err := checkTime(field, t); err != nil {
			return err
		}
	}
	if !g.ExpiresAt.IsZero() && !g.ExpiresAt.After(g.StartsAt) {
		return invalid("expires_at", "is not after starts_at")
	}
	return nil
}

// Rule is the grant as a decision reads it.
func (g *Grant) Rule() decision.Grant {
	return decision.Grant{ID: g.ID, Feature: g.Feature, Units: g.Units, From: g.StartsAt, To: g.ExpiresAt}
}

// BurnOrder sorts grants as they are drawn from: by priority, then the soonest to expire, then the oldest. before is how many of them burn before
// the plan's quota.
func BurnOrder(grants []Grant) (ordered []Grant, before int) {
	ordered = slices.Clone(grants)
	slices.SortStableFunc(ordered, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), compareEnds(a.ExpiresAt, b.ExpiresAt), strings.Compare(a.ID, b.ID))
	})
	for before < len(ordered) && ordered[before].Priority < 0 {
		before++
	}
	return ordered, before
}

// compareEnds: what never ends comes last.
func compareEnds(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	default:
		return a.Compare(b)
	}
}
