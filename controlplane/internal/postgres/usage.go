package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres/query"
)

// Metering is metering.Store.
type Metering struct{ db *DB }

// Metering is the port of the metering service.
func (db *DB) Metering() *Metering { return &Metering{db} }

// Usage adds up minutes. AsOf is read first: what is committed later may be counted, but what it promises is.
func (s *Metering) Usage(ctx context.Context, u metering.UsageQuery) (metering.Usage, error) {
	var out metering.Usage
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) error {
		out = metering.Usage{}
		asOf, err := q.UsageAsOf(ctx)
		if err != nil {
			return err
		}
		if asOf.Boots > 0 {
			out.AsOf = asOf.AsOf.UTC()
		}
		if out.Total, err = q.UsageTotal(ctx, query.UsageTotalParams{
			License: u.License, Meter: u.Meter, Since: u.From, Until: u.To,
		}); err != nil || u.Window == 0 {
			return err
		}
		rows, err := q.UsageRows(ctx, query.UsageRowsParams{
			License: u.License, Meter: u.Meter, Since: u.From, Until: u.To, Width: u.Window.Seconds(),
		})
		for _, r := range rows {
			out.Rows = append(out.Rows, metering.UsageRow{Start: r.Start.UTC(), Units: r.Units})
		}
		return err
	})
	if err != nil {
		return metering.Usage{}, fmt.Errorf("read usage: %w", err)
	}
	return out, nil
}

// endOfTime is after every decision.
func endOfTime() time.Time { return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }

// Decisions are newest first.
func (s *Metering) Decisions(ctx context.Context, f metering.Filter, after *metering.Cursor, limit int) ([]metering.Decision, error) {
	before := metering.Cursor{Time: endOfTime()}
	if !f.To.IsZero() {
		before.Time = f.To
	}
	if after != nil && after.Time.Before(before.Time) {
		before = *after
	}
	var rows []query.Decision
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		p := query.SearchDecisionsParams{
			Customer: f.Customer, Credential: f.Credential, Route: f.Route, Node: f.Node,
			Code: string(f.Code), Outcome: string(f.Outcome),
			Since: f.From, BeforeTime: before.Time, BeforeID: before.ID, PageSize: int32(limit),
		}
		if f.License == "" {
			rows, err = q.SearchDecisions(ctx, p)
			return err
		}
		rows, err = q.SearchDecisionsOfLicense(ctx, query.SearchDecisionsOfLicenseParams{
			License: f.License, Customer: p.Customer, Credential: p.Credential, Route: p.Route, Node: p.Node,
			Code: p.Code, Outcome: p.Outcome, Since: p.Since, BeforeTime: p.BeforeTime, BeforeID: p.BeforeID, PageSize: p.PageSize,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search decisions: %w", err)
	}
	return all(rows, sure(toDecision))
}

// Decision reads one.
func (s *Metering) Decision(ctx context.Context, id string) (metering.Decision, error) {
	var row query.Decision
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		row, err = q.Decision(ctx, id)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return metering.Decision{}, metering.ErrNotFound
	}
	if err != nil {
		return metering.Decision{}, fmt.Errorf("read decision: %w", err)
	}
	return toDecision(row), nil
}
