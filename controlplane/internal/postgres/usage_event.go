package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres/query"
)

// CountingLicenses implements licensing.Reader.
func (r reader) CountingLicenses(ctx context.Context, ids []string) ([]licensing.License, []licensing.CounterStart, error) {
	var starts []query.CounterStart
	rows, err := get(ctx, r, func(ctx context.Context, q *query.Queries) ([]query.License, error) {
		rows, err := q.LicensesNamed(ctx, query.LicensesNamedParams{Ids: filled(ids), ExternalIds: filled(nil)})
		if err != nil {
			return nil, err
		}
		starts, err = q.CounterStarts(ctx, ids)
		return rows, err
	})
	if err != nil {
		return nil, nil, failed(err, "read", licensing.KindLicense)
	}
	found, err := all(rows, toLicense)
	if err != nil {
		return nil, nil, err
	}
	began, err := all(starts, sure(toCounterStart))
	return found, began, err
}

// UsageEvents implements licensing.Reader.
func (r reader) UsageEvents(ctx context.Context, keys []licensing.EventKey) ([]licensing.CountedEvent, error) {
	var p query.UsageEventsParams
	for _, k := range keys {
		p.Sources, p.Ids = append(p.Sources, k.Source), append(p.Ids, k.ID)
	}
	rows, err := get(ctx, r, func(ctx context.Context, q *query.Queries) ([]query.UsageEvent, error) { return q.UsageEvents(ctx, p) })
	if err != nil {
		return nil, fmt.Errorf("look up usage events: %w", err)
	}
	return all(rows, sure(toCountedEvent))
}

// UsageCorrections implements licensing.Reader.
func (r reader) UsageCorrections(ctx context.Context, l licensing.List) ([]licensing.UsageCorrection, error) {
	rows, err := get(ctx, r.lists(), func(ctx context.Context, q *query.Queries) ([]query.UsageCorrection, error) {
		return q.UsageCorrections(ctx, query.UsageCorrectionsParams{
			After: l.After, PageSize: int32(l.PageSize), License: filtered(l, "license"), Meter: filtered(l, "meter"),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list usage corrections: %w", err)
	}
	return all(rows, sure(toUsageCorrection))
}

func (t *licensingTx) InsertUsageEvents(ctx context.Context, events []licensing.CountedEvent, now time.Time) ([]licensing.EventKey, error) {
	p := query.InsertUsageEventsParams{CreatedAt: now}
	for i := range events {
		e := &events[i]
		p.Sources, p.Ids = append(p.Sources, e.Source), append(p.Ids, e.ID)
		p.Licenses, p.Meters = append(p.Licenses, e.License), append(p.Meters, e.Meter)
		p.Generations, p.Times = append(p.Generations, int64(e.Generation)), append(p.Times, e.Time)
		p.Units = append(p.Units, e.Units)
	}
	rows, err := t.q.InsertUsageEvents(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("store usage events: %w", err)
	}
	keys := make([]licensing.EventKey, len(rows))
	for i, r := range rows {
		keys[i] = licensing.EventKey{Source: r.Source, ID: r.ID}
	}
	return keys, nil
}

func (t *licensingTx) InsertUsageCorrection(ctx context.Context, c licensing.UsageCorrection) error {
	err := t.q.InsertUsageCorrection(ctx, query.InsertUsageCorrectionParams{
		ID: c.ID, License: c.License, Meter: c.Meter, CounterGeneration: int64(c.Generation), Minute: c.Minute, Units: c.Units,
		Reason: c.Reason, Actor: c.Actor, CreatedAt: c.CreateTime,
	})
	if err != nil {
		return fmt.Errorf("store a usage correction: %w", err)
	}
	return nil
}

// CountUnits implements licensing.Tx. Locks are taken in the order of the ledger: minutes, counters, pools. A lender that makes a pool
// before the counters are locked here does not see the units, and its pool is charged here; one that does so after sees them committed.
func (t *licensingTx) CountUnits(ctx context.Context, moved []licensing.Units) ([]licensing.Units, error) {
	usage := make(map[metering.UsageKey]int64, len(moved))
	for _, u := range moved {
		usage[metering.UsageKey{License: u.License, Meter: u.Meter, Generation: u.Generation, Minute: u.Minute.Unix()}] += u.Units
	}
	if err := t.count(ctx, usage); err != nil {
		if _, over := violated(err, "22003"); over { // numeric_value_out_of_range
			return nil, &licensing.Error{Code: licensing.FailedPrecondition, Message: "the units are more than can be counted"}
		}
		return nil, fmt.Errorf("count units: %w", err)
	}
	return t.minutes(ctx, usage)
}

func (t *licensingTx) count(ctx context.Context, usage map[metering.UsageKey]int64) error {
	if err := t.q.AddUsage(ctx, fromUsage(usage)); err != nil {
		return err
	}
	licenses, meters := countersOf(usage)
	if err := t.q.LockCounters(ctx, query.LockCountersParams{Licenses: licenses, Meters: meters}); err != nil {
		return err
	}
	return t.q.ChargePools(ctx, fromFree(usage))
}

// minutes reads what is counted where usage moved.
func (t *licensingTx) minutes(ctx context.Context, usage map[metering.UsageKey]int64) ([]licensing.Units, error) {
	var p query.UnitsOfMinutesParams
	for k := range maps.Keys(usage) {
		p.Licenses, p.Meters = append(p.Licenses, k.License), append(p.Meters, k.Meter)
		p.Generations, p.Minutes = append(p.Generations, int64(k.Generation)), append(p.Minutes, time.Unix(k.Minute, 0).UTC())
	}
	rows, err := t.q.UnitsOfMinutes(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read what is counted: %w", err)
	}
	return all(rows, sure(toUnits))
}

// countersOf are the counters that usage moves, in the order in which they are locked.
func countersOf(usage map[metering.UsageKey]int64) (licenses, meters []string) {
	var last metering.UsageKey
	for _, k := range slices.SortedFunc(maps.Keys(usage), compareUsage) {
		if k.License == last.License && k.Meter == last.Meter {
			continue
		}
		last = k
		licenses, meters = append(licenses, k.License), append(meters, k.Meter)
	}
	return licenses, meters
}

// LockCall implements licensing.Tx.
func (t *licensingTx) LockCall(ctx context.Context, k licensing.CallKey) error {
	if err := t.q.LockAdminCall(ctx, query.LockAdminCallParams{Actor: k.Actor, Procedure: k.Procedure, RequestID: k.RequestID}); err != nil {
		return fmt.Errorf("lock a call: %w", err)
	}
	return nil
}

func toCounterStart(r query.CounterStart) licensing.CounterStart {
	return licensing.CounterStart{License: r.License, StartsAt: r.StartsAt.UTC(), Before: uint64(r.Before)}
}

func toCountedEvent(r query.UsageEvent) licensing.CountedEvent {
	return licensing.CountedEvent{
		EventKey: licensing.EventKey{Source: r.Source, ID: r.ID}, License: r.License, Meter: r.Meter,
		Generation: uint64(r.CounterGeneration), Time: r.Time.UTC(), Units: r.Units,
	}
}

func toUsageCorrection(r query.UsageCorrection) licensing.UsageCorrection {
	return licensing.UsageCorrection{
		ID: r.ID, License: r.License, Meter: r.Meter, Generation: uint64(r.CounterGeneration), Minute: r.Minute.UTC(), Units: r.Units,
		Reason: r.Reason, Actor: r.Actor, CreateTime: r.CreatedAt.UTC(),
	}
}

func toUnits(r query.UsageMinute) licensing.Units {
	return licensing.Units{License: r.License, Meter: r.Meter, Generation: uint64(r.CounterGeneration), Minute: r.Minute.UTC(), Units: r.Units}
}
