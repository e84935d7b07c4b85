package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// Offer implements licensing.Tx.
func (t *licensingTx) Offer(ctx context.Context, customer, plan string, version uint32, now time.Time) (licensing.Offer, bool, error) {
	var c query.Customer
	var p query.PlanRow
	var v query.PlanVersion
	var features []query.Feature
	var meters []query.Meter
	n := int32(version)
	err := t.p.together(ctx,
		func(q *query.Queries) (err error) { c, err = q.Customer(ctx, customer); return err },
		func(q *query.Queries) (err error) { p, err = q.Plan(ctx, plan); return err },
		func(q *query.Queries) (err error) {
			v, err = q.OfferedVersion(ctx, query.OfferedVersionParams{Plan: plan, Version: n, Now: &now})
			return err
		},
		func(q *query.Queries) (err error) {
			features, err = q.OfferedFeatures(ctx, query.OfferedFeaturesParams{Plan: plan, Version: n, Now: &now})
			return err
		},
		func(q *query.Queries) (err error) {
			meters, err = q.OfferedMeters(ctx, query.OfferedMetersParams{Plan: plan, Version: n, Now: &now})
			return err
		})
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.Offer{}, false, nil
	}
	if err != nil {
		return licensing.Offer{}, false, fmt.Errorf("read what a licence needs: %w", err)
	}
	out := licensing.Offer{Plan: toPlan(p.Plan, p.PublishedVersion, p.DraftVersion)}
	if out.Customer, err = toCustomer(c); err != nil {
		return out, false, err
	}
	if out.Version, err = toPlanVersion(v); err != nil {
		return out, false, err
	}
	if out.Features, err = all(features, sure(toFeature)); err != nil {
		return out, false, err
	}
	out.Meters, err = all(meters, sure(toMeter))
	return out, err == nil, err
}
