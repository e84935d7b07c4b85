package licensing

import (
	"context"

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
	epoch, err := s.write(ctx, &out, func(w *write) error {
		if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(w.now) {
			return invalid("expires_at", "is not in the future")
		}
		l, err := w.License(ctx, k.License)
		if err != nil {
			return at("license", err)
		}
		if l.Decided == Revoked || l.Decided == Canceled {
			return at("license", refused("the licence is %s for good", l.Decided))
		}
		fleet, err := w.Fleet(ctx)
		if err != nil {
			return err
		}
		made, err := apikey.Generate(fleet.Env, w.now, s.random)
		if err != nil {
			return err
		}
		if !w.call.ValidateOnly {
			out.Secret = made.Whole
		}
		out.Key = APIKey{
			ID: made.ID, License: k.License, DisplayName: k.DisplayName, Prefix: made.Hint,
			Hash: apikey.Hash(fleet.Pepper, made.Whole), ExpiresAt: micros(k.ExpiresAt), CreateTime: w.now,
		}
		if err := w.InsertAPIKey(ctx, out.Key); err != nil {
			return err
		}
		w.rule(&out.Key)
		return nil
	})
	if err != nil {
		return APIKey{}, "", Epoch{}, err
	}
	return out.Key, out.Secret, epoch, nil
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
		if out, err = w.APIKey(ctx, id); err != nil || !out.RevokeTime.IsZero() {
			return err
		}
		out.RevokeTime = w.now
		if err := w.RevokeAPIKey(ctx, id, w.now); err != nil {
			return err
		}
		w.rule(&out)
		return nil
	})
	return out, epoch, err
}
