package licensing

import (
	"context"
	"time"

	"tollgate/dataplane/apikey"
)

// CreateAPIKey makes a key for a licence; License, DisplayName and ExpiresAt are the caller's. The whole key is in
// secret, and nowhere else.
func (s *Service) CreateAPIKey(ctx context.Context, k APIKey) (APIKey, string, Epoch, error) {
	if err := k.Validate(); err != nil {
		return APIKey{}, "", Epoch{}, err
	}
	var out struct {
		Key    APIKey
		Secret string
	}
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out.Key, out.Secret, err = w.makeKey(ctx, k)
		return err
	})
	if err != nil {
		return APIKey{}, "", Epoch{}, err
	}
	return out.Key, out.Secret, epoch, nil
}

// makeKey draws a key for a licence, stores it and tells nodes. With validate_only the secret is left out.
func (w *write) makeKey(ctx context.Context, k APIKey) (APIKey, string, error) {
	if err := ahead("expires_at", k.ExpiresAt, w.now); err != nil {
		return APIKey{}, "", err
	}
	l, err := w.License(ctx, k.License)
	if err != nil {
		return APIKey{}, "", at("license", err)
	}
	if err := takesKeys(&l); err != nil {
		return APIKey{}, "", at("license", err)
	}
	fleet, err := w.Fleet(ctx)
	if err != nil {
		return APIKey{}, "", err
	}
	made, err := apikey.Generate(fleet.Env, w.now, w.svc.random)
	if err != nil {
		return APIKey{}, "", err
	}
	kept, err := w.InsertAPIKeys(ctx, []APIKey{{
		ID: made.ID, License: k.License, DisplayName: k.DisplayName, Prefix: made.Hint,
		Hash: apikey.Hash(fleet.Pepper, made.Whole), ExpiresAt: micros(k.ExpiresAt), CreateTime: w.now,
	}})
	if err != nil {
		return APIKey{}, "", err
	}
	w.rule(&kept[0])
	if w.call.ValidateOnly {
		return kept[0], "", nil
	}
	return kept[0], made.Whole, nil
}

// ahead refuses a time that has come already; zero is never.
func ahead(field string, t, now time.Time) error {
	if begun(t, now) {
		return invalid(field, "is not in the future")
	}
	return nil
}

// takesKeys refuses a licence that no key will ever be of use for.
func takesKeys(l *License) error {
	if l.Decided == Revoked || l.Decided == Canceled {
		return refused("the licence is %s for good", l.Decided)
	}
	return nil
}

// GetAPIKey finds a key by id.
func (s *Service) GetAPIKey(ctx context.Context, id string) (APIKey, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return APIKey{}, err
	}
	return s.store.APIKey(ctx, id)
}

// ListAPIKeys filters by license.
func (s *Service) ListAPIKeys(ctx context.Context, l List) (Page[APIKey], error) {
	return page(l, []string{"license"},
		func(l List) ([]APIKey, error) { return s.store.APIKeys(ctx, l) },
		func(k *APIKey) string { return k.ID })
}

// RevokeAPIKey ends a key for good. One that is revoked already stays as it is.
func (s *Service) RevokeAPIKey(ctx context.Context, id string) (APIKey, Epoch, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return APIKey{}, Epoch{}, err
	}
	var out APIKey
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.APIKey(ctx, id); err != nil {
			return err
		}
		if err := w.holds(KindAPIKey, id, out.Etag); err != nil || !out.RevokeTime.IsZero() {
			return err
		}
		out.RevokeTime = w.now
		return w.keepKey(ctx, &out)
	})
	return out, epoch, err
}

// keepKey stores a changed key, and tells nodes.
func (w *write) keepKey(ctx context.Context, k *APIKey) error {
	kept, err := w.UpdateAPIKey(ctx, *k)
	if err != nil {
		return err
	}
	*k = kept
	w.rule(&kept)
	return nil
}

// UpdateAPIKey changes display_name, expires_at: those in mask, or both. A key that has ended does not come back.
func (s *Service) UpdateAPIKey(ctx context.Context, k APIKey, mask []string) (APIKey, Epoch, error) {
	has, err := masked(mask, "display_name", "expires_at")
	if err != nil {
		return APIKey{}, Epoch{}, err
	}
	if err := checkText("id", k.ID, maxKey); err != nil {
		return APIKey{}, Epoch{}, err
	}
	var out APIKey
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.APIKey(ctx, k.ID)
		if err != nil {
			return err
		}
		if err := fresh(KindAPIKey, k.ID, k.Etag, old.Etag); err != nil {
			return err
		}
		out = old
		if has("display_name") {
			out.DisplayName = k.DisplayName
		}
		if has("expires_at") {
			out.ExpiresAt = micros(k.ExpiresAt)
		}
		if err := out.Validate(); err != nil {
			return err
		}
		sameEnd := out.ExpiresAt.Equal(old.ExpiresAt)
		if sameEnd && out.DisplayName == old.DisplayName {
			return nil
		}
		if sameEnd {
			out, err = w.UpdateAPIKey(ctx, out) // Nodes know no names.
			return err
		}
		if err := old.goesOn(w.now); err != nil {
			return at("expires_at", err)
		}
		if err := ahead("expires_at", out.ExpiresAt, w.now); err != nil {
			return err
		}
		return w.keepKey(ctx, &out)
	})
	return out, epoch, err
}

// MaxOverlap is how long a key may go on beside the one that replaces it.
const MaxOverlap = 30 * 24 * time.Hour

// Rotation replaces a key.
type Rotation struct {
	ID string
	// Overlap is how long the old key goes on, at most. 0: it is revoked at once.
	Overlap   time.Duration
	ExpiresAt time.Time // Of the new key; zero: never.
}

// Rotated are the new key, its secret, and the old key.
type Rotated struct {
	Key, Old APIKey
	Secret   string
}

// RotateAPIKey makes a key in the place of another, with its licence and display name. An imported key is replaced by one of our own.
func (s *Service) RotateAPIKey(ctx context.Context, r Rotation) (Rotated, Epoch, error) {
	if err := checkText("id", r.ID, maxKey); err != nil {
		return Rotated{}, Epoch{}, err
	}
	if r.Overlap < 0 || r.Overlap > MaxOverlap {
		return Rotated{}, Epoch{}, invalid("overlap", "is not between 0 and %d days", MaxOverlap/(24*time.Hour))
	}
	if err := checkTime("expires_at", r.ExpiresAt); err != nil {
		return Rotated{}, Epoch{}, err
	}
	var out Rotated
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.APIKey(ctx, r.ID)
		if err != nil {
			return err
		}
		if err := w.holds(KindAPIKey, r.ID, old.Etag); err != nil {
			return err
		}
		if err := old.goesOn(w.now); err != nil {
			return err
		}
		next := APIKey{License: old.License, DisplayName: old.DisplayName, ExpiresAt: r.ExpiresAt}
		if out.Key, out.Secret, err = w.makeKey(ctx, next); err != nil {
			return err
		}
		if end := micros(w.now.Add(r.Overlap)); r.Overlap == 0 {
			old.RevokeTime = w.now
		} else if old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt) {
			old.ExpiresAt = end
		} else {
			out.Old = old // It ends sooner by itself.
			return nil
		}
		err = w.keepKey(ctx, &old)
		out.Old = old
		return err
	})
	if err != nil {
		return Rotated{}, Epoch{}, err
	}
	return out, epoch, nil
}
