package licensing

import (
	"context"
	"strconv"
	"time"
)

// CreateAddOn makes an add-on.
func (s *Service) CreateAddOn(ctx context.Context, a AddOn) (AddOn, Epoch, error) {
	var out AddOn
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.createAddOn(ctx, a)
		return err
	})
	return out, epoch, err
}

func (w *write) createAddOn(ctx context.Context, a AddOn) (AddOn, error) {
	if err := w.checkAddOn(ctx, &a); err != nil {
		return a, err
	}
	a.Version, a.EffectiveAt = 1, w.now
	a.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	a, err := w.InsertAddOn(ctx, a)
	if err == nil {
		w.rule(&a)
	}
	return a, err
}

// checkAddOn validates and normalizes an add-on, and checks its entitlements against their features.
func (w *write) checkAddOn(ctx context.Context, a *AddOn) error {
	if err := a.Validate(); err != nil {
		return err
	}
	v := a.terms()
	features, err := w.checkTerms(ctx, &v)
	if err != nil {
		return err
	}
	a.Entitlements, a.RateCards = v.Entitlements, v.RateCards
	for i, e := range a.Entitlements {
		if features[e.Feature].Type == Boolean && !e.Enabled {
			return a.refuseOff(i)
		}
	}
	return nil
}

// GetAddOn finds an add-on by key.
func (s *Service) GetAddOn(ctx context.Context, key string) (AddOn, error) {
	if err := checkKey("key", key); err != nil {
		return AddOn{}, err
	}
	return s.store.AddOn(ctx, key)
}

// ListAddOns filters by archived.
func (s *Service) ListAddOns(ctx context.Context, l List) (Page[AddOn], error) {
	return page(l, []string{"archived"},
		func(l List) ([]AddOn, error) { return s.store.AddOns(ctx, l) },
		func(a *AddOn) string { return a.Key })
}

// UpdateAddOn changes display_name, entitlements, rate_cards: those in mask, or all. It reaches every licence that has the add-on.
func (s *Service) UpdateAddOn(ctx context.Context, a AddOn, mask []string) (AddOn, Epoch, error) {
	has, err := masked(mask, "display_name", "entitlements", "rate_cards")
	if err != nil {
		return AddOn{}, Epoch{}, err
	}
	if err := checkKey("key", a.Key); err != nil {
		return AddOn{}, Epoch{}, err
	}
	var out AddOn
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.AddOn(ctx, a.Key)
		if err != nil {
			return err
		}
		if err := current(KindAddOn, a.Key, a.Etag, &old.Meta); err != nil {
			return err
		}
		next := old
		if has("display_name") {
			next.DisplayName = a.DisplayName
		}
		if has("entitlements") {
			next.Entitlements = a.Entitlements
		}
		if has("rate_cards") {
			next.RateCards = a.RateCards
		}
		out, _, err = w.updateAddOn(ctx, old, next)
		return err
	})
	return out, epoch, err
}

// updateAddOn writes what differs, and reports whether anything does. New terms are a new version; nodes are told of new entitlements, once
// for all licences.
func (w *write) updateAddOn(ctx context.Context, old, next AddOn) (AddOn, bool, error) {
	if err := w.checkAddOn(ctx, &next); err != nil {
		return old, false, err
	}
	switch {
	case len(next.diff(&old)) > 0:
		next.Version, next.EffectiveAt = old.Version+1, w.now
	case next.DisplayName == old.DisplayName:
		return old, false, nil // To the order and the letter.
	default:
		next.Entitlements, next.RateCards = old.Entitlements, old.RateCards
	}
	next.UpdateTime = w.now
	out, err := w.UpdateAddOn(ctx, next)
	if err == nil && !next.grantsAs(&old) {
		w.rule(&out)
	}
	return out, true, err
}

// grantsAs reports whether two add-ons grant the same, whatever they cost.
func (a *AddOn) grantsAs(o *AddOn) bool {
	unpriced, was := AddOn{Entitlements: a.Entitlements}, AddOn{Entitlements: o.Entitlements}
	return len(unpriced.diff(&was)) == 0
}

// ArchiveAddOn takes an add-on out of use. Refused while a licence that has not ended has it, or will have it.
func (s *Service) ArchiveAddOn(ctx context.Context, key string) (AddOn, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return AddOn{}, Epoch{}, err
	}
	var out AddOn
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archiveAddOn(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archiveAddOn(ctx context.Context, key string) (AddOn, error) {
	out, err := w.AddOn(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindAddOn, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	if err := w.unreferenced(ctx, KindAddOn, key); err != nil {
		return out, err
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	w.rule(&Removal{Kind: KindAddOn, ID: key})
	return w.UpdateAddOn(ctx, out)
}

// UnarchiveAddOn takes an add-on into use again. Refused where it grants what is archived.
func (s *Service) UnarchiveAddOn(ctx context.Context, key string) (AddOn, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return AddOn{}, Epoch{}, err
	}
	var out AddOn
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.AddOn(ctx, key); err != nil {
			return err
		}
		if err := w.holds(KindAddOn, key, out.Etag); err != nil || !out.Archived() {
			return err
		}
		if err := w.checkAddOn(ctx, &out); err != nil {
			return err
		}
		out, err = w.unarchiveAddOn(ctx, out)
		return err
	})
	return out, epoch, err
}

// unarchiveAddOn leaves it to the caller to look at what the add-on grants.
func (w *write) unarchiveAddOn(ctx context.Context, n AddOn) (AddOn, error) {
	n.ArchiveTime, n.UpdateTime = time.Time{}, w.now
	w.rule(&n)
	return w.UpdateAddOn(ctx, n)
}

// addOn makes a stored add-on match a catalog's.
func (a *apply) addOn(ctx context.Context, n AddOn) error {
	old, err := a.AddOn(ctx, n.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindAddOn, n.Key)
		_, err := a.createAddOn(ctx, n)
		return err
	}
	if err := revived(ctx, a, KindAddOn, n.Key, &old, &old.Meta, a.unarchiveAddOn); err != nil {
		return err
	}
	next := old
	next.Entitlements, next.RateCards = n.Entitlements, n.RateCards
	if n.DisplayName != "" {
		next.DisplayName = n.DisplayName
	}
	next, changed, err := a.updateAddOn(ctx, old, next)
	if !changed || err != nil {
		return err
	}
	detail := differing(difference{"display_name", next.DisplayName != old.DisplayName})
	if next.Version != old.Version {
		terms, was := next.terms(), old.terms()
		detail = append(append(detail, "version "+strconv.FormatUint(uint64(next.Version), 10)), terms.differences(&was)...)
	}
	a.note("update", KindAddOn, n.Key, detail...)
	return nil
}
