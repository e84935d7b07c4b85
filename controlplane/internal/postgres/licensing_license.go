package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// LockLicense implements licensing.Tx.
func (t *licensingTx) LockLicense(ctx context.Context, id string) (licensing.License, error) {
	row, err := t.q.LockLicense(ctx, id)
	if err != nil {
		return licensing.License{}, missing(err, licensing.KindLicense, id)
	}
	return toLicense(row)
}

func (t *licensingTx) UpdateLicenses(ctx context.Context, all []licensing.License) ([]licensing.License, error) {
	params := make([]query.UpdateLicensesParams, len(all))
	for i := range all {
		l := &all[i]
		phases, overrides, grants, err := termsOf(l)
		if err != nil {
			return nil, failed(err, "encode", licensing.KindLicense)
		}
		addOns, err := fromAttachments(l.AddOns)
		if err != nil {
			return nil, failed(err, "encode", licensing.KindLicense)
		}
		params[i] = query.UpdateLicensesParams{
			ID: l.ID, Plan: l.Plan, PlanVersion: int32(l.PlanVersion), Status: string(l.Decided),
			StartsAt: l.StartsAt, EndsAt: nullable(l.EndsAt), Anchor: l.Anchor, CounterGeneration: int64(l.CounterGeneration),
			Phases: phases, Overrides: overrides, Grants: grants, AddOns: addOns, TrialEndsAt: nullable(l.TrialEndsAt), CancelsAt: nullable(l.CancelsAt),
			PastDue: !l.GraceUntil.IsZero(), GraceUntil: nullable(l.GraceUntil), DueAt: nullable(l.DueAt), UpdatedAt: l.UpdateTime,
		}
	}
	out := make([]licensing.License, len(all))
	var first error
	t.q.UpdateLicenses(ctx, params).QueryRow(func(i int, row query.License, err error) {
		if err == nil {
			out[i], err = toLicense(row)
		}
		if err != nil && first == nil {
			first = failed(err, "write", licensing.KindLicense)
		}
	})
	return out, first
}

// versionFilter is the value of a filter by plan_version, if there is one.
func versionFilter(filter map[string]string) (*int32, error) {
	v, ok := filter["plan_version"]
	if !ok {
		return nil, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return nil, &licensing.Error{Code: licensing.InvalidArgument, Field: "filter.plan_version", Message: "is not a version's number"}
	}
	return new(int32(n)), nil
}

func textFilter(filter map[string]string, field string) *string {
	if v, ok := filter[field]; ok {
		return &v
	}
	return nil
}

func (t *licensingTx) LockMoving(ctx context.Context, m licensing.PlanMigration, now time.Time, limit int) ([]licensing.ZonedLicense, error) {
	version, err := versionFilter(m.Filter)
	if err != nil {
		return nil, err
	}
	rows, err := t.lists.LockMovingLicenses(ctx, query.LockMovingLicensesParams{
		After: m.Progress, Plan: m.Plan, Now: now, Customer: textFilter(m.Filter, "customer"), PlanVersion: version, PageSize: int32(limit),
	})
	if err != nil {
		return nil, failed(err, "lock", licensing.KindLicense)
	}
	return all(rows, func(r query.LockMovingLicensesRow) (licensing.ZonedLicense, error) {
		l, err := toLicense(r.License)
		return licensing.ZonedLicense{License: l, Zone: r.TimeZone}, err
	})
}

// CountMoving implements licensing.Reader.
func (r reader) CountMoving(ctx context.Context, m licensing.PlanMigration, now time.Time) (int64, error) {
	version, err := versionFilter(m.Filter)
	if err != nil {
		return 0, err
	}
	n, err := get(ctx, r.lists(), func(ctx context.Context, q *query.Queries) (int64, error) {
		return q.CountMovingLicenses(ctx, query.CountMovingLicensesParams{
			After: m.Progress, Plan: m.Plan, Now: now, Customer: textFilter(m.Filter, "customer"), PlanVersion: version,
		})
	})
	return n, failed(err, "count", licensing.KindLicense)
}

// CountLive implements licensing.Reader.
func (r reader) CountLive(ctx context.Context, now time.Time) (int64, error) {
	n, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (int64, error) { return q.CountLiveLicenses(ctx, now) })
	return n, failed(err, "count", licensing.KindLicense)
}

func (t *licensingTx) LockDue(ctx context.Context, now time.Time, limit int) ([]licensing.License, error) {
	rows, err := t.q.LockDueLicenses(ctx, query.LockDueLicensesParams{Now: now, PageSize: int32(limit)})
	if err != nil {
		return nil, failed(err, "lock", licensing.KindLicense)
	}
	return all(rows, toLicense)
}

func (t *licensingTx) SetDue(ctx context.Context, all []licensing.License) error {
	params := make([]query.SetLicensesDueParams, len(all))
	for i := range all {
		l := &all[i]
		params[i] = query.SetLicensesDueParams{
			ID: l.ID, Plan: l.Plan, PlanVersion: int32(l.PlanVersion), CounterGeneration: int64(l.CounterGeneration), DueAt: nullable(l.DueAt),
		}
	}
	var first error
	t.q.SetLicensesDue(ctx, params).Exec(func(_ int, err error) {
		if err != nil && first == nil {
			first = failed(err, "write", licensing.KindLicense)
		}
	})
	return first
}

// AppendLicenseEvents implements licensing.Tx.
func (t *licensingTx) AppendLicenseEvents(ctx context.Context, events []licensing.LicenseEvent, now time.Time) error {
	p := query.AppendLicenseEventsParams{RecordedAt: now}
	for i := range events {
		e := &events[i]
		detail := map[string]string{"status": string(e.Status)}
		for k, v := range e.Detail {
			detail[k] = v
		}
		b, err := json.Marshal(detail)
		if err != nil {
			return fmt.Errorf("encode a licence event: %w", err)
		}
		p.Licenses, p.Times = append(p.Licenses, e.License), append(p.Times, e.Time)
		p.Kinds, p.Details = append(p.Kinds, string(e.Kind)), append(p.Details, string(b))
	}
	return t.p.later("write licence events").AppendLicenseEvents(ctx, p)
}

// LicenseEvents implements licensing.Reader.
func (r reader) LicenseEvents(ctx context.Context, license string, after int64, limit int) ([]licensing.LicenseEvent, error) {
	p := query.LicenseEventsParams{After: after, PageSize: int32(limit)}
	if license != "" {
		p.License = &license
	}
	return list(ctx, r, licensing.KindLicense, func(ctx context.Context, q *query.Queries) ([]query.LicenseEvent, error) {
		return q.LicenseEvents(ctx, p)
	}, toEvent)
}

func (t *licensingTx) InsertMigration(ctx context.Context, m licensing.PlanMigration, now time.Time) error {
	filter, err := metadataJSON(m.Filter)
	if err != nil {
		return err
	}
	err = t.q.InsertMigration(ctx, query.InsertMigrationParams{
		Plan: m.Plan, Version: int32(m.Version), Kind: string(m.Kind), Filter: filter, EffectiveAt: m.EffectiveAt, Now: now,
	})
	return failed(err, "begin migration to", licensing.KindPlanVersion)
}

func (t *licensingTx) UpdateMigration(ctx context.Context, m licensing.PlanMigration, now time.Time) error {
	p := query.UpdateMigrationParams{
		Plan: m.Plan, Version: int32(m.Version), Progress: m.Progress, Moved: m.Moved, Done: m.Done,
		Generation: int64(m.Epoch.Generation), Number: int64(m.Epoch.Number), UpdatedAt: now,
	}
	if m.Total >= 0 {
		p.Total = &m.Total
	}
	return failed(t.q.UpdateMigration(ctx, p), "go on with migration to", licensing.KindPlanVersion)
}

// Migration implements licensing.Reader.
func (r reader) Migration(ctx context.Context, plan string, version uint32) (licensing.PlanMigration, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.PlanMigration, error) {
		return q.Migration(ctx, query.MigrationParams{Plan: plan, Version: int32(version)})
	})
	if err != nil {
		return licensing.PlanMigration{}, missing(err, licensing.KindPlanVersion, licensing.VersionID(plan, version))
	}
	return toMigration(row)
}

// OpenMigration implements licensing.Reader.
func (r reader) OpenMigration(ctx context.Context) (licensing.PlanMigration, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.PlanMigration, error) { return q.OpenMigration(ctx) })
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.PlanMigration{}, &licensing.Error{Code: licensing.NotFound, Message: "no migration is open"}
	}
	if err != nil {
		return licensing.PlanMigration{}, fmt.Errorf("read open migration: %w", err)
	}
	return toMigration(row)
}

// Drawn implements licensing.Reader.
func (r reader) Drawn(ctx context.Context, grants []string) (map[string]int64, error) {
	rows, err := get(ctx, r, func(ctx context.Context, q *query.Queries) ([]query.DrawnRow, error) { return q.Drawn(ctx, grants) })
	out := make(map[string]int64, len(rows))
	for _, row := range rows {
		out[row.GrantID] = row.Units
	}
	if err != nil {
		return nil, fmt.Errorf("read what is drawn of grants: %w", err)
	}
	return out, nil
}

// DrawnIn implements licensing.Reader.
func (r reader) DrawnIn(ctx context.Context, grants []string, p licensing.Pool) (map[string]int64, error) {
	start, end := p.Span.Unix()
	rows, err := get(ctx, r, func(ctx context.Context, q *query.Queries) ([]query.DrawnInRow, error) {
		return q.DrawnIn(ctx, query.DrawnInParams{
			Grants: grants, License: p.License, Meter: p.Meter, Generation: int64(p.Generation), PeriodStart: start, PeriodEnd: periodEnd(end),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read what is drawn of grants in a period: %w", err)
	}
	out := make(map[string]int64, len(rows))
	for _, row := range rows {
		out[row.GrantID] = row.Units
	}
	return out, nil
}

// Rolled implements licensing.Reader.
func (r reader) Rolled(ctx context.Context, p licensing.Pool) (int64, error) {
	start, end := p.Span.Unix()
	units, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (int64, error) {
		return q.Rolled(ctx, query.RolledParams{
			License: p.License, Meter: p.Meter, Generation: int64(p.Generation), PeriodStart: start, PeriodEnd: periodEnd(end),
		})
	})
	if err != nil {
		return 0, fmt.Errorf("read what was carried over: %w", err)
	}
	return units, nil
}

// Carried implements licensing.Reader.
func (r reader) Carried(ctx context.Context, p licensing.Pool, quota licensing.Quota) (int64, error) {
	start, end := p.Span.Unix()
	units, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (int64, error) {
		return q.Carried(ctx, query.CarriedParams{
			License: p.License, Meter: p.Meter, Generation: int64(p.Generation), PeriodStart: start, PeriodEnd: periodEnd(end), Quota: quota.Limit, Rollover: quota.Rollover,
		})
	})
	if err != nil {
		return 0, fmt.Errorf("read what is carried over: %w", err)
	}
	return units, nil
}

// Used implements licensing.Reader. Up to when it is complete is read first: what is committed later may be counted, but what that promises is.
func (r reader) Used(ctx context.Context, license, meter string, generation uint64, from, to time.Time) (int64, time.Time, error) {
	var asOf time.Time
	units, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (int64, error) {
		complete, err := q.UsageAsOf(ctx)
		if err != nil {
			return 0, err
		}
		if complete.Boots > 0 {
			asOf = complete.AsOf.UTC()
		}
		return q.UsedUnits(ctx, query.UsedUnitsParams{
			License: license, Meter: meter, Generation: int64(generation), Since: from.Truncate(time.Minute), Until: to,
		})
	})
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("read what licence %s used: %w", license, err)
	}
	return units, asOf, nil
}
