package publisher_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/controlplane/internal/publisher"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
)

// changing is a control plane's key that may change, and that signs only what counts.
type changing struct {
	atomic.Pointer[envelope.Signer]
	verifier *envelope.Verifier
}

func (c *changing) Certified() (envelope.Certified, error) {
	s := c.Load()
	certified, err := s.Certified()
	if err != nil {
		return envelope.Certified{}, err
	}
	// Whatever it is that is signed: it verifies only by a key that counts.
	raw, err := s.Sign(envelope.KindHeartbeat, nil)
	if err == nil {
		_, err = c.verifier.Open(envelope.KindHeartbeat, raw, time.Now())
	}
	return certified, err
}

func (c *changing) Sign(kind envelope.Kind, payload []byte) ([]byte, error) {
	if _, err := c.Certified(); err != nil {
		return nil, err
	}
	return c.Load().Sign(kind, payload)
}

// newSigner has a key that the root has certified; it is in no set.
func (p *plane) newSigner(t *testing.T) *envelope.Signer {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	certificate, err := envelope.IssueCertificate(p.root, envelope.Certified{
		Fleet: fleetID, Usage: envelope.UsageRules, Subject: "rules", PublicKey: public,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
	must(t, err)
	return envelope.NewSigner(key, certificate)
}

// runWith starts a publisher with a key that may change.
func (p *plane) runWith(t *testing.T, s *envelope.Signer) (key *changing, stop func()) {
	t.Helper()
	key = &changing{verifier: p.verifier}
	key.Store(s)
	pub := publisher.New(publisher.Config{
		Store: store{p.db.Outbox(), p.db, p.api, false, nil, nil}, Stream: p.bus, Signer: key, Verifier: p.verifier,
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = pub.Run(ctx) }) // It ends with ctx, and says so.
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return key, stop
}

// newestSnapshotBy waits until the newest snapshot that there is is signed by a key.
func (p *plane) newestSnapshotBy(t *testing.T, s *envelope.Signer) {
	t.Helper()
	want := envelopetest.Certified(t, s).PublicKey
	until(t, "the newest snapshot is signed by "+envelope.KeyID(want), func() bool {
		names, err := p.bus.Snapshots(t.Context())
		must(t, err)
		newest := ""
		for _, name := range names {
			if strings.Count(name, ".") == 1 {
				newest = max(newest, name)
			}
		}
		raw, ok, err := p.bus.Snapshot(t.Context(), newest)
		if err != nil || !ok {
			return false
		}
		opened, err := p.verifier.Open(envelope.KindSnapshot, raw, time.Now())
		return err == nil && opened.Signer.PublicKey.Equal(want)
	})
}

func TestPublisher_ANewKeyTakesOverAndNothingNeedsTheOldOne(t *testing.T) {
	t.Parallel()
	p := setup(t)
	heard := p.heartbeats(t)
	old := p.signer
	key, _ := p.runWith(t, old)
	p.await(t, p.write(t, 3, "old"))
	p.newestSnapshotBy(t, old)

	next := p.newSigner(t)
	envelopetest.Admit(t, p.verifier, p.root, envelopetest.Certified(t, next))
	key.Store(next)
	p.newestSnapshotBy(t, next)
	// The old key's messages cannot be read from here on.
	envelopetest.Revoke(t, p.verifier, p.root, envelopetest.Certified(t, old))
	epoch := p.write(t, 3, "new")
	p.await(t, epoch)
	list := p.published(t)
	chained(t, list)
	if first := list[0].GetFrom(); first != epoch.Number-3 {
		t.Errorf("what can be read begins at %d, a snapshot is at %d", first, epoch.Number-3)
	}
	timeout := time.After(time.Minute)
	for {
		select {
		case h := <-heard:
			if h.GetNumber() == epoch.Number && h.GetKeySetVersion() == p.verifier.Version() {
				return
			}
		case <-timeout:
			t.Fatal("no heartbeat names the newest epoch and key set")
		}
	}
}

func TestPublisher_RestartsWhereAllThatIsThereIsOfARevokedKey(t *testing.T) {
	t.Parallel()
	p := setup(t)
	_, stop := p.runWith(t, p.signer)
	before := p.write(t, 3, "old")
	p.await(t, before)
	stop()
	next := p.newSigner(t)
	envelopetest.Admit(t, p.verifier, p.root, envelopetest.Certified(t, next))
	envelopetest.Revoke(t, p.verifier, p.root, envelopetest.Certified(t, p.signer))
	p.runWith(t, next)
	p.newestSnapshotBy(t, next)
	p.await(t, before) // A node that is behind sees by it how far.
	p.await(t, p.write(t, 1, "new"))
	chained(t, p.published(t))
}

func TestPublisher_WithoutAKeyThatCountsItLeavesTheLead(t *testing.T) {
	t.Parallel()
	p := setup(t)
	mute, _ := p.runWith(t, p.newSigner(t))
	if _, err := mute.Certified(); err == nil {
		t.Fatal("a key that is in no set counts")
	}
	p.runWith(t, p.signer)
	p.await(t, p.write(t, 3, "m"))
	// Once its key counts it may lead again.
	envelopetest.Admit(t, p.verifier, p.root, envelopetest.Certified(t, mute.Load()))
	p.await(t, p.write(t, 3, "n"))
	chained(t, p.published(t))
}
