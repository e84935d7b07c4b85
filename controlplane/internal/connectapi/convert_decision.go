package connectapi

import (
	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/metering"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toDecision(d *metering.Decision) *adminv1.Decision {
	return &adminv1.Decision{
		Id: d.ID, Time: toTime(d.Time), Node: d.Node, Boot: d.Boot, Seq: int64(d.Sequence), Epoch: toEpoch(d.Epoch),
		Outcome: string(d.Outcome), Code: string(d.Code),
		Customer: d.Customer, License: d.License, Plan: d.Plan, PlanVersion: d.PlanVersion, Credential: d.Credential,
		Route: d.Route, Method: d.Method, Path: d.Path, ClientIp: d.ClientIP, Policy: d.Policy, Cost: d.Cost,
		Status: int32(d.Status), UpstreamStatus: int32(d.UpstreamStatus),
		DurationUs: d.Duration.Microseconds(), OverheadUs: d.Overhead.Microseconds(), BytesIn: d.BytesIn, BytesOut: d.BytesOut,
		TraceId: d.TraceID, Settled: d.Settled,
	}
}

func toTraceStep(s *metering.Step) *adminv1.TraceStep {
	return &adminv1.TraceStep{Step: string(s.Step), Result: s.Result, Source: s.Source}
}

func toUsageRow(r *metering.UsageRow) *adminv1.UsageRow {
	return &adminv1.UsageRow{Start: toTime(r.Start), Units: r.Units}
}

func toNode(n *fleet.Node) *adminv1.Node {
	return &adminv1.Node{
		Name: n.Name, Version: n.Version, Boot: n.Boot, Epoch: toEpoch(n.Epoch), State: n.Shown(), LagMs: n.Lag.Milliseconds(),
		SpoolBytes: n.SpoolBytes, ProxyRps: n.ProxyRPS, Refuses: n.Refuses, LastSeen: toTime(n.LastSeen),
		BlockReason: n.BlockReason, BlockTime: toTime(n.BlockTime), NatsUser: n.NATSUser, KeySetVersion: n.KeySet,
	}
}
