package licensing

import (
	"context"
	"time"

	"tollgate/dataplane/decision"
)

// When says when a change takes effect.
type When string

// The moments.
const (
	WhenDefault When = ""           // As WhenNow.
	WhenNow     When = "now"        // At once.
	PeriodEnd   When = "period_end" // When the licence's billing period ends.
)

func (when When) validate() error {
	switch when {
	case WhenDefault, WhenNow, PeriodEnd:
		return nil
	default:
		return invalid("when", "%q is not a moment: use now or period_end", string(when))
	}
}

// zone is a customer's.
func (w *write) zone(ctx context.Context, customer string) (*time.Location, error) {
	c, err := w.Customer(ctx, customer)
	if err != nil {
		return nil, err
	}
	return time.LoadLocation(c.TimeZone)
}

// periodEnd is when the billing period of a licence ends that contains t.
func (w *write) periodEnd(ctx context.Context, l *License, t time.Time) (time.Time, error) {
	zone, err := w.zone(ctx, l.Customer)
	if err != nil {
		return time.Time{}, err
	}
	return decision.SpanAt(decision.Billing, zone, l.Anchor, t).End.UTC(), nil
}

func notEnded(l *License, now time.Time) error {
	if l.ended(now) {
		return refused("the licence is %s", l.StatusAt(now))
	}
	return nil
}

// PlanChange is a licence's way to another plan or version.
type PlanChange struct {
	License string
	Plan    string
	Version uint32 // 0: the newest that is in effect.
	When    When
	// ResetUsage starts all counters anew. Otherwise what was used counts under the new plan, too.
	ResetUsage bool
}

// ChangePlan puts a licence on another plan or version, at once or when its billing period ends. It replaces a change that
// was planned before. What was used of a meter stays used, unless ResetUsage is set.
func (s *Service) ChangePlan(ctx context.Context, c PlanChange) (License, Epoch, error) {
	if err := checkKey("plan", c.Plan); err != nil {
		return License{}, Epoch{}, err
	}
	if err := c.When.validate(); err != nil {
		return License{}, Epoch{}, err
	}
	kind := EventPlanChanged
	if c.When == PeriodEnd {
		kind = EventPlanChangePlanned
	}
	return s.alter(ctx, c.License, kind, func(w *write, l *License) (bool, map[string]string, error) {
		if err := notEnded(l, w.now); err != nil {
			return false, nil, err
		}
		v, err := w.sellable(ctx, c.Plan, c.Version)
		if err != nil {
			return false, nil, err
		}
		version := v.Version
		next := Phase{At: w.now, Plan: c.Plan, Version: version, CounterGeneration: l.CounterGeneration}
		if c.ResetUsage {
			next.CounterGeneration = l.nextGeneration()
		}
		detail := planDetail(c.Plan, version)
		if c.When == PeriodEnd {
			if next.At, err = w.periodEnd(ctx, l, w.now); err != nil {
				return false, nil, err
			}
			detail["at"] = next.At.Format(time.RFC3339)
		}
		was := l.phases()
		l.enter(next, w.now)
		now := l.phases()
		same := len(was) == len(now)
		for i := 0; same && i < len(was); i++ {
			same = was[i].Plan == now[i].Plan && was[i].Version == now[i].Version && was[i].CounterGeneration == now[i].CounterGeneration &&
				(i == 0 || was[i].At.Equal(now[i].At))
		}
		return !same, detail, nil
	})
}

// CancelLicense ends a licence at the customer's wish, at once or when its billing period ends.
func (s *Service) CancelLicense(ctx context.Context, id string, when When) (License, Epoch, error) {
	if err := when.validate(); err != nil {
		return License{}, Epoch{}, err
	}
	if when != PeriodEnd {
		return s.decide(ctx, id, EventCanceled, Canceled)
	}
	return s.alter(ctx, id, EventCancelScheduled, func(w *write, l *License) (bool, map[string]string, error) {
		if err := notEnded(l, w.now); err != nil {
			return false, nil, err
		}
		at, err := w.periodEnd(ctx, l, w.now)
		if err != nil || l.CancelsAt.Equal(at) {
			return false, nil, err
		}
		l.CancelsAt = at
		return true, map[string]string{"at": at.Format(time.RFC3339)}, nil
	})
}

// SetPastDue notes that a payment is missing. Requests are forwarded until grace ends, and denied from then on until the licence is
// resumed. A grace that has ended already denies at once.
func (s *Service) SetPastDue(ctx context.Context, id string, grace time.Time) (License, Epoch, error) {
	if grace.IsZero() {
		return License{}, Epoch{}, invalid("grace_until", "is required: until when requests are forwarded all the same")
	}
	if err := checkTime("grace_until", grace); err != nil {
		return License{}, Epoch{}, err
	}
	grace = micros(grace)
	return s.alter(ctx, id, EventPastDue, func(w *write, l *License) (bool, map[string]string, error) {
		if err := notEnded(l, w.now); err != nil {
			return false, nil, err
		}
		if l.GraceUntil.Equal(grace) {
			return false, nil, nil
		}
		l.GraceUntil = grace
		return true, map[string]string{"grace_until": grace.Format(time.RFC3339)}, nil
	})
}

// RenewLicense moves a licence's end: to end, or, where that is zero, by as many terms as the licence had, to the first that is to
// come. A licence that has expired comes back.
func (s *Service) RenewLicense(ctx context.Context, id string, end time.Time) (License, Epoch, error) {
	if err := checkTime("ends_at", end); err != nil {
		return License{}, Epoch{}, err
	}
	end = micros(end)
	return s.alter(ctx, id, EventRenewed, func(w *write, l *License) (bool, map[string]string, error) {
		switch was := l.StatusAt(w.now); {
		case was == Revoked || was == Canceled:
			return false, nil, refused("the licence is %s for good", was)
		case l.EndsAt.IsZero():
			return false, nil, refused("the licence has no end, so there is nothing to renew")
		}
		next := end
		if next.IsZero() {
			zone, err := w.zone(ctx, l.Customer)
			if err != nil {
				return false, nil, err
			}
			next = nextTerm(l.StartsAt, l.EndsAt, w.now, zone)
		}
		if !next.After(w.now) || !next.After(l.EndsAt) {
			return false, nil, invalid("ends_at", "has to be in the future, and after %s", l.EndsAt.Format(time.RFC3339))
		}
		if err := checkTime("ends_at", next); err != nil {
			return false, nil, err
		}
		if err := w.checkRevival(ctx, l); err != nil {
			return false, nil, err
		}
		detail := map[string]string{"was": l.EndsAt.Format(time.RFC3339), "ends_at": next.Format(time.RFC3339)}
		l.EndsAt = next
		return true, detail, nil
	})
}

// checkRevival refuses to bring a licence back whose customer or plan was archived after it had ended: nodes have neither, so they would
// deny what is shown as active.
func (w *write) checkRevival(ctx context.Context, l *License) error {
	if !l.ended(w.now) {
		return nil
	}
	c, err := w.Customer(ctx, l.Customer)
	if err := usable("id", KindCustomer, l.Customer, &c.Meta, err); err != nil {
		return err
	}
	all := l.phases()
	for _, ph := range all[phaseIndex(all, w.now):] {
		p, err := w.Plan(ctx, ph.Plan)
		if err := usable("id", KindPlan, ph.Plan, &p.Meta, err); err != nil {
			return err
		}
	}
	return nil
}
