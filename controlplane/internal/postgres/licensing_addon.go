package postgres

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// AddOn implements licensing.Reader.
func (r reader) AddOn(ctx context.Context, key string) (licensing.AddOn, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.AddOnRow, error) { return q.AddOn(ctx, key) })
	if err != nil {
		return licensing.AddOn{}, missing(err, licensing.KindAddOn, key)
	}
	return toAddOn(row.AddOn, row.AddOnVersion)
}

// AddOns implements licensing.Reader.
func (r reader) AddOns(ctx context.Context, l licensing.List) ([]licensing.AddOn, error) {
	return list(ctx, r, licensing.KindAddOn, func(ctx context.Context, q *query.Queries) ([]query.AddOnsRow, error) {
		return q.AddOns(ctx, query.AddOnsParams{After: l.After, PageSize: int32(l.PageSize), Archived: archived(l)})
	}, func(row query.AddOnsRow) (licensing.AddOn, error) { return toAddOn(row.AddOn, row.AddOnVersion) })
}

// AddOnsNamed implements licensing.Reader.
func (r reader) AddOnsNamed(ctx context.Context, keys []string) ([]licensing.AddOn, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(ctx, r, licensing.KindAddOn, func(ctx context.Context, q *query.Queries) ([]query.AddOnsNamedRow, error) {
		return q.AddOnsNamed(ctx, keys)
	}, func(row query.AddOnsNamedRow) (licensing.AddOn, error) { return toAddOn(row.AddOn, row.AddOnVersion) })
}

func (t *licensingTx) InsertAddOn(ctx context.Context, a licensing.AddOn) (licensing.AddOn, error) {
	err := t.q.InsertAddOn(ctx, query.InsertAddOnParams{
		Key: a.Key, DisplayName: a.DisplayName, Version: int32(a.Version), CreatedAt: a.CreateTime, UpdatedAt: a.UpdateTime,
	})
	if err != nil {
		return a, taken(err, licensing.KindAddOn, "key", a.Key)
	}
	return t.keepAddOnVersion(ctx, a)
}

// UpdateAddOn implements licensing.Tx.
func (t *licensingTx) UpdateAddOn(ctx context.Context, a licensing.AddOn) (licensing.AddOn, error) {
	n, err := t.q.UpdateAddOn(ctx, query.UpdateAddOnParams{
		Key: a.Key, DisplayName: a.DisplayName, Version: int32(a.Version), UpdatedAt: a.UpdateTime, ArchivedAt: nullable(a.ArchiveTime),
	})
	if err != nil {
		return a, failed(err, "write", licensing.KindAddOn)
	}
	if n != 1 {
		return a, licensing.Missing(licensing.KindAddOn, a.Key)
	}
	return t.keepAddOnVersion(ctx, a)
}

// keepAddOnVersion stores an add-on's version where it is a new one, and answers what is stored.
func (t *licensingTx) keepAddOnVersion(ctx context.Context, a licensing.AddOn) (licensing.AddOn, error) {
	v := licensing.PlanVersion{Entitlements: a.Entitlements, RateCards: a.RateCards}
	entitlements, _, cards, err := grantsOf(&v)
	if err != nil {
		return a, failed(err, "encode", licensing.KindAddOn)
	}
	err = t.q.InsertAddOnVersion(ctx, query.InsertAddOnVersionParams{
		AddOn: a.Key, Version: int32(a.Version), Entitlements: entitlements, RateCards: cards, EffectiveAt: a.EffectiveAt,
	})
	if err != nil {
		return a, failed(err, "write version of", licensing.KindAddOn)
	}
	return t.AddOn(ctx, a.Key)
}

func toAddOn(r query.AddOn, v query.AddOnVersion) (licensing.AddOn, error) {
	terms, err := toPlanVersion(query.PlanVersion{
		Plan: "of add-on " + r.Key, Version: r.Version, Entitlements: v.Entitlements, RateLimits: []byte("[]"), RateCards: v.RateCards,
	})
	return licensing.AddOn{
		Key: r.Key, DisplayName: r.DisplayName, Version: uint32(r.Version), EffectiveAt: v.EffectiveAt.UTC(),
		Entitlements: terms.Entitlements, RateCards: terms.RateCards,
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}, err
}
