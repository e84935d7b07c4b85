package licensing

import (
	"context"
	"time"
)

// CreateIssuer makes an issuer. It takes no epoch: nodes are not told of issuers yet.
func (s *Service) CreateIssuer(ctx context.Context, i Issuer) (Issuer, Epoch, error) {
	var out Issuer
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.createIssuer(ctx, i)
		return err
	})
	return out, epoch, err
}

func (w *write) createIssuer(ctx context.Context, i Issuer) (Issuer, error) {
	if err := i.Validate(); err != nil {
		return i, err
	}
	i.normalize()
	i.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	return w.InsertIssuer(ctx, i)
}

// GetIssuer finds an issuer by key.
func (s *Service) GetIssuer(ctx context.Context, key string) (Issuer, error) {
	if err := checkKey("key", key); err != nil {
		return Issuer{}, err
	}
	return s.store.Issuer(ctx, key)
}

// ListIssuers filters by issuer, archived.
func (s *Service) ListIssuers(ctx context.Context, l List) (Page[Issuer], error) {
	return page(l, []string{"issuer", "archived"},
		func(l List) ([]Issuer, error) { return s.store.Issuers(ctx, l) },
		func(i *Issuer) string { return i.Key })
}

// UpdateIssuer changes display_name, issuer, jwks_file, jwks_url, discovery, audiences, customer_claim, license_claim, algorithms: those in
// mask, or all. One of several that exclude each other replaces the others.
func (s *Service) UpdateIssuer(ctx context.Context, i Issuer, mask []string) (Issuer, Epoch, error) {
	has, err := masked(mask, "display_name", "issuer", "jwks_file", "jwks_url", "discovery", "audiences", "customer_claim", "license_claim", "algorithms")
	if err != nil {
		return Issuer{}, Epoch{}, err
	}
	if err := checkKey("key", i.Key); err != nil {
		return Issuer{}, Epoch{}, err
	}
	var out Issuer
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Issuer(ctx, i.Key)
		if err != nil {
			return err
		}
		if err := current(KindIssuer, i.Key, i.Etag, &old.Meta); err != nil {
			return err
		}
		out, _, err = w.updateIssuer(ctx, old, i.onto(old, has))
		return err
	})
	return out, epoch, err
}

// onto puts the masked fields of i onto old.
func (i *Issuer) onto(old Issuer, has func(string) bool) Issuer {
	next := old
	if has("display_name") {
		next.DisplayName = i.DisplayName
	}
	if has("issuer") {
		next.Issuer = i.Issuer
	}
	if has("jwks_file") || has("jwks_url") || has("discovery") {
		next.JwksFile, next.JwksURL, next.Discovery = i.JwksFile, i.JwksURL, i.Discovery
	}
	if has("audiences") {
		next.Audiences = i.Audiences
	}
	if has("customer_claim") || has("license_claim") {
		next.CustomerClaim, next.LicenseClaim = i.CustomerClaim, i.LicenseClaim
	}
	if has("algorithms") {
		next.Algorithms = i.Algorithms
	}
	return next
}

// updateIssuer reports whether anything changed.
func (w *write) updateIssuer(ctx context.Context, old, next Issuer) (Issuer, bool, error) {
	if err := next.Validate(); err != nil {
		return old, false, err
	}
	next.normalize()
	if next.sameAs(&old) {
		return old, false, nil
	}
	next.UpdateTime = w.now
	next, err := w.UpdateIssuer(ctx, next)
	return next, true, err
}

// ArchiveIssuer takes an issuer out of use.
func (s *Service) ArchiveIssuer(ctx context.Context, key string) (Issuer, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Issuer{}, Epoch{}, err
	}
	var out Issuer
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archiveIssuer(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archiveIssuer(ctx context.Context, key string) (Issuer, error) {
	out, err := w.Issuer(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindIssuer, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	return w.UpdateIssuer(ctx, out)
}

func (w *write) unarchiveIssuer(ctx context.Context, i Issuer) (Issuer, error) {
	i.ArchiveTime, i.UpdateTime = time.Time{}, w.now
	return w.UpdateIssuer(ctx, i)
}
