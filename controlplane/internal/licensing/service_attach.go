package licensing

import (
	"context"
	"time"
)

// AttachAddOn gives a licence an add-on. Unset, it starts now. A licence has an add-on once at a time.
func (s *Service) AttachAddOn(ctx context.Context, license string, a Attachment) (License, Epoch, error) {
	a.StartsAt, a.EndsAt = micros(a.StartsAt), micros(a.EndsAt)
	if err := a.Validate(); err != nil {
		return License{}, Epoch{}, err
	}
	return s.alter(ctx, license, EventAddOnAttached, func(w *write, l *License) (bool, map[string]string, error) {
		a := a // The write may run again.
		if a.StartsAt.IsZero() {
			a.StartsAt = w.now
		}
		if err := w.checkAttachment(ctx, l, &a); err != nil {
			return false, nil, err
		}
		l.attach(a)
		return true, a.detail(), nil
	})
}

func (w *write) checkAttachment(ctx context.Context, l *License, a *Attachment) error {
	if err := notEnded(l, w.now); err != nil {
		return at("id", err)
	}
	if begun(a.EndsAt, w.now) {
		return invalid("ends_at", "is not in the future")
	}
	if !a.EndsAt.IsZero() && !a.EndsAt.After(a.StartsAt) {
		return invalid("ends_at", "is not after starts_at")
	}
	if len(l.AddOns) >= maxAttachments {
		return refused("the licence has %d add-ons already: detach some, or make a plan version of them", maxAttachments)
	}
	for i := range l.AddOns {
		if o := &l.AddOns[i]; o.AddOn == a.AddOn && o.overlaps(a) {
			return &Error{
				Code: FailedPrecondition, Field: "starts_at", Message: "the licence has the add-on " + a.AddOn + " at that time: detach it, or choose other dates",
				Details: map[string]string{"kind": string(KindAddOn), "id": a.AddOn},
			}
		}
	}
	added, err := w.AddOn(ctx, a.AddOn)
	return usable("add_on", KindAddOn, a.AddOn, &added.Meta, err)
}

// DetachAddOn takes an add-on from a licence, at once or when its billing period ends. What was to come of it later is void.
func (s *Service) DetachAddOn(ctx context.Context, license, addOn string, when When) (License, Epoch, error) {
	if err := checkKey("add_on", addOn); err != nil {
		return License{}, Epoch{}, err
	}
	if err := when.validate(); err != nil {
		return License{}, Epoch{}, err
	}
	kind := EventAddOnDetached
	if when == PeriodEnd {
		kind = EventAddOnDetachPlanned
	}
	return s.alter(ctx, license, kind, func(w *write, l *License) (bool, map[string]string, error) {
		detail := map[string]string{"add_on": addOn}
		from := w.now
		if when == PeriodEnd {
			var err error
			if from, err = w.periodEnd(ctx, l, w.now); err != nil {
				return false, nil, err
			}
			detail["at"] = from.Format(time.RFC3339)
		}
		had, changed := l.detach(addOn, from, w.now)
		if !had {
			return false, nil, &Error{
				Code: NotFound, Field: "add_on", Message: "the licence has no add-on " + addOn + " that has not ended",
				Details: map[string]string{"kind": string(KindAddOn), "id": addOn},
			}
		}
		return changed, detail, nil
	})
}
