package ingest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/metering"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

const (
	// maxRecords and maxBody bound a segment: nodes cut at 4,096 records or 1 MiB.
	maxRecords = 1 << 16
	maxBody    = 16 << 20
)

// open verifies a message and reads it. An error means that it can never be taken.
func (i *Ingest) open(m Message, now time.Time) (metering.Segment, error) {
	var seg ledgerv1.Segment
	if err := proto.Unmarshal(m.Data(), &seg); err != nil {
		return metering.Segment{}, fmt.Errorf("decode segment: %w", err)
	}
	opened, err := i.verifier.Open(envelope.KindSegment, seg.GetHeader(), now)
	if err != nil {
		return metering.Segment{}, fmt.Errorf("open segment header: %w", err)
	}
	var h ledgerv1.SegmentHeader
	if err := proto.Unmarshal(opened.Payload, &h); err != nil {
		return metering.Segment{}, fmt.Errorf("decode segment header: %w", err)
	}
	if err := check(&h, opened.Signer, m.Node(), i.verifier.Fleet()); err != nil {
		return metering.Segment{}, err
	}
	if sum := sha256.Sum256(seg.GetBody()); !bytes.Equal(sum[:], h.GetBodySha256()) {
		return metering.Segment{}, fmt.Errorf("segment %d of boot %s: the body is not the signed one", h.GetNumber(), h.GetBoot())
	}
	records, err := i.records(seg.GetBody())
	if err != nil {
		return metering.Segment{}, fmt.Errorf("segment %d of boot %s: %w", h.GetNumber(), h.GetBoot(), err)
	}
	entries, err := fold(&h, records)
	if err != nil {
		return metering.Segment{}, fmt.Errorf("segment %d of boot %s: %w", h.GetNumber(), h.GetBoot(), err)
	}
	return metering.Segment{
		Place: metering.Place{
			Node: h.GetNode(), Boot: h.GetBoot(), Signer: opened.Signer.PublicKey, Number: h.GetNumber(),
			Hash: envelope.Hash(opened.Payload), Previous: h.GetPreviousHash(),
			SealedAt: h.GetSealedAt().AsTime(), Final: h.GetFinal(),
		},
		Entries: entries,
	}, nil
}

func check(h *ledgerv1.SegmentHeader, signer envelope.Certified, subject, fleet string) error {
	switch {
	case h.GetFleet() != fleet:
		return fmt.Errorf("segment of fleet %q", h.GetFleet())
	case h.GetNode() != signer.Subject || h.GetNode() != subject:
		return fmt.Errorf("segment of node %q, signed by %q, sent as %q", h.GetNode(), signer.Subject, subject)
	case len(h.GetBoot()) != 32 || strings.Trim(h.GetBoot(), "0123456789abcdef") != "":
		return fmt.Errorf("boot %q is not 32 hex digits", h.GetBoot())
	case h.GetNumber() == 0 || h.GetNumber() > 1<<62:
		return fmt.Errorf("segment number %d", h.GetNumber())
	case h.GetRecords() > maxRecords:
		return fmt.Errorf("segment of %d records", h.GetRecords())
	case h.GetSealedAt() == nil || h.GetSealedAt().CheckValid() != nil:
		return fmt.Errorf("segment sealed at no time")
	}
	return nil
}

func (i *Ingest) records(body []byte) ([]*ledgerv1.Record, error) {
	raw, err := i.bodies.DecodeAll(body, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	var b ledgerv1.SegmentBody
	if err := proto.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("decode records: %w", err)
	}
	return b.GetRecords(), nil
}

// fold adds up a segment's records. Sequences have to follow each other.
func fold(h *ledgerv1.SegmentHeader, records []*ledgerv1.Record) (*metering.Entries, error) {
	if len(records) != int(h.GetRecords()) {
		return nil, fmt.Errorf("%d records, the header says %d", len(records), h.GetRecords())
	}
	e := metering.NewEntries(len(records))
	for n, r := range records {
		if r.GetSequence() != h.GetFirstSequence()+uint64(n) {
			return nil, fmt.Errorf("record %d has sequence %d, want %d", n, r.GetSequence(), h.GetFirstSequence()+uint64(n))
		}
		switch v := r.GetEntry().(type) {
		case *ledgerv1.Record_Denial:
			e.Denial(toDecision(h, r.GetSequence(), v.Denial))
		case *ledgerv1.Record_Intent:
			e.Intent(toDecision(h, r.GetSequence(), v.Intent), toCharges(v.Intent.GetCharges()), v.Intent.GetBillIfOpen())
		case *ledgerv1.Record_Settlement:
			e.Settlement(toSettlement(v.Settlement))
		default:
			return nil, fmt.Errorf("record %d is of a kind that is not known", r.GetSequence())
		}
	}
	return e, nil
}

func toDecision(h *ledgerv1.SegmentHeader, sequence uint64, d *ledgerv1.Decision) metering.Decision {
	return metering.Decision{
		ID: text(d.GetId()), Time: time.UnixMicro(d.GetTimeUs()).UTC(), Node: h.GetNode(), Boot: h.GetBoot(), Sequence: sequence,
		Epoch:   decision.Epoch{Generation: d.GetEpochGeneration(), Number: d.GetEpochNumber()},
		Outcome: decision.Outcome(text(d.GetOutcome())), Code: decision.Code(text(d.GetCode())),
		Customer: text(d.GetCustomer()), License: text(d.GetLicense()), Plan: text(d.GetPlan()), PlanVersion: d.GetPlanVersion(),
		Credential: text(d.GetCredential()), Route: text(d.GetRoute()), Method: text(d.GetMethod()), Path: text(d.GetPath()),
		ClientIP: text(d.GetClientIp()), Policy: text(d.GetPolicy()), Status: int(d.GetStatus()),
		Overhead: time.Duration(d.GetOverheadUs()) * time.Microsecond, TraceID: text(d.GetTraceId()),
	}
}

func toSettlement(s *ledgerv1.Settlement) metering.Settlement {
	return metering.Settlement{
		Decision: text(s.GetDecision()), License: text(s.GetLicense()), IntentTime: time.UnixMicro(s.GetIntentTimeUs()).UTC(),
		Charges: toCharges(s.GetCharges()), Code: decision.Code(text(s.GetCode())),
		Status: int(s.GetStatus()), UpstreamStatus: int(s.GetUpstreamStatus()),
		Duration: time.Duration(s.GetDurationUs()) * time.Microsecond, Overhead: time.Duration(s.GetOverheadUs()) * time.Microsecond,
		BytesIn: s.GetBytesIn(), BytesOut: s.GetBytesOut(), Billed: s.GetBilled(),
	}
}

func toCharges(list []*ledgerv1.Charge) []metering.Charge {
	charges := make([]metering.Charge, len(list))
	for i, c := range list {
		charges[i] = metering.Charge{
			Meter: text(c.GetMeter()), Feature: text(c.GetFeature()), Units: c.GetUnits(),
			PeriodStart: c.GetPeriodStart(), PeriodEnd: c.GetPeriodEnd(), Generation: c.GetCounterGeneration(), Lent: c.GetLent(),
		}
	}
	return charges
}

// text drops the one character that Postgres cannot hold. A client can write it into a path.
func text(s string) string { return strings.ReplaceAll(s, "\x00", "") }
