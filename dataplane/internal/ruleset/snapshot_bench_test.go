package ruleset_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/ruleset"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// memory is a source that has a snapshot and no stream.
type memory map[string][]byte

func (m memory) Snapshots(context.Context) ([]string, error) {
	return slices.Collect(maps.Keys(m)), nil
}

func (m memory) Snapshot(_ context.Context, name string) ([]byte, error) { return m[name], nil }

func (m memory) FollowRules(ctx context.Context, _ bool, _ func([]byte, bool, bool) bool) error {
	<-ctx.Done()
	return ctx.Err()
}

// A snapshot of 50,000 licences with two keys each, from memory until it is enforced.
func BenchmarkFollower_TakesASnapshot(b *testing.B) {
	const licenses = 50_000
	s := &setup{t: &testing.T{}, generation: 1}
	var err error
	if _, s.root, err = ed25519.GenerateKey(nil); err != nil {
		b.Fatal(err)
	}
	s.signer = s.newSigner(fleet, nil)
	from := memory{}
	m := &rulesv1.SnapshotManifest{Fleet: fleet, Generation: 1, Number: 1, HeadHash: []byte("head"), CreatedAt: timestamppb.Now()}
	var chunk []byte
	flush := func() {
		sum := sha256.Sum256(chunk)
		from[fmt.Sprintf("1.%020d.%d", 1, len(m.GetChunkSha256()))] = chunk
		m.ChunkSha256 = append(m.ChunkSha256, sum[:])
		chunk = nil
	}
	add := func(r *rulesv1.Record) {
		chunk = protowire.AppendBytes(protowire.AppendTag(chunk, 1, protowire.BytesType), s.encode(r))
		if len(chunk) > 1<<20 {
			flush()
		}
	}
	at := timestamppb.New(time.Date(2026, 3, 1, 8, 0, 0, 123000000, time.UTC))
	for i := range licenses {
		ulid := fmt.Sprintf("01JDXAMPLE%016d", i*7919)
		add(&rulesv1.Record{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{Id: "cus_" + ulid, ExternalId: fmt.Sprint("customer-", i), TimeZone: "Europe/Berlin"}}})
		add(&rulesv1.Record{Value: &rulesv1.Record_License{License: &rulesv1.License{
			Id: "lic_" + ulid, Customer: "cus_" + ulid, Plan: "pro", PlanVersion: 3, Status: rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE,
			StartsAt: at, Anchor: at, CounterGeneration: 1,
		}}})
		for k := range 2 {
			hash := sha256.Sum256(fmt.Append(nil, i, k))
			add(&rulesv1.Record{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: fmt.Sprintf("key_01JDXAMP%02d%016d", k, i*7919), License: "lic_" + ulid, Hash: hash[:]}}})
		}
	}
	flush()
	manifest, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	if from[fmt.Sprintf("1.%020d", 1)], err = s.signer.Sign(envelope.KindSnapshot, manifest); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := ruleset.New(ruleset.Config{
			Source: from, Verifier: envelope.NewVerifier(fleet, s.root.Public().(ed25519.PublicKey)),
			Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		})
		if err != nil {
			b.Fatal(err)
		}
		enforced := f.Enforced()
		f.Start()
		<-enforced
		f.Stop()
		if want := (decision.Epoch{Generation: 1, Number: 1}); f.Epoch() != want {
			b.Fatalf("enforces %v", f.Epoch())
		}
	}
}
