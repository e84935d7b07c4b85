package spool

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/dataplane/internal/record"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

func decode(t *testing.T, frame []byte) *ledgerv1.Record {
	t.Helper()
	payload, ok := nextFrame(frame)
	if !ok || len(payload)+frameHeader != len(frame) {
		t.Fatalf("no whole frame: %x", frame)
	}
	var r ledgerv1.Record
	if err := proto.Unmarshal(payload, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// full returns a decision that sets every field.
func full() *record.Decision {
	d := intent()
	d.Policy, d.Status = "rate;k=free", 200
	return d
}

func TestEntry_DecodesAsTheProtocolSays(t *testing.T) {
	t.Parallel()
	d := full()
	d.ID, d.Sequence = record.ID(d.Time, boot(1), 7), 7
	charges := []*ledgerv1.Charge{{Meter: "requests", Feature: "api", Units: 1, PeriodStart: 1793491200, PeriodEnd: 1796083200, CounterGeneration: 1, Lent: true}}
	want := &ledgerv1.Decision{
		Id: d.ID, TimeUs: d.Time.UnixMicro(), EpochGeneration: 1, EpochNumber: 42, Outcome: "forward", Code: "ok",
		Customer: d.Customer, License: d.License, Plan: "enterprise", PlanVersion: 3, Credential: d.Credential,
		Route: "reports", Method: "GET", Path: "/v1/reports/2026", ClientIp: "192.0.2.7", Policy: "rate;k=free",
		Charges: charges, Status: 200, OverheadUs: 42, TraceId: d.TraceID, BillIfOpen: true,
	}
	var e entry
	e.decision(d)
	e.setID(d.ID)
	for _, c := range []struct {
		name string
		got  *ledgerv1.Record
		want *ledgerv1.Record
	}{
		{"intent", decode(t, e.frame(intentField, 7)), &ledgerv1.Record{Sequence: 7, Entry: &ledgerv1.Record_Intent{Intent: want}}},
		{"denial", decode(t, e.frame(denialField, 300)), &ledgerv1.Record{Sequence: 300, Entry: &ledgerv1.Record_Denial{Denial: want}}},
	} {
		if !proto.Equal(c.got, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.name, c.got, c.want)
		}
	}

	e.settlement(settlement(d))
	wantSettlement := &ledgerv1.Record{Sequence: 8, Entry: &ledgerv1.Record_Settlement{Settlement: &ledgerv1.Settlement{
		Intent: 7, Decision: d.ID, Status: 200, UpstreamStatus: 200, DurationUs: 3000, OverheadUs: 60,
		BytesIn: 120, BytesOut: 4096, Billed: true, Code: "ok", IntentTimeUs: d.Time.UnixMicro(),
		Charges: charges, License: d.License,
	}}}
	if got := decode(t, e.frame(settlementField, 8)); !proto.Equal(got, wantSettlement) {
		t.Errorf("settlement:\n got %v\nwant %v", got, wantSettlement)
	}
}

// A field that is added to the protocol and not to the encoder would be lost in silence.
func TestEntry_WritesEveryFieldOfTheProtocol(t *testing.T) {
	t.Parallel()
	d := full()
	d.ID, d.Sequence = record.ID(d.Time, boot(1), 7), 7
	var e entry
	e.decision(d)
	e.setID(d.ID)
	everyField(t, decode(t, e.frame(intentField, 7)).GetIntent().ProtoReflect())
	e.settlement(settlement(d))
	everyField(t, decode(t, e.frame(settlementField, 8)).GetSettlement().ProtoReflect())
}

func everyField(t *testing.T, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			t.Errorf("%s is not written", f.FullName())
		} else if f.IsList() && f.Message() != nil {
			everyField(t, m.Get(f).List().Get(0).Message())
		}
	}
}

func TestEntry_TakesWhatClientsSend(t *testing.T) {
	t.Parallel()
	d := intent()
	d.Method = strings.Repeat("M", 10_000)
	d.Path = "/\xff\xfe" + strings.Repeat("é", 10_000)
	d.TraceID = strings.Repeat("\x80", 1000)
	var e entry
	e.decision(d)
	frame := e.frame(denialField, 1)
	if len(frame) > 3*maxPath {
		t.Errorf("the record has %d bytes", len(frame))
	}
	got := decode(t, frame).GetDenial()
	for _, s := range []string{got.GetMethod(), got.GetPath(), got.GetTraceId()} {
		if s == "" || !utf8.ValidString(s) {
			t.Errorf("%.20q is no text", s)
		}
	}
	if !strings.HasPrefix(got.GetPath(), "/\uFFFDé") {
		t.Errorf("path = %.20q", got.GetPath())
	}
}

func TestEntry_IsUsedAgain(t *testing.T) {
	t.Parallel()
	var e entry
	long := intent()
	long.Path = "/" + strings.Repeat("x", 3000)
	e.decision(long)
	_ = e.frame(intentField, 1<<40)
	short := denial()
	e.decision(short)
	first := decode(t, e.frame(denialField, 1))
	second := decode(t, e.frame(denialField, 1<<33))
	if first.GetDenial().GetPath() != short.Path || second.GetDenial().GetPath() != short.Path || second.GetSequence() != 1<<33 {
		t.Errorf("first %v, second %v", first, second)
	}
}
