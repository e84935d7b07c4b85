package postgres

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

// decisionColumns are those that insert writes, in its order.
func decisionColumns() []string {
	return []string{
		"id", "time", "node", "boot", "seq", "epoch_generation", "epoch_number", "outcome", "code", "customer", "license",
		"plan", "plan_version", "credential", "route", "method", "path", "client_ip", "policy", "cost", "status",
		"upstream_status", "duration_us", "overhead_us", "bytes_in", "bytes_out", "trace_id", "settled", "counted",
	}
}

// insert copies decisions in: many times faster than statements are. A decision that is there already fails it, as it must: the
// head has said that this segment is new.
func (c *commit) insert(rows []metering.Row) error {
	if len(rows) == 0 {
		return nil
	}
	values := make([]any, len(decisionColumns()))
	_, err := c.tx.CopyFrom(c.ctx, pgx.Identifier{"decision"}, decisionColumns(), pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		d := &rows[i]
		for n, v := range [...]any{
			d.ID, d.Time, d.Node, d.Boot, int64(d.Sequence), int64(d.Epoch.Generation), int64(d.Epoch.Number),
			string(d.Outcome), string(d.Code), d.Customer, d.License, d.Plan, int32(d.PlanVersion), d.Credential, d.Route,
			d.Method, d.Path, d.ClientIP, d.Policy, d.Cost, int32(d.Status), int32(d.UpstreamStatus),
			d.Duration.Microseconds(), d.Overhead.Microseconds(), d.BytesIn, d.BytesOut, d.TraceID, d.Settled, d.Counted,
		} {
			values[n] = v
		}
		return values, nil
	}))
	if err != nil {
		return fmt.Errorf("insert %d decisions: %w", len(rows), err)
	}
	return nil
}

func toDecision(r query.Decision) metering.Decision {
	return metering.Decision{
		ID: r.ID, Time: r.Time.UTC(), Node: r.Node, Boot: r.Boot, Sequence: uint64(r.Seq),
		Epoch:   decision.Epoch{Generation: uint64(r.EpochGeneration), Number: uint64(r.EpochNumber)},
		Outcome: decision.Outcome(r.Outcome), Code: decision.Code(r.Code), Customer: r.Customer, License: r.License,
		Plan: r.Plan, PlanVersion: uint32(r.PlanVersion), Credential: r.Credential, Route: r.Route,
		Method: r.Method, Path: r.Path, ClientIP: r.ClientIp, Policy: r.Policy, Cost: r.Cost,
		Status: int(r.Status), UpstreamStatus: int(r.UpstreamStatus),
		Duration: time.Duration(r.DurationUs) * time.Microsecond, Overhead: time.Duration(r.OverheadUs) * time.Microsecond,
		BytesIn: r.BytesIn, BytesOut: r.BytesOut, TraceID: r.TraceID, Settled: r.Settled,
	}
}

func fromSettlements(list []metering.Settlement) query.SettleDecisionsParams {
	var p query.SettleDecisionsParams
	for _, s := range list {
		p.Ids = append(p.Ids, s.Decision)
		p.Codes = append(p.Codes, string(s.Code))
		p.Statuses = append(p.Statuses, int32(s.Status))
		p.UpstreamStatuses = append(p.UpstreamStatuses, int32(s.UpstreamStatus))
		p.DurationsUs = append(p.DurationsUs, s.Duration.Microseconds())
		p.OverheadsUs = append(p.OverheadsUs, s.Overhead.Microseconds())
		p.BytesIn = append(p.BytesIn, s.BytesIn)
		p.BytesOut = append(p.BytesOut, s.BytesOut)
		p.Counted = append(p.Counted, s.Billed)
	}
	return p
}

// fromUsage lists usage in one order, so that two transactions do not wait for each other in a circle.
func fromUsage(usage map[metering.UsageKey]int64) query.AddUsageParams {
	var p query.AddUsageParams
	for _, k := range slices.SortedFunc(maps.Keys(usage), compareUsage) {
		if usage[k] == 0 {
			continue
		}
		p.Licenses = append(p.Licenses, k.License)
		p.Meters = append(p.Meters, k.Meter)
		p.Generations = append(p.Generations, int64(k.Generation))
		p.Minutes = append(p.Minutes, time.Unix(k.Minute, 0).UTC())
		p.Units = append(p.Units, usage[k])
	}
	return p
}

func fromFree(free map[metering.UsageKey]int64) query.ChargePoolsParams {
	var p query.ChargePoolsParams
	for k, units := range free {
		if units == 0 {
			continue
		}
		p.Licenses, p.Meters = append(p.Licenses, k.License), append(p.Meters, k.Meter)
		p.Generations, p.Minutes = append(p.Generations, int64(k.Generation)), append(p.Minutes, k.Minute)
		p.Units = append(p.Units, units)
	}
	return p
}

func compareUsage(a, b metering.UsageKey) int {
	return cmp.Or(cmp.Compare(a.License, b.License), cmp.Compare(a.Meter, b.Meter),
		cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Minute, b.Minute))
}

// compareLoans is the order in which lenders lock pools, then by boot.
func compareLoans(a, b bootLoan) int {
	return cmp.Or(cmp.Compare(a.key.License, b.key.License), cmp.Compare(a.key.Meter, b.key.Meter),
		cmp.Compare(a.key.PeriodStart, b.key.PeriodStart), cmp.Compare(a.key.PeriodEnd, b.key.PeriodEnd), cmp.Compare(a.key.Generation, b.key.Generation),
		cmp.Compare(a.boot, b.boot))
}
