package e2e

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
	"tollgate/test/relay"
	"tollgate/test/system"
)

// thief has stolen the rules key of the control planes, and may publish on the nodes' rules stream.
type thief struct {
	m      *middle
	signer *envelope.Signer
	js     jetstream.JetStream
}

func newThief(t *testing.T, m *middle) *thief {
	t.Helper()
	dir := filepath.Join(m.Ready(t).DataDir, "controlplane")
	key, err := envelope.ReadKey(filepath.Join(dir, "rules.key"))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := envelope.ReadCertificate(filepath.Join(dir, "rules.cert"))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(m.Side.URL, m.Side.Options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &thief{m, envelope.NewSigner(key, certificate), js}
}

// publish publishes on the nodes' stream. What was published is taken off it by the returned function: what a real publisher sends under the same epoch would be
// the second content of it.
func (th *thief) publish(t *testing.T, raw []byte) (remove func()) {
	t.Helper()
	ack, err := th.js.Publish(t.Context(), "tollgate.rules", raw)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		stream, err := th.js.Stream(t.Context(), "TOLLGATE_RULES")
		if err == nil {
			err = stream.DeleteMsg(t.Context(), ack.Sequence)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// last is the last change set that the publisher sent, as it was sent, and decoded.
func (th *thief) last(t *testing.T) (raw []byte, env *rulesv1.Envelope, hash []byte) {
	t.Helper()
	sent := th.m.Relay.Sent(relay.Rules)
	raw = sent[len(sent)-1].Data
	signed, env := &rulesv1.Signed{}, &rulesv1.Envelope{}
	if err := proto.Unmarshal(raw, signed); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(signed.GetPayload(), env); err != nil {
		t.Fatal(err)
	}
	return raw, env, envelope.Hash(signed.GetPayload())
}

// next is a change set that follows on the last one, as edit wants it.
func (th *thief) next(t *testing.T, edit func(*rulesv1.Envelope)) []byte {
	t.Helper()
	_, last, hash := th.last(t)
	env := &rulesv1.Envelope{
		Fleet: last.GetFleet(), Generation: last.GetGeneration(), From: last.GetTo(), To: last.GetTo() + 1, PreviousHash: hash, CreatedAt: timestamppb.Now(),
		Records: []*rulesv1.Record{{Value: &rulesv1.Record_Service{Service: &rulesv1.Service{Key: "evil", Endpoints: []string{"http://127.0.0.1:9"}}}}},
	}
	edit(env)
	return th.sign(t, th.signer, env)
}

func (th *thief) sign(t *testing.T, s *envelope.Signer, env *rulesv1.Envelope) []byte {
	t.Helper()
	payload, err := proto.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.Sign(envelope.KindEnvelope, payload)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// stranger is a signer that another root vouches for.
func stranger(t *testing.T, fleet string) *envelope.Signer {
	t.Helper()
	_, root, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := envelope.IssueCertificate(root, envelope.Certified{
		Fleet: fleet, Usage: envelope.UsageRules, Subject: "controlplane", PublicKey: public, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return envelope.NewSigner(key, certificate)
}

// Each row is what a node gets (for heartbeats that do not come, see TestI8_RulesGrowOldAndFreshAgain): it is counted under its reason and under no other, changes nothing that the node enforces, and what comes after it is enforced. In the
// end none of it is on the node's disk.
func refusedRulesChangeNothing(t *testing.T, m *middle) {
	th := newThief(t, m)
	_, first, _ := th.last(t)
	fleet := first.GetFleet()
	for _, row := range []struct {
		name, reason string
		raw          func(t *testing.T) []byte
	}{
		{"bad signature", "signature", func(t *testing.T) []byte {
			raw, _, _ := th.last(t)
			m := &rulesv1.Signed{}
			if err := proto.Unmarshal(raw, m); err != nil {
				t.Fatal(err)
			}
			m.Payload[len(m.Payload)/2] ^= 1
			return encode(t, m)
		}},
		{"signed by a key that the root does not vouch for", "signature", func(t *testing.T) []byte {
			raw := th.next(t, func(*rulesv1.Envelope) {})
			m, env := &rulesv1.Signed{}, &rulesv1.Envelope{}
			if err := proto.Unmarshal(raw, m); err != nil {
				t.Fatal(err)
			}
			if err := proto.Unmarshal(m.GetPayload(), env); err != nil {
				t.Fatal(err)
			}
			return th.sign(t, stranger(t, fleet), env)
		}},
		{"truncated", "signature", func(t *testing.T) []byte { raw, _, _ := th.last(t); return raw[:len(raw)/2] }},
		{"a heartbeat on the stream", "signature", func(*testing.T) []byte { return m.Relay.Sent(relay.Heartbeats)[0].Data }},
		{"wrong fleet", "fleet", func(t *testing.T) []byte { return th.next(t, func(e *rulesv1.Envelope) { e.Fleet = "another" }) }},
		{"unknown needs", "needs", func(t *testing.T) []byte {
			return th.next(t, func(e *rulesv1.Envelope) { e.Needs = []string{"time-travel"} })
		}},
		{"a state that cannot be built", "malformed", func(t *testing.T) []byte {
			return th.next(t, func(e *rulesv1.Envelope) {
				e.Records = append(e.Records, &rulesv1.Record{Value: &rulesv1.Record_Route{Route: &rulesv1.Route{Key: "evil", Path: "no path"}}})
			})
		}},
		{"an older epoch", "rollback", func(*testing.T) []byte { sent := m.Relay.Sent(relay.Rules); return sent[len(sent)-2].Data }},
		{"a previous hash that is not the enforced one's", "hash", func(t *testing.T) []byte {
			return th.next(t, func(e *rulesv1.Envelope) { e.PreviousHash = envelope.Hash([]byte("other")) })
		}},
		{"a gap", "gap", func(t *testing.T) []byte {
			return th.next(t, func(e *rulesv1.Envelope) { e.From, e.To = e.To+7, e.To+8 })
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			m.answers(t, m.change(t), http.StatusOK)
			m.atHead(t, th)
			at, before := m.node.Epoch(t), m.refused(t)
			remove := th.publish(t, row.raw(t))
			system.Eventually(t, 20*time.Second, "it is counted as "+row.reason, func() error {
				if now := m.refused(t); now[row.reason] <= before[row.reason] {
					return fmt.Errorf("refused %v", now)
				}
				return nil
			})
			before[row.reason]++
			if now := m.refused(t); fmt.Sprint(now) != fmt.Sprint(before) {
				t.Errorf("refused %v, want %v", now, before)
			}
			if now := m.node.Epoch(t); now != at {
				t.Errorf("epoch %d is enforced, it was %d", now, at)
			}
			m.answers(t, m.Ready(t).Demo.Keys["enterprise"], http.StatusOK)
			remove()
			m.answers(t, m.change(t), http.StatusOK)
			m.atHead(t, th)
			m.is(t, "fresh")
		})
	}
	// With everything else down, it begins where it was.
	at := m.node.Epoch(t)
	m.node.Stop(t)
	alone := m.node.Elsewhere(t, "nats://127.0.0.1:1")
	system.Eventually(t, 30*time.Second, "the node starts from its disk", func() error { return alone.Is(t, "fresh") })
	if now := alone.Epoch(t); now != at {
		t.Errorf("from its disk it enforces %d, it was %d", now, at)
	}
	m.answers(t, m.Ready(t).Demo.Keys["enterprise"], http.StatusOK)
	alone.Stop(t)
	m.node.Begin(t)
	system.Eventually(t, 30*time.Second, "the node is back", func() error { return m.node.Is(t, "fresh") })
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// atHead waits until the node enforces the last change set that the publisher sent.
func (m *middle) atHead(t *testing.T, th *thief) {
	t.Helper()
	system.Eventually(t, 20*time.Second, "the node is at the head", func() error {
		_, last, _ := th.last(t)
		if at := m.node.Epoch(t); at != int64(last.GetTo()) {
			return fmt.Errorf("it is at %d, the head is %d", at, last.GetTo())
		}
		return nil
	})
}

var reasons = []string{"signature", "malformed", "needs", "fleet", "rollback", "fork", "gap", "hash"}

// refused is what the node has refused, by reason.
func (m *middle) refused(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for _, r := range reasons {
		counts[r] = m.node.Refused(t, r)
	}
	return counts
}

// aForkFreezes: two signed change sets of one epoch. The node stays at what it has, takes not even the real publisher's next one, says so, through a restart too, and
// follows a higher generation; of the lower one it takes nothing any more.
func aForkFreezes(t *testing.T, m *middle) {
	th := newThief(t, m)
	m.answers(t, m.change(t), http.StatusOK)
	m.atHead(t, th)
	at, warm := m.node.Epoch(t), m.Ready(t).Demo.Keys["enterprise"]
	lower, last, _ := th.last(t)
	th.publish(t, th.next(t, func(e *rulesv1.Envelope) {
		e.From, e.To, e.PreviousHash = last.GetFrom(), last.GetTo(), last.GetPreviousHash()
	}))
	frozen := func() error {
		if forks, is := m.node.Refused(t, "fork"), system.Metric(t, m.node.OpsURL, "tollgate_rules_frozen", ""); forks != 1 || is != 1 {
			return fmt.Errorf("%d forks, frozen %d", forks, is)
		}
		return nil
	}
	system.Eventually(t, 20*time.Second, "the node is frozen", frozen)
	m.shows(t, "frozen")
	refused := m.change(t)
	m.beats(t, 3)
	m.answers(t, warm, http.StatusOK)
	m.answers(t, refused, http.StatusUnauthorized)
	m.node.Stop(t)
	m.node.Begin(t)
	system.Eventually(t, 30*time.Second, "the node is frozen after a restart", func() error {
		if err := errorsOf(m.node.Is(t, "fresh"), m.node.Is(t, "stale")); err != nil {
			return err
		}
		return frozen()
	})
	m.answers(t, refused, http.StatusUnauthorized)
	if now := m.node.Epoch(t); now != at {
		t.Errorf("epoch %d is enforced, it was %d", now, at)
	}

	higher := uint64(at) + 1000
	th.publish(t, th.next(t, func(e *rulesv1.Envelope) {
		e.Generation, e.From, e.To, e.PreviousHash = e.GetGeneration()+1, 0, higher, nil
		e.Records = slices.Concat([]*rulesv1.Record{{Value: &rulesv1.Record_Settings{Settings: &rulesv1.Settings{Env: "live"}}}}, e.Records)
	}))
	system.Eventually(t, 20*time.Second, "the higher generation is enforced", func() error {
		if now := m.node.Epoch(t); now != int64(higher) {
			return fmt.Errorf("it is at %d", now)
		}
		return nil
	})
	if system.Metric(t, m.node.OpsURL, "tollgate_rules_frozen", "") != 0 {
		t.Error("the node calls itself frozen in the new generation")
	}
	m.answers(t, warm, http.StatusNotFound) // It has no routes.
	before := m.node.Refused(t, "rollback")
	th.publish(t, bytes.Clone(lower))
	system.Eventually(t, 20*time.Second, "the older generation is refused", func() error {
		if now := m.node.Refused(t, "rollback"); now != before+1 {
			return fmt.Errorf("%d rollbacks", now)
		}
		return nil
	})
	if now := m.node.Epoch(t); now != int64(higher) {
		t.Errorf("epoch %d is enforced, it was %d", now, higher)
	}
}

// errorsOf is nil where one of them is.
func errorsOf(errs ...error) error {
	if slices.Contains(errs, nil) {
		return nil
	}
	return errs[0]
}
