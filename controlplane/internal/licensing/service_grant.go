package licensing

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// maxGrants bounds what a licence's record carries.
const maxGrants = 64

// CreateGrant gives a licence extra units of a metered feature. Unset, it starts now and never expires.
func (s *Service) CreateGrant(ctx context.Context, g Grant) (Grant, Epoch, error) {
	g.StartsAt, g.ExpiresAt = micros(g.StartsAt), micros(g.ExpiresAt)
	if err := g.Validate(); err != nil {
		return Grant{}, Epoch{}, err
	}
	out, epoch, err := s.give(ctx, g.License, EventGrantCreated, "grant", func(w *write, l *License) (bool, map[string]string, error) {
		g := g // The write may run again.
		g.CreateTime = w.now
		if g.StartsAt.IsZero() {
			g.StartsAt = w.now
		}
		if err := w.checkGrant(ctx, l, &g); err != nil {
			return false, nil, err
		}
		var err error
		if g.ID, err = s.newID("grt_", w.now); err != nil {
			return false, nil, err
		}
		l.Grants = append(l.Grants, g)
		detail := map[string]string{"grant": g.ID, "feature": g.Feature, "units": strconv.FormatInt(g.Units, 10), "reason": g.Reason}
		if !g.ExpiresAt.IsZero() {
			detail["expires_at"] = g.ExpiresAt.Format(time.RFC3339)
		}
		return true, detail, nil
	})
	if err != nil {
		return Grant{}, Epoch{}, err
	}
	i := slices.IndexFunc(out.License.Grants, func(g Grant) bool { return g.ID == out.Given })
	if i < 0 {
		return Grant{}, Epoch{}, fmt.Errorf("licence %s has no grant %q", g.License, out.Given)
	}
	return out.License.Grants[i], epoch, nil
}

func (w *write) checkGrant(ctx context.Context, l *License, g *Grant) error {
	if err := notEnded(l, w.now); err != nil {
		return at("license", err)
	}
	if begun(g.ExpiresAt, w.now) {
		return invalid("expires_at", "is not in the future")
	}
	if !g.ExpiresAt.IsZero() && !g.ExpiresAt.After(g.StartsAt) {
		return invalid("expires_at", "is not after starts_at")
	}
	if len(l.Grants) >= maxGrants {
		return refused("the licence has %d grants already: wait until some have expired, or change its plan", maxGrants)
	}
	f, err := w.Feature(ctx, g.Feature)
	if err := usable("feature", KindFeature, g.Feature, &f.Meta, err); err != nil {
		return err
	}
	if f.Type != Metered {
		return invalid("feature", "the feature %q is %s: units are granted of metered ones", g.Feature, f.Type)
	}
	m, err := w.Meter(ctx, f.Meter)
	if err == nil && !m.Aggregation.Adds() {
		err = invalid("feature", "the meter %q is of aggregation %s: units are granted of what adds up", m.Key, m.Aggregation)
	}
	if err != nil {
		return err
	}
	phase := l.PhaseAt(g.StartsAt)
	v, err := w.PlanVersion(ctx, phase.Plan, phase.Version)
	if err != nil {
		return err
	}
	return w.mayGrant(l, g, &v)
}
