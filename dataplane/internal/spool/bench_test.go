package spool

import (
	"slices"
	"testing"
	"time"

	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// benchLog is a log that cuts, seals, sends and gets its receipts while it is measured. What a control plane does with a segment is left
// out.
func benchLog(b *testing.B) (l *Log, done func()) {
	h := setupIn(b, b.TempDir())
	l = h.open(b, nil)
	h.wire.set(func(segment []byte) error {
		header, hash, err := headerOf(segment)
		if err != nil {
			return err
		}
		l.Receipt(h.plane.sign(&ledgerv1.Receipt{
			Fleet: testFleet, Node: testNode, Boot: header.GetBoot(), Number: header.GetNumber(), Hash: hash,
		}))
		return nil
	}, nil)
	l.Start(b.Context())
	return l, func() {
		b.StopTimer()
		if err := l.Close(b.Context()); err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkBeginSettle is what the log adds to a forwarded request.
func BenchmarkBeginSettle(b *testing.B) {
	l, done := benchLog(b)
	defer done()
	b.ReportAllocs()
	took := make([]time.Duration, 0, 1<<20)
	for b.Loop() {
		d := intent()
		at := time.Now()
		if err := l.Begin(d); err != nil {
			b.Fatal(err)
		}
		if err := l.Settle(settlement(d)); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(took[len(took)*999/1000].Nanoseconds()), "p99.9-ns")
}

func BenchmarkBeginSettleParallel(b *testing.B) {
	l, done := benchLog(b)
	defer done()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d := intent()
			if err := l.Begin(d); err != nil {
				b.Error(err)
				return
			}
			if err := l.Settle(settlement(d)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkDeny(b *testing.B) {
	l, done := benchLog(b)
	defer done()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Deny(denial()); err != nil {
			b.Fatal(err)
		}
	}
}
