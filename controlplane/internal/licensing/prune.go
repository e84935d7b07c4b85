package licensing

import (
	"context"
	"slices"
)

// everything reads a list to its end.
func everything[T any](ctx context.Context, read func(context.Context, List) ([]T, error), key func(*T) string) ([]T, error) {
	var all []T
	for after := ""; ; after = key(&all[len(all)-1]) {
		items, err := read(ctx, List{PageSize: maxPage, After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if len(items) < maxPage {
			return all, nil
		}
	}
}

// pruneTerms comes before terms are made: a subject has room for so many only. Nothing refers to a term.
func (a *apply) pruneTerms(ctx context.Context, c *Catalog) error {
	return prune(ctx, a, KindTerm, a.Terms, c.Terms, func(t *Term) string { return t.Key }, a.archiveTerm)
}

// prune archives what else the catalog does not name, what refers to others first. One object in use refuses the whole apply.
// A plan that was never published is someone's draft, which a file cannot name: it stays.
func (a *apply) prune(ctx context.Context, c *Catalog) error {
	if err := prune(ctx, a, KindIssuer, a.Issuers, c.Issuers, func(i *Issuer) string { return i.Key }, a.archiveIssuer); err != nil {
		return err
	}
	if err := prune(ctx, a, KindRoute, a.Routes, c.Routes, func(r *Route) string { return r.Key }, a.archiveRoute); err != nil {
		return err
	}
	if err := prune(ctx, a, KindService, a.Upstreams, c.Services, func(u *Upstream) string { return u.Key }, a.archiveUpstream); err != nil {
		return err
	}
	if err := a.prunePlans(ctx, c); err != nil {
		return err
	}
	if err := prune(ctx, a, KindAddOn, a.AddOns, c.AddOns, func(n *AddOn) string { return n.Key }, a.archiveAddOn); err != nil {
		return err
	}
	if err := prune(ctx, a, KindFeature, a.Features, c.Features, func(f *Feature) string { return f.Key }, a.archiveFeature); err != nil {
		return err
	}
	return prune(ctx, a, KindMeter, a.Meters, c.Meters, func(m *Meter) string { return m.Key }, a.archiveMeter)
}

func prune[T any](
	ctx context.Context, a *apply, kind Kind, read func(context.Context, List) ([]T, error), named []T,
	key func(*T) string, archive func(context.Context, string) (T, error),
) error {
	live, err := everything(ctx, read, key)
	if err != nil {
		return err
	}
	for i := range live {
		k := key(&live[i])
		if slices.ContainsFunc(named, func(n T) bool { return key(&n) == k }) {
			continue
		}
		a.note("archive", kind, k)
		if _, err := archive(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (a *apply) prunePlans(ctx context.Context, c *Catalog) error {
	live, err := everything(ctx, a.Plans, func(p *Plan) string { return p.Key })
	if err != nil {
		return err
	}
	for _, p := range live {
		if p.PublishedVersion == 0 || slices.ContainsFunc(c.Plans, func(n CatalogPlan) bool { return n.Key == p.Key }) {
			continue
		}
		a.note("archive", KindPlan, p.Key)
		if _, err := a.archivePlan(ctx, p.Key); err != nil {
			return err
		}
	}
	return nil
}
