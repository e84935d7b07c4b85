package ingest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/internal/bus"
	"tollgate/controlplane/internal/bus/bustest"
	"tollgate/controlplane/internal/ingest"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const fleetID = "test"

// plane is a control plane's part that takes segments, on a real Postgres and a real NATS.
type plane struct {
	db       *postgres.DB
	nats     *bustest.Server
	bus      *bus.Bus
	root     ed25519.PrivateKey
	verifier *envelope.Verifier
	signer   *envelope.Signer
}

func setup(t *testing.T) *plane { t.Helper(); return setupOn(t, pgtest.Open(t)) }

func setupOn(t *testing.T, db *postgres.DB) *plane {
	t.Helper()
	public, root, err := ed25519.GenerateKey(nil)
	must(t, err)
	p := &plane{db: db, nats: bustest.Start(t), root: root, verifier: envelope.NewVerifier(fleetID, public)}
	p.bus = p.nats.Connect(t)
	p.signer = p.certify(t, envelope.UsageReceipts, "receipts")
	return p
}

func (p *plane) certify(t *testing.T, usage envelope.Usage, subject string) *envelope.Signer {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	c := envelope.Certified{
		Fleet: fleetID, Usage: usage, Subject: subject, PublicKey: public,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	certificate, err := envelope.IssueCertificate(p.root, c)
	must(t, err)
	envelopetest.Admit(t, p.verifier, p.root, c)
	return envelope.NewSigner(key, certificate)
}

// Commit makes the plane a store.
func (p *plane) Commit(ctx context.Context, s []metering.Segment) ([]metering.Answer, error) {
	return p.db.Ledger().Commit(ctx, s)
}

type source struct {
	*bus.Bus
	// lose says whether a receipt is lost.
	lose func() bool
}

func (s source) Segments(ctx context.Context, limit int, wait time.Duration) ([]ingest.Message, error) {
	list, err := s.Bus.Segments(ctx, limit, wait)
	messages := make([]ingest.Message, len(list))
	for i, m := range list {
		messages[i] = m
	}
	return messages, err
}

func (s source) Receipt(node string, data []byte) error {
	if s.lose != nil && s.lose() {
		return nil
	}
	return s.Bus.Receipt(node, data)
}

// run starts an ingest, and returns its metrics and what stops it. It stops with the test, too.
func (p *plane) run(t *testing.T, store ingest.Store, lose func() bool) (*prometheus.Registry, func()) {
	t.Helper()
	registry := prometheus.NewRegistry()
	ing, err := ingest.New(ingest.Config{
		Store: store, Source: source{p.bus, lose}, Verifier: p.verifier, Signer: p.signer,
		Logger: slog.New(slog.DiscardHandler), Metrics: registry,
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { ing.Run(ctx) })
	stop := func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return registry, stop
}

// count is the value of a counter of segments.
func count(t *testing.T, r *prometheus.Registry, result string) int {
	t.Helper()
	families, err := r.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != "tollgate_ingest_segments_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == result {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// node seals segments of one boot, keeps them, and hears receipts.
type node struct {
	t      *testing.T
	name   string
	boot   string
	signer *envelope.Signer
	nc     *nats.Conn
	js     jetstream.JetStream

	sealed   [][]byte
	hash     []byte
	sequence uint64

	mu      sync.Mutex
	receipt *ledgerv1.Receipt
	blocked string // Why the control plane says that it takes nothing.
	heard   chan struct{}
}

func (p *plane) node(t *testing.T, name, boot string) *node {
	t.Helper()
	n := &node{t: t, name: name, boot: boot, signer: p.certify(t, envelope.UsageNode, name), heard: make(chan struct{}, 1024)}
	nc, err := nats.Connect(p.nats.URL, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	must(t, err)
	t.Cleanup(nc.Close)
	n.nc = nc
	n.js, err = jetstream.New(nc)
	must(t, err)
	_, err = nc.Subscribe("tollgate.receipts."+name, func(m *nats.Msg) {
		opened, err := p.verifier.Open(envelope.KindReceipt, m.Data, time.Now())
		if err != nil {
			t.Errorf("receipt: %v", err)
			return
		}
		var r ledgerv1.Receipt
		if err := proto.Unmarshal(opened.Payload, &r); err != nil || r.GetBoot() != boot {
			return
		}
		n.mu.Lock()
		n.blocked = r.GetBlocked()
		if n.receipt == nil || r.GetNumber() >= n.receipt.GetNumber() {
			n.receipt = &r
		}
		n.mu.Unlock()
		n.heard <- struct{}{}
	})
	must(t, err)
	must(t, nc.Flush())
	return n
}

// seal makes the next segment of records, whose sequences it sets.
func (n *node) seal(final bool, records ...*ledgerv1.Record) []byte {
	n.t.Helper()
	first := n.sequence + 1
	for _, r := range records {
		n.sequence++
		r.Sequence = n.sequence
	}
	raw, err := proto.Marshal(&ledgerv1.SegmentBody{Records: records})
	must(n.t, err)
	z, err := zstd.NewWriter(nil)
	must(n.t, err)
	body := z.EncodeAll(raw, nil)
	sum := sha256.Sum256(body)
	return n.sign(&ledgerv1.SegmentHeader{
		Fleet: fleetID, Node: n.name, Boot: n.boot, Number: uint64(len(n.sealed) + 1), PreviousHash: n.hash,
		SealedAt: timestamppb.Now(), FirstSequence: first, Records: uint32(len(records)), BodySha256: sum[:], Final: final,
	}, body)
}

func (n *node) sign(h *ledgerv1.SegmentHeader, body []byte) []byte {
	n.t.Helper()
	payload, err := proto.Marshal(h)
	must(n.t, err)
	header, err := n.signer.Sign(envelope.KindSegment, payload)
	must(n.t, err)
	seg, err := proto.Marshal(&ledgerv1.Segment{Header: header, Body: body})
	must(n.t, err)
	n.sealed, n.hash = append(n.sealed, seg), envelope.Hash(payload)
	return seg
}

func (n *node) send(segment []byte) error {
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*time.Second)
	defer cancel()
	_, err := n.js.Publish(ctx, "tollgate.segments."+n.name, segment)
	return err
}

func (n *node) last() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.receipt.GetNumber()
}

// await waits for a receipt of at least number. Meanwhile it sends again what has none, as a node does.
func (n *node) await(number uint64) {
	n.t.Helper()
	resend := time.NewTicker(300 * time.Millisecond)
	defer resend.Stop()
	deadline := time.After(time.Minute)
	for n.last() < number {
		select {
		case <-n.heard:
		case <-resend.C:
			for i := n.last(); i < number; i++ {
				if n.send(n.sealed[i]) != nil {
					break // NATS is away.
				}
			}
		case <-deadline:
			n.t.Fatalf("no receipt for segment %d of %s, the last is for %d", number, n.name, n.last())
		}
	}
}

// forget drops what was heard.
func (n *node) forget() {
	for {
		select {
		case <-n.heard:
		default:
			return
		}
	}
}

// hear waits for any receipt.
func (n *node) hear() {
	n.t.Helper()
	select {
	case <-n.heard:
	case <-time.After(time.Minute):
		n.t.Fatal("no receipt")
	}
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
