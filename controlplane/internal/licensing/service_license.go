package licensing

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// seen fills in what depends on the moment of the answer.
func (l License) seen(now time.Time) License {
	l.replan(l.phases(), now)
	l.Status = l.StatusAt(now)
	return l
}

// license reads a licence that is about to be changed, as time has left it.
func (w *write) license(ctx context.Context, id string) (License, error) {
	l, err := w.LockLicense(ctx, id)
	if err != nil {
		return l, err
	}
	w.elapse(&l)
	return l, nil
}

// elapse records what time has brought about since the licence was last looked at, and drops what is over.
func (w *write) elapse(l *License) {
	if begun(l.DueAt, w.now) {
		w.events = append(w.events, l.happenings(l.DueAt.Add(-time.Microsecond), w.now)...)
	}
	l.replan(l.phases(), w.now)
	l.Overrides = slices.DeleteFunc(slices.Clone(l.Overrides), func(o Override) bool { return begun(o.EndsAt, w.now) })
	l.AddOns = slices.DeleteFunc(slices.Clone(l.AddOns), func(a Attachment) bool { return begun(a.EndsAt, w.now) })
	l.Grants = slices.DeleteFunc(slices.Clone(l.Grants), func(g Grant) bool { return begun(g.ExpiresAt, w.now) })
}

// keep stores changed licences, tells nodes, and notes what happened to each.
func (w *write) keep(ctx context.Context, changed []License, kind EventKind, detail func(*License) map[string]string) ([]License, error) {
	for i := range changed {
		changed[i].UpdateTime = w.now
		changed[i].DueAt = changed[i].due(w.now)
	}
	out, err := w.UpdateLicenses(ctx, changed)
	if err != nil {
		return nil, err
	}
	for i := range out {
		w.rule(&out[i])
		w.happened(&out[i], kind, detail(&out[i]))
	}
	return out, nil
}

func (w *write) happened(l *License, kind EventKind, detail map[string]string) {
	w.events = append(w.events, LicenseEvent{License: l.ID, Time: w.now, Kind: kind, Status: l.StatusAt(w.now), Detail: detail})
}

// altered is the answer of a call that changes a licence: the licence, and what it was given.
type altered struct {
	License License
	Given   string // The id of an override or a grant.
}

// alter changes one licence. change reports whether it did, and what to say about it.
func (s *Service) alter(ctx context.Context, id string, kind EventKind, change func(*write, *License) (bool, map[string]string, error)) (License, Epoch, error) {
	out, epoch, err := s.give(ctx, id, kind, "", change)
	return out.License, epoch, err
}

// give is alter where the licence is given something: given is what its id is called in the event's detail.
func (s *Service) give(ctx context.Context, id string, kind EventKind, given string, change func(*write, *License) (bool, map[string]string, error)) (altered, Epoch, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return altered{}, Epoch{}, err
	}
	var out altered
	epoch, err := s.write(ctx, &out, func(w *write) error {
		l, err := w.license(ctx, id)
		if err != nil {
			return err
		}
		if err := w.holds(KindLicense, id, l.Etag); err != nil {
			return err
		}
		changed, detail, err := change(w, &l)
		out = altered{l.seen(w.now), detail[given]}
		if err != nil || !changed {
			return err
		}
		kept, err := w.keep(ctx, []License{l}, kind, func(*License) map[string]string { return detail })
		if err != nil {
			return err
		}
		out.License = kept[0].seen(w.now)
		return nil
	})
	if err != nil {
		return altered{}, Epoch{}, err
	}
	return out, epoch, nil
}

// IssueLicense makes a licence. Unset, starts_at is now, anchor is starts_at, and plan_version the newest published.
// Dates may lie in the past.
func (s *Service) IssueLicense(ctx context.Context, l License) (License, Epoch, error) {
	if err := l.Validate(); err != nil {
		return License{}, Epoch{}, err
	}
	var out License
	epoch, err := s.write(ctx, &out, func(w *write) error {
		out = w.newLicense(l)
		if err := out.Validate(); err != nil {
			return err
		}
		c, v, err := w.offered(ctx, &out)
		if err != nil {
			return err
		}
		if err := w.complete(&out, &c, &v); err != nil {
			return err
		}
		made, err := w.issue(ctx, []License{out})
		if err != nil {
			return err
		}
		out = made[0]
		return nil
	})
	return out.seen(s.now()), epoch, err
}

// newLicense is a licence that is to be issued, with what was left out of its dates.
func (w *write) newLicense(l License) License {
	l.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	l.Decided, l.CounterGeneration = Active, 1
	for _, t := range []*time.Time{&l.StartsAt, &l.EndsAt, &l.TrialEndsAt, &l.Anchor} {
		*t = micros(*t)
	}
	if l.StartsAt.IsZero() {
		l.StartsAt = w.now
	}
	if l.Anchor.IsZero() {
		l.Anchor = l.StartsAt
	}
	return l
}

// complete sets what follows from the customer and the plan version, and gives the licence its id.
func (w *write) complete(l *License, c *Customer, v *PlanVersion) (err error) {
	l.PlanVersion = v.Version
	if l.TrialEndsAt.IsZero() && v.TrialDays > 0 {
		zone, err := time.LoadLocation(c.TimeZone)
		if err != nil {
			return err
		}
		l.TrialEndsAt = l.StartsAt.In(zone).AddDate(0, 0, v.TrialDays).UTC()
		if begun(l.EndsAt, l.TrialEndsAt) {
			l.TrialEndsAt = l.EndsAt
		}
		if err := checkTime("trial_ends_at", l.TrialEndsAt); err != nil {
			return err
		}
	}
	l.DueAt = l.due(w.now)
	l.ID, err = w.svc.newID("lic_", w.now)
	return err
}

// issue stores new licences, tells nodes, and notes that they were issued.
func (w *write) issue(ctx context.Context, all []License) ([]License, error) {
	out, err := w.InsertLicenses(ctx, all)
	if err != nil {
		return nil, err
	}
	for i := range out {
		w.rule(&out[i])
		w.happened(&out[i], EventIssued, planDetail(out[i].Plan, out[i].PlanVersion))
	}
	return out, nil
}

func planDetail(plan string, version uint32) map[string]string {
	return map[string]string{"plan": plan, "version": strconv.FormatUint(uint64(version), 10)}
}

// sellable finds a version that a licence can be on; 0 asks for the newest published that is in effect.
func (w *write) sellable(ctx context.Context, plan string, version uint32) (PlanVersion, error) {
	p, err := w.livePlan(ctx, plan)
	if err != nil {
		return PlanVersion{}, at("plan", err)
	}
	var v PlanVersion
	if version == 0 {
		if v, err = w.inEffect(ctx, &p); err != nil {
			return PlanVersion{}, at("plan", err)
		}
	} else if v, err = w.PlanVersion(ctx, plan, version); err != nil {
		return PlanVersion{}, at("plan_version", err)
	}
	if v.State != Published {
		return PlanVersion{}, at("plan_version", refused("version %d of plan %q is a %s", v.Version, plan, v.State))
	}
	// An older version may grant what was archived since.
	return v, w.checkVersion(ctx, &v)
}

// inEffect is the newest published version of a plan that is in effect.
func (w *write) inEffect(ctx context.Context, p *Plan) (PlanVersion, error) {
	for n := p.PublishedVersion; n > 0; n-- {
		v, err := w.PlanVersion(ctx, p.Key, n)
		if CodeOf(err) == NotFound || err == nil && (v.State != Published || v.EffectiveAt.After(w.now)) {
			continue
		}
		return v, err
	}
	return PlanVersion{}, refused("the plan %q has no published version that is in effect", p.Key)
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

// ListLicenses filters by customer, external_id, plan, plan_version, status (as of now).
func (s *Service) ListLicenses(ctx context.Context, l List) (Page[License], error) {
	now := s.now()
	if v, ok := l.Filter["status"]; ok && !slices.Contains(Statuses(), LicenseStatus(v)) {
		return Page[License]{}, invalid("filter.status", "%q is not a status: use one of %v", v, Statuses())
	}
	p, err := page(l, []string{"customer", "external_id", "plan", "plan_version", "status"},
		func(l List) ([]License, error) { return s.store.Licenses(ctx, l, now) },
		func(l *License) string { return l.ID })
	for i := range p.Items {
		p.Items[i] = p.Items[i].seen(now)
	}
	return p, err
}

// SuspendLicense stops a licence until it is resumed.
func (s *Service) SuspendLicense(ctx context.Context, id string) (License, Epoch, error) {
	return s.decide(ctx, id, EventSuspended, Suspended)
}

// ResumeLicense ends a suspension, a missing payment, and a cancellation that is still to come.
func (s *Service) ResumeLicense(ctx context.Context, id string) (License, Epoch, error) {
	return s.decide(ctx, id, EventResumed, Active)
}

// RevokeLicense ends a licence for good, at once.
func (s *Service) RevokeLicense(ctx context.Context, id string) (License, Epoch, error) {
	return s.decide(ctx, id, EventRevoked, Revoked)
}

// decide brings a licence to one of the decided statuses. A licence that is there already stays as it is.
func (s *Service) decide(ctx context.Context, id string, kind EventKind, to LicenseStatus) (License, Epoch, error) {
	return s.alter(ctx, id, kind, func(w *write, l *License) (bool, map[string]string, error) {
		was := l.StatusAt(w.now)
		if was == Revoked || was == Canceled && to != Revoked {
			if was == to {
				return false, nil, nil
			}
			return false, nil, refused("the licence is %s for good", was)
		}
		pending := to == Active && (!l.GraceUntil.IsZero() || !l.CancelsAt.IsZero())
		if l.Decided == to && !pending {
			return false, nil, nil
		}
		l.Decided = to
		if to == Active {
			l.GraceUntil, l.CancelsAt = time.Time{}, time.Time{}
		}
		return true, map[string]string{"was": string(was)}, nil
	})
}
