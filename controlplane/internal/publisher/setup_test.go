package publisher_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/bus"
	"tollgate/controlplane/internal/bus/bustest"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/publisher"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const fleetID = "test"

// plane is a control plane's rules, on a real Postgres and a real NATS.
type plane struct {
	db       *postgres.DB
	api      *licensing.Service
	nats     *bustest.Server
	url      string
	bus      *bus.Bus
	signer   *envelope.Signer
	verifier *envelope.Verifier
	root     ed25519.PrivateKey
	every    uint64
	reading  func()
	// state, if set, replaces the database's rule state, and stored is told of each object that a publisher is about to store: it may refuse.
	state  func(ctx context.Context, at publisher.Head, yield func(publisher.Head, []byte) error) (publisher.Head, error)
	stored func(name string, data []byte) error
	log    slog.Handler
}

func setup(t *testing.T) *plane { t.Helper(); return setupOn(t, pgtest.Database(t)) }

func setupOn(t *testing.T, url string) *plane {
	t.Helper()
	rootKey, root, err := ed25519.GenerateKey(nil)
	must(t, err)
	public, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	c := envelope.Certified{
		Fleet: fleetID, Usage: envelope.UsageRules, Subject: "rules", PublicKey: public,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	certificate, err := envelope.IssueCertificate(root, c)
	must(t, err)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	must(t, err)
	t.Cleanup(db.Close)
	p := &plane{
		url: url, db: db, nats: bustest.Start(t), signer: envelope.NewSigner(key, certificate),
		verifier: envelope.NewVerifier(fleetID, rootKey), root: root,
	}
	envelopetest.Admit(t, p.verifier, root, c)
	p.bus = p.nats.Connect(t)
	p.api, err = licensing.New(licensing.Config{Store: p.db.Licensing(), Encoder: rulefeed.Encoder{}})
	must(t, err)
	_, err = p.api.Bootstrap(t.Context(), licensing.Founding{ID: fleetID, ErrorBaseURL: "http://127.0.0.1"})
	must(t, err)
	return p
}

// store is publisher.Store; forced leads without asking anyone.
type store struct {
	*postgres.Outbox
	db     *postgres.DB
	api    *licensing.Service
	forced bool
	// reading is called before a rule state is read.
	reading func()
	state   func(ctx context.Context, at publisher.Head, yield func(publisher.Head, []byte) error) (publisher.Head, error)
}

// stream is publisher.Stream.
type stream struct {
	*bus.Bus
	stored func(name string, data []byte) error
}

func (s stream) PutSnapshot(ctx context.Context, name string, data []byte) error {
	if s.stored != nil {
		if err := s.stored(name, data); err != nil {
			return err
		}
	}
	return s.Bus.PutSnapshot(ctx, name, data)
}

func (s store) Lead(ctx context.Context, f func(ctx context.Context, wake <-chan struct{})) error {
	if !s.forced {
		return s.Outbox.Lead(ctx, f)
	}
	wake := make(chan struct{})
	go func() {
		for ctx.Err() == nil {
			select {
			case wake <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}()
	f(ctx, wake)
	return ctx.Err()
}

func (s store) RuleState(ctx context.Context, yield func(at publisher.Head, record []byte) error) (publisher.Head, error) {
	if s.reading != nil {
		s.reading()
	}
	if s.state != nil {
		at, err := s.db.RuleState(ctx, func(licensing.Head, licensing.Change) error { return nil })
		if err != nil {
			return publisher.Head{}, err
		}
		return s.state(ctx, publisher.Head(at), yield)
	}
	head, err := s.db.RuleState(ctx, func(at licensing.Head, c licensing.Change) error {
		r, err := rulefeed.Encoder{}.Record(c)
		if err != nil {
			return err
		}
		return yield(publisher.Head(at), r)
	})
	return publisher.Head(head), err
}

func (s store) Resync(ctx context.Context) (int, error) { return s.api.Resync(ctx) }

// run starts a publisher, and returns what stops it. It stops with the test, too.
func (p *plane) run(t *testing.T, forced bool) (stop func()) {
	t.Helper()
	_, stop = p.start(t, forced)
	return stop
}

// start is run, for a publisher that is asked something.
func (p *plane) start(t *testing.T, forced bool) (pub *publisher.Publisher, stop func()) {
	t.Helper()
	log := p.log
	if log == nil {
		log = slog.DiscardHandler
	}
	pub = publisher.New(publisher.Config{
		Store: store{p.db.Outbox(), p.db, p.api, forced, p.reading, p.state}, Stream: stream{p.bus, p.stored}, Signer: p.signer, Verifier: p.verifier,
		SnapshotEvery: p.every, Logger: slog.New(log), Metrics: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = pub.Run(ctx) }) // It ends with ctx, and says so.
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return pub, stop
}

// write makes n changes, each an epoch, and returns the newest.
func (p *plane) write(t *testing.T, n int, prefix string) decision.Epoch {
	t.Helper()
	var epoch decision.Epoch
	var err error
	for i := range n {
		_, epoch, err = p.api.CreateMeter(t.Context(), licensing.Meter{
			Key: fmt.Sprintf("%s-%d", prefix, i), Aggregation: licensing.Count,
		})
		must(t, err)
	}
	return epoch
}

// published are the envelopes on the stream that verify, in order.
func (p *plane) published(t *testing.T) []*rulesv1.Envelope {
	t.Helper()
	for {
		first, last, err := p.bus.RulesBounds(t.Context())
		if err != nil {
			return nil // NATS is away.
		}
		var list []*rulesv1.Envelope
		for seq := first; seq <= last; seq++ {
			raw, ok, err := p.bus.RulesMessage(t.Context(), seq)
			if err != nil || !ok {
				continue
			}
			opened, err := p.verifier.Open(envelope.KindEnvelope, raw, time.Now())
			if err != nil {
				continue
			}
			var e rulesv1.Envelope
			must(t, proto.Unmarshal(opened.Payload, &e))
			list = append(list, &e)
		}
		if now, _, err := p.bus.RulesBounds(t.Context()); err != nil || now == first {
			return list
		}
		// It was trimmed meanwhile.
	}
}

// await waits until the newest envelope on the stream is that of an epoch.
func (p *plane) await(t *testing.T, epoch decision.Epoch) {
	t.Helper()
	until(t, fmt.Sprintf("epoch %d on the stream", epoch.Number), func() bool {
		list := p.published(t)
		return len(list) > 0 && list[len(list)-1].GetTo() == epoch.Number
	})
}

// chained checks that envelopes follow each other without gap, and hash to each other.
func chained(t *testing.T, list []*rulesv1.Envelope) {
	t.Helper()
	for i := 1; i < len(list); i++ {
		if list[i].GetFrom() != list[i-1].GetTo() {
			t.Errorf("envelope %d follows %d", list[i].GetTo(), list[i-1].GetTo())
		}
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(list[i-1])
		must(t, err)
		if !bytes.Equal(list[i].GetPreviousHash(), envelope.Hash(raw)) {
			t.Errorf("envelope %d does not name the hash of the one before", list[i].GetTo())
		}
	}
}

// snapshots are the manifests that are stored, by number.
func (p *plane) snapshots(t *testing.T) map[uint64]*rulesv1.SnapshotManifest {
	t.Helper()
	names, err := p.bus.Snapshots(t.Context())
	if err != nil {
		return nil // NATS is away.
	}
	found := map[uint64]*rulesv1.SnapshotManifest{}
	for _, name := range names {
		if strings.Count(name, ".") != 1 {
			continue
		}
		raw, ok, err := p.bus.Snapshot(t.Context(), name)
		if err != nil || !ok {
			continue
		}
		opened, err := p.verifier.Open(envelope.KindSnapshot, raw, time.Now())
		if err != nil {
			continue
		}
		var m rulesv1.SnapshotManifest
		must(t, proto.Unmarshal(opened.Payload, &m))
		if want := fmt.Sprintf("%d.%020d", m.GetGeneration(), m.GetNumber()); name != want {
			t.Errorf("snapshot %s is named %s", want, name)
		}
		found[m.GetNumber()] = &m
	}
	return found
}

// records reads a snapshot's chunks, and checks their hashes.
func (p *plane) records(t *testing.T, m *rulesv1.SnapshotManifest) []*rulesv1.Record {
	t.Helper()
	var list []*rulesv1.Record
	for i, want := range m.GetChunkSha256() {
		raw, ok, err := p.bus.Snapshot(t.Context(), fmt.Sprintf("%d.%020d.%d", m.GetGeneration(), m.GetNumber(), i))
		must(t, err)
		if sum := sha256.Sum256(raw); !ok || !bytes.Equal(sum[:], want) || len(raw) > 1<<20 {
			t.Fatalf("chunk %d: %d bytes, there %v", i, len(raw), ok)
		}
		var c rulesv1.SnapshotChunk
		must(t, proto.Unmarshal(raw, &c))
		list = append(list, c.GetRecords()...)
	}
	return list
}

// heartbeats opens the heartbeats that come.
func (p *plane) heartbeats(t *testing.T) <-chan *rulesv1.Heartbeat {
	t.Helper()
	nc, err := nats.Connect(p.nats.URL, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	must(t, err)
	t.Cleanup(nc.Close)
	heard := make(chan *rulesv1.Heartbeat, 1024)
	_, err = nc.Subscribe("tollgate.heartbeat", func(m *nats.Msg) {
		opened, err := p.verifier.Open(envelope.KindHeartbeat, m.Data, time.Now())
		if err != nil {
			t.Errorf("heartbeat: %v", err)
			return
		}
		var h rulesv1.Heartbeat
		if err := proto.Unmarshal(opened.Payload, &h); err != nil {
			t.Errorf("heartbeat: %v", err)
			return
		}
		heard <- &h
	})
	must(t, err)
	must(t, nc.Flush())
	return heard
}

// names are those of all objects of snapshots.
func (p *plane) names(t *testing.T) []string {
	t.Helper()
	names, err := p.bus.Snapshots(t.Context())
	must(t, err)
	return names
}

// sql runs a statement behind everyone's back.
func (p *plane) sql(t *testing.T, statement string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), p.url)
	must(t, err)
	_, err = c.Exec(t.Context(), statement)
	must(t, err)
	must(t, c.Close(t.Context()))
}

// until waits for something that takes its time.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
