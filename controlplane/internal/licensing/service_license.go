package licensing

import (
	"context"
	"time"
)

// seen fills in what depends on the moment of the answer.
func (l License) seen(now time.Time) License {
	l.Status = l.StatusAt(now)
	return l
}

// IssueLicense makes a licence. Unset, starts_at is now, anchor is starts_at, and plan_version the newest published.
// Dates may lie in the past.
func (s *Service) IssueLicense(ctx context.Context, l License) (License, Epoch, error) {
	if err := l.Validate(); err != nil {
		return License{}, Epoch{}, err
	}
	var out License
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out = l
		out.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
		out.Decided, out.CounterGeneration = Active, 1
		for _, t := range []*time.Time{&out.StartsAt, &out.EndsAt, &out.Anchor} {
			*t = micros(*t)
		}
		if out.StartsAt.IsZero() {
			out.StartsAt = w.now
		}
		if out.Anchor.IsZero() {
			out.Anchor = out.StartsAt
		}
		if err := out.Validate(); err != nil {
			return err
		}
		c, err := w.Customer(ctx, out.Customer)
		if err != nil {
			return at("customer", err)
		}
		if err := at("customer", current(KindCustomer, c.ID, "", &c.Meta)); err != nil {
			return err
		}
		if out.PlanVersion, err = w.sellable(ctx, out.Plan, out.PlanVersion); err != nil {
			return err
		}
		if out.ID, err = s.newID("lic_", w.now); err != nil {
			return err
		}
		if out, err = w.InsertLicense(ctx, out); err != nil {
			return err
		}
		w.rule(&out)
		return nil
	})
	return out.seen(s.now()), epoch, err
}

// sellable finds the number of a version that a licence can be issued on; 0 asks for the newest published.
func (w *write) sellable(ctx context.Context, plan string, version uint32) (uint32, error) {
	p, err := w.livePlan(ctx, plan)
	if err != nil {
		return 0, at("plan", err)
	}
	if version == 0 {
		version = p.PublishedVersion
	}
	if version == 0 {
		return 0, at("plan", refused("the plan %q has no published version", plan))
	}
	v, err := w.PlanVersion(ctx, plan, version)
	if err != nil {
		return 0, at("plan_version", err)
	}
	if v.State != Published {
		return 0, at("plan_version", refused("version %d of plan %q is a %s", version, plan, v.State))
	}
	// An older version may grant what was archived since.
	return version, w.checkVersion(ctx, &v)
}

// GetLicense finds a licence by id.
func (s *Service) GetLicense(ctx context.Context, id string) (License, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return License{}, err
	}
	l, err := s.store.License(ctx, id)
	if err != nil {
		return License{}, err
	}
	return l.seen(s.now()), nil
}

// ListLicenses filters by customer, plan, plan_version, status (as of now).
func (s *Service) ListLicenses(ctx context.Context, l List) (Page[License], error) {
	now := s.now()
	p, err := page(l, []string{"customer", "plan", "plan_version", "status"},
		func(l List) ([]License, error) { return s.store.Licenses(ctx, l, now) },
		func(l *License) string { return l.ID })
	for i := range p.Items {
		p.Items[i] = p.Items[i].seen(now)
	}
	return p, err
}

// SuspendLicense stops a licence until it is resumed.
func (s *Service) SuspendLicense(ctx context.Context, id string) (License, Epoch, error) {
	return s.decide(ctx, id, Suspended, Active)
}

// ResumeLicense ends a suspension.
func (s *Service) ResumeLicense(ctx context.Context, id string) (License, Epoch, error) {
	return s.decide(ctx, id, Active, Suspended)
}

// RevokeLicense ends a licence for good, at once.
func (s *Service) RevokeLicense(ctx context.Context, id string) (License, Epoch, error) {
	return s.decide(ctx, id, Revoked, Active, Suspended, Canceled)
}

// CancelLicense ends a licence at the customer's wish, at once.
func (s *Service) CancelLicense(ctx context.Context, id string) (License, Epoch, error) {
	return s.decide(ctx, id, Canceled, Active, Suspended)
}

// decide brings a licence from one of the decided statuses to another. A licence that is there already stays as
// it is.
func (s *Service) decide(ctx context.Context, id string, to LicenseStatus, from ...LicenseStatus) (License, Epoch, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return License{}, Epoch{}, err
	}
	var out License
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.License(ctx, id); err != nil {
			return err
		}
		if err := w.holds(KindLicense, id, out.Etag); err != nil || out.Decided == to {
			return err
		}
		allowed := false
		for _, f := range from {
			allowed = allowed || out.Decided == f
		}
		if !allowed {
			return refused("the licence is %s for good", out.Decided)
		}
		out.Decided, out.UpdateTime = to, w.now
		if out, err = w.UpdateLicense(ctx, out); err != nil {
			return err
		}
		w.rule(&out)
		return nil
	})
	if err != nil {
		return License{}, Epoch{}, err
	}
	return out.seen(s.now()), epoch, nil
}
