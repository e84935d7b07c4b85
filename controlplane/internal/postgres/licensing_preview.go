package postgres

import (
	"context"
	"fmt"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// MetersNamed implements licensing.Reader.
func (r reader) MetersNamed(ctx context.Context, keys []string) ([]licensing.Meter, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(ctx, r, licensing.KindMeter, func(ctx context.Context, q *query.Queries) ([]query.Meter, error) {
		return q.MetersNamed(ctx, keys)
	}, sure(toMeter))
}

// PublishedBefore implements licensing.Reader.
func (r reader) PublishedBefore(ctx context.Context, plan string, version uint32) (uint32, error) {
	n, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (int32, error) {
		return q.PublishedBefore(ctx, query.PublishedBeforeParams{Plan: plan, Version: int32(version)})
	})
	return uint32(n), failed(err, "read", licensing.KindPlanVersion)
}

// HeavyLicenses implements licensing.Reader.
func (r reader) HeavyLicenses(ctx context.Context, plan string, version uint32, now time.Time, h licensing.Heavy) ([]licensing.HeavyLicense, error) {
	return list(ctx, r, licensing.KindLicense, func(ctx context.Context, q *query.Queries) ([]query.HeavyLicensesRow, error) {
		return q.HeavyLicenses(ctx, query.HeavyLicensesParams{
			Plan: plan, PlanVersion: int32(version), Now: now, Meter: h.Meter, Since: h.Since, Above: h.Above,
			Looked: int32(h.Looked), PageSize: int32(h.Limit),
		})
	}, sure(func(row query.HeavyLicensesRow) licensing.HeavyLicense {
		return licensing.HeavyLicense{ID: row.ID, TimeZone: row.TimeZone, Anchor: row.Anchor.UTC(), Generation: uint64(row.CounterGeneration)}
	}))
}

// LicensesAbove implements licensing.Reader.
func (r reader) LicensesAbove(ctx context.Context, meter string, above int64, of []licensing.LicenseSince) ([]string, error) {
	p := query.LicensesAboveParams{Meter: meter, Above: above}
	for _, l := range of {
		p.Licenses = append(p.Licenses, l.ID)
		p.Generations = append(p.Generations, int64(l.Generation))
		p.Starts = append(p.Starts, l.Start)
	}
	if len(of) == 0 {
		return nil, nil
	}
	ids, err := get(ctx, r, func(ctx context.Context, q *query.Queries) ([]string, error) { return q.LicensesAbove(ctx, p) })
	if err != nil {
		return nil, fmt.Errorf("sum usage of licences: %w", err)
	}
	return ids, nil
}
