package licensing

import "context"

// ExportCatalog is the catalog that changes nothing where it is applied: what is not archived, and what the newest published
// version of each plan grants. Plans that were never published are not in it. It is read while no one writes, so that nothing
// in it refers to what it does not hold.
func (s *Service) ExportCatalog(ctx context.Context) (Catalog, error) {
	var c Catalog
	_, err := s.write(ctx, &c, func(w *write) (err error) {
		c = Catalog{}
		if c.Meters, err = everything(ctx, w.Meters, func(m *Meter) string { return m.Key }); err != nil {
			return err
		}
		if c.Features, err = everything(ctx, w.Features, func(f *Feature) string { return f.Key }); err != nil {
			return err
		}
		if c.AddOns, err = everything(ctx, w.AddOns, func(a *AddOn) string { return a.Key }); err != nil {
			return err
		}
		if c.Services, err = everything(ctx, w.Upstreams, func(u *Upstream) string { return u.Key }); err != nil {
			return err
		}
		if c.Routes, err = everything(ctx, w.Routes, func(r *Route) string { return r.Key }); err != nil {
			return err
		}
		if c.Terms, err = everything(ctx, w.Terms, func(t *Term) string { return t.Key }); err != nil {
			return err
		}
		if c.Issuers, err = everything(ctx, w.Issuers, func(i *Issuer) string { return i.Key }); err != nil {
			return err
		}
		plans, err := everything(ctx, w.Plans, func(p *Plan) string { return p.Key })
		if err != nil {
			return err
		}
		for _, p := range plans {
			if p.PublishedVersion == 0 {
				continue
			}
			v, err := w.PlanVersion(ctx, p.Key, p.PublishedVersion)
			if err != nil {
				return err
			}
			c.Plans = append(c.Plans, CatalogPlan{
				Key: p.Key, DisplayName: p.DisplayName, Entitlements: v.Entitlements, RateLimits: v.RateLimits,
				RateCards: v.RateCards, TrialDays: v.TrialDays,
			})
		}
		return nil
	})
	return c, err
}
