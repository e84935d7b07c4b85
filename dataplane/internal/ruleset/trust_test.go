package ruleset_test

import (
	"crypto/ed25519"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/internal/ruleset"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// distrustful is a node that knows the root's public key alone.
func (s *setup) distrustful(t *testing.T, disk ruleset.Disk) *node {
	t.Helper()
	reg := prometheus.NewRegistry()
	b := s.nats.Node(t, "node-1")
	f, err := ruleset.New(ruleset.Config{
		Source: b, Verifier: envelope.NewVerifier(fleet, s.root.Public().(ed25519.PublicKey)), Disk: disk,
		Logger: slog.New(slog.DiscardHandler), Metrics: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{f, t, reg}
	n.Start()
	t.Cleanup(n.Stop)
	return n
}

// beatNaming is a heartbeat that names the newest key set.
func (s *setup) beatNaming(number uint64) []byte {
	s.t.Helper()
	return s.sign(envelope.KindHeartbeat, &rulesv1.Heartbeat{
		Fleet: fleet, Time: timestamppb.Now(), Generation: s.generation, Number: number, HeadHash: s.hashes[number],
		KeySetVersion: s.trusted.Version(),
	})
}

func (s *setup) publicOf(signer *envelope.Signer) envelope.Certified {
	s.t.Helper()
	return envelopetest.Certified(s.t, signer)
}

func TestI1_NoRulesAreTakenWithoutAKeySet(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.extend(1, service("a", "1"))
	s.snapshot(1, service("a", "1"))
	s.publish(2, service("b", "2"))
	n := s.distrustful(t, nil)
	n.Heartbeat(s.heartbeat(2))
	n.Trust([]byte("nonsense"))
	n.refuses(map[string]float64{"signature": 1})
	if n.Epoch() != (decision.Epoch{}) || n.KeySet() != 0 {
		t.Fatalf("enforces %v by key set %d", n.Epoch(), n.KeySet())
	}
	n.Trust(s.trusted.Trust().Raw())
	n.enforces(1, 2)
	n.has(map[string]string{"a": "1", "b": "2"})
	n.refuses(map[string]float64{"signature": 1})
	if v := n.family("tollgate_key_set_version")[0].GetGauge().GetValue(); v != float64(s.trusted.Version()) {
		t.Errorf("tollgate_key_set_version is %v", v)
	}
}

// The new key's messages may come before the set that has it.
func TestI6_ARotationLosesNoEpoch(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.publish(1, service("a", "1"))
	n := s.distrustful(t, nil)
	n.Trust(s.trusted.Trust().Raw())
	n.enforces(1, 1)
	s.signer = s.newSigner(fleet, nil)
	s.publish(2, service("b", "2"))
	n.refuses(map[string]float64{"signature": 1})
	if n.Epoch().Number != 1 {
		t.Fatalf("enforces %v, signed by a key that it does not know", n.Epoch())
	}
	n.Trust(s.trusted.Trust().Raw())
	n.enforces(1, 2)
	s.publish(3, service("c", "3"))
	n.enforces(1, 3)
	n.Heartbeat(s.beatNaming(3))
	n.isIn("fresh")
	n.refuses(map[string]float64{"signature": 1})
}

func TestI6_ARevokedKeysMessagesAreRefused(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.publish(1, service("a", "1"))
	n := s.node()
	n.enforces(1, 1)
	old := s.signer
	s.signer = s.newSigner(fleet, nil)
	s.publish(2, service("b", "2"))
	n.enforces(1, 2)
	envelopetest.Revoke(t, s.trusted, s.root, s.publicOf(old))
	n.Trust(s.trusted.Trust().Raw())

	fresh := s.signer
	s.signer = old
	s.publishOther(3, nil, service("evil", "3"))
	n.refuses(map[string]float64{"signature": 1})
	n.Heartbeat(s.heartbeat(2))
	n.refuses(map[string]float64{"signature": 2})
	if _, known := n.Age(); known {
		t.Error("a revoked key's heartbeat made the rules current")
	}
	s.signer = fresh
	s.publish(3, service("c", "3"))
	n.enforces(1, 3)
	n.has(map[string]string{"a": "1", "b": "2", "c": "3"})
}

// Whoever has a revoked key, and keeps the key set back, keeps a node fresh for no longer than the next heartbeat of the real publisher.
func TestI6_AHeartbeatThatNamesANewerKeySetDoesNotCount(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.publish(1, service("a", "1"))
	n := s.distrustful(t, nil)
	n.Trust(s.trusted.Trust().Raw())
	n.enforces(1, 1)
	envelopetest.Change(t, s.trusted, s.root, func(*envelope.KeySet) {})
	n.Heartbeat(s.beatNaming(1))
	if _, known := n.Age(); known {
		t.Error("it counts")
	}
	n.Trust(s.trusted.Trust().Raw())
	n.Heartbeat(s.beatNaming(1))
	n.isIn("fresh")
	n.refuses(nil)
}

func TestTrust_OlderAndOtherSetsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.publish(1, service("a", "1"))
	n := s.node()
	n.enforces(1, 1)
	old := s.trusted.Trust().Raw()
	envelopetest.Change(t, s.trusted, s.root, func(*envelope.KeySet) {})
	n.Trust(s.trusted.Trust().Raw())
	version := n.KeySet()
	n.Trust(old) // From a control plane that is late: no alarm.
	n.refuses(nil)
	n.Trust(envelopetest.Sign(t, s.trusted, s.root, func(set *envelope.KeySet) { set.Version = version; set.Keys = nil }))
	n.refuses(map[string]float64{"fork": 1})
	other := newSetup(t)
	n.Trust(other.trusted.Trust().Raw())
	n.refuses(map[string]float64{"fork": 1, "signature": 1})
	if n.KeySet() != version {
		t.Errorf("key set %d is in force, %d was", n.KeySet(), version)
	}
	s.publish(2, service("b", "2"))
	n.enforces(1, 2)
}

// frameHead is what stands before a manifest on disk: its length and checksum.
const frameHead = 8

// What a key signed that no longer counts is on disk until a snapshot of another takes its place: then the node starts from it again.
func TestI8_WhatIsOnDiskOutlivesItsKey(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.extend(1, settings(nil))
	s.snapshot(1, settings(nil))
	s.publish(2, service("a", "2"))
	dir := t.TempDir()
	n := s.nodeOn(dir)
	n.enforces(1, 2)
	old := s.signer
	s.signer = s.newSigner(fleet, nil)
	envelopetest.Revoke(t, s.trusted, s.root, s.publicOf(old))
	n.Trust(s.trusted.Trust().Raw())
	s.snapshot(2, settings(nil), service("a", "2"))
	s.publish(3, service("b", "3"))
	n.enforces(1, 3)
	n.Heartbeat(s.beatNaming(3))
	n.isIn("fresh")

	bustest.Eventually(t, "a snapshot of the new key is on disk", func() bool {
		raw, err := os.ReadFile(filepath.Join(dir, "1.00000000000000000002"))
		if err != nil || len(raw) < frameHead {
			return false
		}
		_, err = s.trusted.Open(envelope.KindSnapshot, raw[frameHead:], time.Now())
		return err == nil
	})
	n.Stop()
	s.down = true
	n = s.nodeOn(dir)
	n.enforces(1, 3)
	n.isIn("fresh")
	n.has(map[string]string{"a": "2", "b": "3"})
}
