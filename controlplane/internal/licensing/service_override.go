package licensing

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// CreateOverride puts a custom term on a licence. Unset, it starts now. Two overrides of the same thing must not overlap.
func (s *Service) CreateOverride(ctx context.Context, o Override) (Override, Epoch, error) {
	o.StartsAt, o.EndsAt = micros(o.StartsAt), micros(o.EndsAt)
	if err := o.Validate(); err != nil {
		return Override{}, Epoch{}, err
	}
	out, epoch, err := s.give(ctx, o.License, EventOverrideCreated, "override", func(w *write, l *License) (bool, map[string]string, error) {
		o := o // The write may run again.
		o.CreateTime = w.now
		if o.StartsAt.IsZero() {
			o.StartsAt = w.now
		}
		if err := w.checkOverride(ctx, l, &o); err != nil {
			return false, nil, err
		}
		var err error
		if o.ID, err = s.newID("ovr_", w.now); err != nil {
			return false, nil, err
		}
		l.Overrides = append(l.Overrides, o)
		slices.SortStableFunc(l.Overrides, func(a, b Override) int { return a.StartsAt.Compare(b.StartsAt) })
		return true, o.detail(), nil
	})
	if err != nil {
		return Override{}, Epoch{}, err
	}
	i := slices.IndexFunc(out.License.Overrides, func(o Override) bool { return o.ID == out.Given })
	if i < 0 {
		return Override{}, Epoch{}, fmt.Errorf("licence %s has no override %q", o.License, out.Given)
	}
	return out.License.Overrides[i], epoch, nil
}

func (o *Override) detail() map[string]string {
	d := map[string]string{"override": o.ID, "of": o.subject(), "value": o.words(), "reason": o.Reason, "starts_at": o.StartsAt.Format(time.RFC3339)}
	if !o.EndsAt.IsZero() {
		d["ends_at"] = o.EndsAt.Format(time.RFC3339)
	}
	return d
}

// maxOverrides bounds what a licence's record carries.
const maxOverrides = 64

// checkOverride checks an override against the licence and the catalog, and fills in what its quota leaves open.
func (w *write) checkOverride(ctx context.Context, l *License, o *Override) error {
	if err := notEnded(l, w.now); err != nil {
		return at("license", err)
	}
	if begun(o.EndsAt, w.now) {
		return invalid("ends_at", "is not in the future")
	}
	if err := w.mayOverride(o); err != nil {
		return err
	}
	if !o.EndsAt.IsZero() && !o.EndsAt.After(o.StartsAt) {
		return invalid("ends_at", "is not after starts_at")
	}
	if len(l.Overrides) >= maxOverrides {
		return refused("the licence has %d overrides already: delete some, or make a plan version of them", maxOverrides)
	}
	for i := range l.Overrides {
		if p := &l.Overrides[i]; p.subject() == o.subject() && p.overlaps(o) {
			return &Error{
				Code: FailedPrecondition, Field: "starts_at", Message: "the override " + p.ID + " replaces the same at that time: delete it, or choose other dates",
				Details: map[string]string{"kind": "override", "id": p.ID},
			}
		}
	}
	phase := l.PhaseAt(o.StartsAt)
	v, err := w.PlanVersion(ctx, phase.Plan, phase.Version)
	if err != nil {
		return err
	}
	if o.RateLimit != nil {
		return o.checkRate(&v)
	}
	f, err := w.Feature(ctx, o.Feature)
	if err := usable("feature", KindFeature, o.Feature, &f.Meta, err); err != nil {
		return err
	}
	g, err := l.grounds(ctx, w.Tx, &v)
	if err != nil {
		return err
	}
	if err := o.checkValue(&f, l.quotaOf(g, &v, f.Key, o.StartsAt)); err != nil || o.Quota == nil {
		return err
	}
	m, err := w.Meter(ctx, f.Meter)
	if err != nil {
		return err
	}
	return at("value", o.Quota.fits(&m))
}

// quotaOf is the quota that a licence's add-ons or its plan version give a feature at now; nil where there is none.
func (l *License) quotaOf(g *grounds, v *PlanVersion, feature string, now time.Time) *Quota {
	of := func(all []Entitlement) *Quota {
		if i := slices.IndexFunc(all, func(e Entitlement) bool { return e.Feature == feature }); i >= 0 {
			return all[i].Quota
		}
		return nil
	}
	for _, a := range slices.Backward(l.AddOns) {
		if n := g.addOns[a.AddOn]; n != nil && a.HoldsAt(now) && of(n.Entitlements) != nil {
			return of(n.Entitlements)
		}
	}
	return of(v.Entitlements)
}

// checkRate: an override replaces, so the plan has to have what it replaces.
func (o *Override) checkRate(v *PlanVersion) error {
	i := slices.IndexFunc(v.RateLimits, func(r RateLimit) bool { return r.Key == o.RateLimit.Key })
	if i < 0 {
		return invalid("rate_limit.key", "the plan %s has no rate limit %q", VersionID(v.Plan, v.Version), o.RateLimit.Key)
	}
	rl := *o.RateLimit
	if rl.Burst == 0 {
		rl.Burst = rl.Limit
	}
	rl.Scope = v.RateLimits[i].Scope
	o.RateLimit = &rl
	return nil
}

// checkValue: the value has to be one of the feature's type.
func (o *Override) checkValue(f *Feature, replaces *Quota) error {
	given := o.Value
	if f.Type == Static {
		if o.Quota != nil {
			return invalid("value", "the feature %q is static: it takes text, a number or a bool", f.Key)
		}
		o.Enabled = true
		return nil
	}
	o.Value = Value{}
	switch {
	case given.Kind == BoolValue:
		o.Enabled = given.Bool
		return nil
	case f.Type == Boolean:
		return invalid("value", "the feature %q is boolean: it takes true or false", f.Key)
	case given.Kind == NumberValue:
		if err := o.keepPeriod(f, replaces, given.Number); err != nil {
			return err
		}
	case o.Quota == nil:
		return invalid("value", "the feature %q is metered: it takes true or false, a number of units, or {limit, period, mode}", f.Key)
	}
	o.Enabled = true
	q := *o.Quota
	if q.Mode == "" {
		q.Mode = Hard
	}
	o.Quota = &q
	return nil
}

// keepPeriod makes a mere number of units a quota with the period and mode of the one that it replaces.
func (o *Override) keepPeriod(f *Feature, replaces *Quota, units float64) error {
	if units != math.Trunc(units) || units < 0 || units > MaxQuota {
		return invalid("value", "is %v: has to be a whole number from 0 to %d", units, int64(MaxQuota))
	}
	if replaces == nil {
		return invalid("value", "the licence has no quota of %q whose period it could keep: give limit, period and mode", f.Key)
	}
	q := *replaces
	q.Limit = int64(units)
	o.Quota = &q
	return nil
}

// DeleteOverride ends an override at once. What it replaced holds again.
func (s *Service) DeleteOverride(ctx context.Context, license, id string) (License, Epoch, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return License{}, Epoch{}, err
	}
	return s.alter(ctx, license, EventOverrideDeleted, func(w *write, l *License) (bool, map[string]string, error) {
		i := slices.IndexFunc(l.Overrides, func(o Override) bool { return o.ID == id })
		if i < 0 {
			return false, nil, &Error{Code: NotFound, Message: "the licence has no override " + id + " that has not ended", Details: map[string]string{"kind": "override", "id": id}}
		}
		if err := w.mayOverride(&l.Overrides[i]); err != nil {
			return false, nil, err
		}
		detail := l.Overrides[i].detail()
		l.Overrides = slices.Delete(l.Overrides, i, i+1)
		return true, detail, nil
	})
}
