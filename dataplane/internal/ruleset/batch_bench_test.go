package ruleset_test

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/rulefile"
	"tollgate/dataplane/internal/ruleset"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// So many change sets of one licence lie on the stream: until the last is enforced, with a disk, and 50,000 licences there.
func BenchmarkFollower_ChangeSetsThatWait(b *testing.B) {
	for _, waiting := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			s := &setup{t: &testing.T{}, generation: 1, hashes: map[uint64][]byte{0: nil}}
			var err error
			if _, s.root, err = ed25519.GenerateKey(nil); err != nil {
				b.Fatal(err)
			}
			s.trusted = envelope.NewVerifier(fleet, s.root.Public().(ed25519.PublicKey))
			s.signer = s.newSigner(fleet, nil)
			at := timestamppb.New(time.Date(2026, 3, 1, 8, 0, 0, 123000000, time.UTC))
			license := func(i int) *rulesv1.Record {
				ulid := fmt.Sprintf("01JDXAMPLE%016d", i*7919)
				return licensed(i, func(l *rulesv1.License) { l.Id, l.Customer, l.StartsAt, l.Anchor = "lic_"+ulid, "cus_"+ulid, at, at })
			}
			var all []*rulesv1.Record
			for i := range 50_000 {
				all = append(all, license(i))
			}
			w := newWire()
			w.rules(s.extend(1, all...))
			disk, err := rulefile.Open(rulefile.Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			durable := 0
			f, err := ruleset.New(ruleset.Config{
				Source: w.connect(), Verifier: s.verifier(), Clock: clock.New(clock.System()), Logger: slog.New(slog.DiscardHandler),
				Metrics: prometheus.NewRegistry(), Disk: &watchedDisk{disk, func(_ decision.Epoch, d bool) error {
					if d {
						durable++
					}
					return nil
				}},
			})
			if err != nil {
				b.Fatal(err)
			}
			enforced := f.Enforced()
			f.Start()
			defer f.Stop()
			until := func(number uint64) {
				for f.Epoch().Number < number {
					<-enforced
				}
			}
			until(1)
			last := uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				var raws [][]byte
				for range waiting {
					last++
					raws = append(raws, s.extend(last, license(100_000+int(last))))
				}
				b.StartTimer()
				w.change(func() { w.stream = append(w.stream, raws...) })
				until(last)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(last-1), "us/change")
			b.ReportMetric(float64(durable)/float64(last-1), "fsyncs/change")
		})
	}
}
