package ruleset_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/bus/bustest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func TestFollow_StartsFromASnapshotAndGoesOnWithChangeSets(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.publish(1, service("a", "1"))
	s.publish(2, service("b", "2"))
	s.snapshot(2, service("a", "1"), service("b", "2"))
	s.publish(3, service("c", "3"))
	s.control.PurgeRules()
	s.publish(4, removal(rulesv1.Kind_KIND_SERVICE, "a"))
	// The stream begins at 4: only a snapshot of 3 leads there.
	s.snapshot(3, service("a", "1"), service("b", "2"), service("c", "3"))
	n := s.node()
	n.enforces(1, 4)
	n.has(map[string]string{"b": "2", "c": "3"})
	enforced := n.Enforced()
	s.publish(5, service("b", "5"))
	n.enforces(1, 5)
	n.has(map[string]string{"b": "5", "c": "3"})
	select {
	case <-enforced:
	case <-time.After(bustest.Patience):
		t.Error("nobody was told")
	}
	n.refuses(nil)
	if v := n.family("tollgate_rules_epoch")[0].GetGauge().GetValue(); v != 5 {
		t.Errorf("tollgate_rules_epoch is %v", v)
	}
	if c := n.family("tollgate_rules_propagation_seconds")[0].GetHistogram().GetSampleCount(); c != 1 {
		t.Errorf("%d change sets came while it followed, 1 did", c)
	}
}

func TestFollow_StartsWithoutASnapshotFromTheFirstChangeSet(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	if state, stale := n.Current(); state != nil || !stale || n.State() != "block" || n.Epoch() != (decision.Epoch{}) {
		t.Errorf("with no rules: %v, %v, %s", state, stale, n.State())
	}
	s.publish(1, service("a", "1"))
	s.publish(2, service("b", "2"))
	n.enforces(1, 2)
	n.has(map[string]string{"a": "1", "b": "2"})
	n.refuses(nil)
}

func TestFollow_WaitsForTheSnapshotThatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.extend(1, service("a", "1"))
	s.publish(2, service("b", "2"))
	n := s.node()
	s.snapshot(1, service("a", "1"))
	n.enforces(1, 2)
	n.has(map[string]string{"a": "1", "b": "2"})
}

// A copy of the last change set, one byte of its payload flipped, is published by someone who holds no key.
func TestI1_FlippedByteIsRefusedAndTheNextRealOneIsEnforced(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, service("a", "1"))
	raw := s.publish(2, service("b", "two"))
	n.enforces(1, 2)
	before, _ := n.Current()
	s.control.Rules(flip(raw, []byte("two")))
	n.refuses(map[string]float64{"signature": 1})
	if after, _ := n.Current(); after != before {
		t.Error("the state is another one")
	}
	s.publish(3, service("c", "3"))
	n.enforces(1, 3)
	n.has(map[string]string{"a": "1", "b": "two", "c": "3"})
	n.refuses(map[string]float64{"signature": 1})
}

func TestI1_EveryFlippedByteIsCountedAsSignature(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	raw := s.publish(1, service("a", "1"))
	n.enforces(1, 1)
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		s.control.Rules(bad)
	}
	s.publish(2, service("b", "2"))
	n.enforces(1, 2)
	n.refuses(map[string]float64{"signature": float64(len(raw))})
}

func TestFollow_RefusesWhatItMustNotTakeAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reason string
		bad    func(s *setup)
	}{
		{"signature", func(s *setup) { s.control.Rules([]byte("nonsense")) }},
		{"signature", func(s *setup) { s.control.Rules(s.heartbeat(1)) }},
		{"signature", func(s *setup) {
			other := newSetup(s.t)
			s.control.Rules(other.extend(1))
		}},
		{"fleet", func(s *setup) {
			mine := s.signer
			s.signer = s.newSigner("fleet-2", nil)
			s.publishOther(2, nil)
			s.signer = mine
		}},
		{"fleet", func(s *setup) { s.publishOther(2, func(e *rulesv1.Envelope) { e.Fleet = "fleet-2" }) }},
		{"needs", func(s *setup) {
			s.publishOther(2, func(e *rulesv1.Envelope) { e.Needs = []string{"time-travel"} }, service("x", "x"))
		}},
		{"malformed", func(s *setup) {
			raw, err := s.signer.Sign(envelope.KindEnvelope, []byte{0xff})
			if err != nil {
				s.t.Fatal(err)
			}
			s.control.Rules(raw)
		}},
		{"malformed", func(s *setup) { s.publishOther(2, func(e *rulesv1.Envelope) { e.From = 2 }) }},
		{"malformed", func(s *setup) { s.publishOther(2, nil, service("x", "x"), &rulesv1.Record{}) }},
		{"malformed", func(s *setup) { s.publishOther(2, nil, service("x", "x"), route("r", "no path")) }},
		{"malformed", func(s *setup) { s.publishOther(2, nil, route("r1", "/x"), route("r2", "/x")) }},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			n := s.node()
			s.publish(1, service("a", "1"))
			n.enforces(1, 1)
			before, _ := n.Current()
			tt.bad(s)
			n.refuses(map[string]float64{tt.reason: 1})
			if after, _ := n.Current(); after != before {
				t.Error("the state is another one")
			}
			s.publish(2, service("b", "2"))
			n.enforces(1, 2)
			n.has(map[string]string{"a": "1", "b": "2"})
			n.refuses(map[string]float64{tt.reason: 1})
		})
	}
}

func TestFollow_CatchesUpAfterAGap(t *testing.T) {
	t.Parallel()
	t.Run("from the stream", func(t *testing.T) {
		t.Parallel()
		s := newSetup(t)
		n := s.node()
		s.publish(1, service("a", "1"))
		n.enforces(1, 1)
		// The node's clock is behind: it refuses what is on the stream for it to read again.
		mine, valid := s.signer, time.Now().Add(500*time.Millisecond)
		s.signer = s.newSigner(fleet, func(c *envelope.Certified) { c.NotBefore = valid })
		s.publish(2, service("b", "2"))
		s.signer = mine
		n.refuses(map[string]float64{"signature": 1})
		bustest.Eventually(t, "the certificate is valid", func() bool { return time.Now().After(valid) })
		s.publish(3, service("c", "3"))
		n.enforces(1, 3)
		n.has(map[string]string{"a": "1", "b": "2", "c": "3"})
		n.refuses(map[string]float64{"signature": 1, "gap": 1})
	})
	t.Run("from a snapshot", func(t *testing.T) {
		t.Parallel()
		s := newSetup(t)
		n := s.node()
		s.publish(1, service("a", "1"))
		n.enforces(1, 1)
		s.extend(2, service("b", "2"))
		s.snapshot(2, service("a", "1"), service("b", "2"))
		s.publish(3, service("c", "3"))
		n.enforces(1, 3)
		n.has(map[string]string{"a": "1", "b": "2", "c": "3"})
		n.refuses(map[string]float64{"gap": 1})
	})
	t.Run("from a snapshot after a hash that does not fit", func(t *testing.T) {
		t.Parallel()
		s := newSetup(t)
		n := s.node()
		s.publish(1, service("a", "1"))
		n.enforces(1, 1)
		s.publishOther(3, func(e *rulesv1.Envelope) { e.From, e.PreviousHash = 1, envelope.Hash([]byte("other")) }, service("x", "x"))
		n.refuses(map[string]float64{"hash": 1})
		n.has(map[string]string{"a": "1"})
		for i := uint64(2); i <= 4; i++ {
			s.extend(i)
		}
		s.snapshot(4, service("a", "1"), service("b", "2"))
		n.enforces(1, 4)
		s.publish(5, service("c", "3"))
		n.enforces(1, 5)
		n.has(map[string]string{"a": "1", "b": "2", "c": "3"})
		n.refuses(map[string]float64{"hash": 1})
	})
}

func TestFollow_CatchUpEnvelopeLeadsOverSeveralEpochs(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, service("a", "1"))
	s.publish(2, service("b", "2"))
	n.enforces(1, 2)
	// From 1 to 4: what it repeats of 2 does no harm.
	env := s.change(4, func(e *rulesv1.Envelope) { e.From, e.PreviousHash = 1, s.hashes[1] },
		service("b", "2"), service("c", "3"), removal(rulesv1.Kind_KIND_SERVICE, "a"))
	s.hashes[4] = envelope.Hash(s.encode(env))
	s.control.Rules(s.sign(envelope.KindEnvelope, env))
	n.enforces(1, 4)
	n.has(map[string]string{"b": "2", "c": "3"})
	s.publish(5, service("d", "5"))
	n.enforces(1, 5)
	n.refuses(nil)
}

// Change sets that a broker has stored in another order lie on the stream for good: no snapshot need come for them to be applied.
func TestFollow_ReadsOnPastWhatCameTooEarly(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, service("a", "1"))
	n.enforces(1, 1)
	var raws [][]byte
	for i := uint64(2); i <= 6; i++ {
		raws = append(raws, s.extend(i, service(fmt.Sprint("s", i), fmt.Sprint(i))))
	}
	for _, i := range []int{4, 2, 0, 3, 1} {
		s.control.Rules(raws[i])
	}
	n.enforces(1, 6)
	n.has(map[string]string{"a": "1", "s2": "2", "s3": "3", "s4": "4", "s5": "5", "s6": "6"})
}

// What changed while NATS was away arrives when it is back.
func TestFollow_GoesOnThroughARestartOfNATS(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	for i := range 3 {
		s.publish(uint64(i+1), service("a", fmt.Sprint(i+1)))
	}
	n.enforces(1, 3)
	s.nats.Stop()
	s.nats.Again(t)
	s.publish(4, service("a", "4"))
	n.enforces(1, 4)
	n.refuses(nil)
}

func TestFollow_RefillsFromALostStoreWithoutAlarm(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, service("a", "1"))
	last := s.publish(2, service("a", "2"))
	n.enforces(1, 2)
	s.nats.Wipe(t)
	s.control.MakeStreams()
	s.snapshot(2, service("a", "2"))
	s.control.Rules(last)
	s.publish(3, service("a", "3"))
	n.enforces(1, 3)
	n.refuses(nil)
}

func TestFollow_SnapshotThatDoesNotVerifyIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reason string
		spoil  func(s *setup)
	}{
		{"hash", func(s *setup) {
			s.control.Snapshot("1.00000000000000000003.0", s.encode(&rulesv1.SnapshotChunk{Records: []*rulesv1.Record{service("evil", "x")}}))
		}},
		{"signature", func(s *setup) { s.control.Snapshot("1.00000000000000000003", []byte("nonsense")) }},
		{"fleet", func(s *setup) {
			s.control.Snapshot("1.00000000000000000003", s.sign(envelope.KindSnapshot, &rulesv1.SnapshotManifest{Fleet: "other", Generation: 1, Number: 3}))
		}},
		{"needs", func(s *setup) {
			s.control.Snapshot("1.00000000000000000003", s.sign(envelope.KindSnapshot, &rulesv1.SnapshotManifest{Fleet: fleet, Generation: 1, Number: 3, Needs: []string{"x"}}))
		}},
		{"malformed", func(s *setup) { s.snapshot(3, route("r", "no path")) }},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			s.extend(1)
			s.extend(2)
			s.extend(3)
			s.snapshot(2, service("a", "2"))
			s.snapshot(3, service("a", "3"))
			tt.spoil(s)
			n := s.node()
			n.enforces(1, 2)
			n.has(map[string]string{"a": "2"})
			n.refuses(map[string]float64{tt.reason: 1})
			// The change set that leads on is taken all the same.
			env := s.sign(envelope.KindEnvelope, s.change(3, nil, service("b", "3")))
			s.control.Rules(env)
			n.enforces(1, 3)
		})
	}
}

// Readers see one epoch's rules whole: here, two services that every change set moves together.
// The broker holds change sets back, or lost them: the heartbeats say so, and a snapshot is taken.
func TestFollow_LooksForWhatHeartbeatsNameAndDoesNotCome(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, service("a", "1"))
	n.enforces(1, 1)
	s.extend(2, service("a", "2"))
	s.snapshot(2, service("a", "2"))
	bustest.Eventually(t, "the snapshot is taken", func() bool {
		s.control.Publish("tollgate.heartbeat", s.heartbeat(2))
		return n.Epoch().Number == 2
	})
	n.has(map[string]string{"a": "2"})
	n.refuses(nil)
}
