package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"tollgate/controlplane/internal/metering"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// at is when all requests of these tests were decided.
func at() time.Time { return time.Date(2026, 11, 23, 10, 0, 30, 0, time.UTC) }

func id(boot string, n int) string { return fmt.Sprintf("dec_%s_%d", boot[len(boot)-4:], n) }

func charge(units int64) []*ledgerv1.Charge {
	return []*ledgerv1.Charge{{Meter: "requests", Feature: "calls", Units: units, PeriodStart: 1, CounterGeneration: 1, Lent: true}}
}

func decided(id string) *ledgerv1.Decision {
	return &ledgerv1.Decision{
		Id: id, TimeUs: at().UnixMicro(), EpochGeneration: 1, EpochNumber: 7, Outcome: "forward", Code: "ok",
		Customer: "cus_1", License: "lic_1", Plan: "free", PlanVersion: 2, Credential: "key_1", Route: "hello",
		Method: "GET", Path: "/hello", ClientIp: "192.0.2.1", OverheadUs: 40, TraceId: "trace", BillIfOpen: true,
	}
}

func intent(id string, units int64) *ledgerv1.Record {
	d := decided(id)
	d.Charges = charge(units)
	return &ledgerv1.Record{Entry: &ledgerv1.Record_Intent{Intent: d}}
}

// lenient is an intent that is not billed while it is open.
func lenient(id string, units int64) *ledgerv1.Record {
	r := intent(id, units)
	r.GetIntent().BillIfOpen = false
	return r
}

func denial(id string) *ledgerv1.Record {
	d := decided(id)
	d.Outcome, d.Code, d.Policy, d.Status = "throttle", "rate_limited", "free-rate", 429
	return &ledgerv1.Record{Entry: &ledgerv1.Record_Denial{Denial: d}}
}

func settled(id string, units int64, billed bool) *ledgerv1.Record {
	s := &ledgerv1.Settlement{
		Decision: id, Status: 200, UpstreamStatus: 200, DurationUs: 1500, OverheadUs: 60, BytesIn: 10, BytesOut: 20,
		Billed: billed, Code: "ok", IntentTimeUs: at().UnixMicro(), Charges: charge(units), License: "lic_1",
	}
	if !billed {
		s.Status, s.UpstreamStatus, s.Code = 502, 0, "upstream_failed"
	}
	return &ledgerv1.Record{Entry: &ledgerv1.Record_Settlement{Settlement: s}}
}

// usage is what lic_1 used.
func (p *plane) usage(t *testing.T) int64 {
	t.Helper()
	u, err := p.db.Metering().Usage(t.Context(), metering.UsageQuery{
		License: "lic_1", Meter: "requests", From: at().Truncate(time.Minute), To: at().Add(time.Hour).Truncate(time.Minute),
	})
	must(t, err)
	return u.Total
}

// decisions are all of lic_1's, at most 1,000.
func (p *plane) decisions(t *testing.T) []metering.Decision {
	t.Helper()
	list, err := p.db.Metering().Decisions(t.Context(), metering.Filter{License: "lic_1"}, nil, 1000)
	must(t, err)
	return list
}
