package ruleset_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/ruleset"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// setup is a fleet: NATS, a publisher that signs what a test says, and nodes.
type setup struct {
	t       *testing.T
	nats    *bustest.Server
	control *bustest.Control
	root    ed25519.PrivateKey
	signer  *envelope.Signer
	// trusted has the newest key set, which verifiers, those of nodes, have as well.
	trusted   *envelope.Verifier
	verifiers []*envelope.Verifier
	// The publisher's chain: hashes by number, of generation.
	generation uint64
	// down: a node finds nothing.
	down bool
	// source is a node's time; nil: the machine's.
	source clock.Source
	// said is where a node's log goes; nil: nowhere.
	said io.Writer
	// confirmed is what a node's operator has confirmed.
	confirmed decision.Epoch
	hashes    map[uint64][]byte
}

const fleet = "fleet-1"

func newSetup(t *testing.T) *setup {
	t.Helper()
	_, root, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{t: t, nats: bustest.Start(t), root: root, generation: 1, hashes: map[uint64][]byte{0: nil}}
	s.trusted = envelope.NewVerifier(fleet, root.Public().(ed25519.PublicKey))
	s.signer = s.newSigner(fleet, nil)
	s.control = s.nats.Control(t)
	s.control.MakeStreams()
	return s
}

func (s *setup) newSigner(fleet string, change func(*envelope.Certified)) *envelope.Signer {
	s.t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := envelope.Certified{
		Fleet: fleet, Usage: envelope.UsageRules, Subject: "publisher", PublicKey: public,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(&c)
	}
	certificate, err := envelope.IssueCertificate(s.root, c)
	if err != nil {
		s.t.Fatal(err)
	}
	envelopetest.Admit(s.t, s.trusted, s.root, c)
	for _, v := range s.verifiers {
		s.tell(v)
	}
	return envelope.NewSigner(key, certificate)
}

// verifier is a node's, which has the newest key set.
func (s *setup) verifier() *envelope.Verifier {
	s.t.Helper()
	v := envelope.NewVerifier(fleet, s.root.Public().(ed25519.PublicKey))
	s.tell(v)
	s.verifiers = append(s.verifiers, v)
	return v
}

func (s *setup) tell(v *envelope.Verifier) {
	s.t.Helper()
	if _, err := v.Adopt(s.trusted.Trust().Raw()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *setup) encode(m proto.Message) []byte {
	s.t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}

func (s *setup) sign(kind envelope.Kind, m proto.Message) []byte {
	s.t.Helper()
	raw, err := s.signer.Sign(kind, s.encode(m))
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}

// change is the change set to a number, after the one before it. edit may alter it.
func (s *setup) change(number uint64, edit func(*rulesv1.Envelope), records ...*rulesv1.Record) *rulesv1.Envelope {
	env := &rulesv1.Envelope{
		Fleet: fleet, Generation: s.generation, From: number - 1, To: number, PreviousHash: s.hashes[number-1],
		CreatedAt: timestamppb.Now(), Records: records,
	}
	if edit != nil {
		edit(env)
	}
	return env
}

// publish publishes a change set, and makes it part of the chain.
func (s *setup) publish(number uint64, records ...*rulesv1.Record) (raw []byte) {
	s.t.Helper()
	raw = s.extend(number, records...)
	s.control.Rules(raw)
	return raw
}

// extend makes a change set part of the chain, and publishes nothing.
func (s *setup) extend(number uint64, records ...*rulesv1.Record) (raw []byte) {
	s.t.Helper()
	return s.extendWith(number, nil, records...)
}

func (s *setup) extendWith(number uint64, edit func(*rulesv1.Envelope), records ...*rulesv1.Record) (raw []byte) {
	s.t.Helper()
	env := s.change(number, edit, records...)
	s.hashes[number] = envelope.Hash(s.encode(env))
	return s.sign(envelope.KindEnvelope, env)
}

// publishOther publishes a change set that is no part of the chain.
func (s *setup) publishOther(number uint64, edit func(*rulesv1.Envelope), records ...*rulesv1.Record) {
	s.t.Helper()
	s.control.Rules(s.sign(envelope.KindEnvelope, s.change(number, edit, records...)))
}

// snapshot stores a snapshot at a number, a chunk for each record.
func (s *setup) snapshot(number uint64, records ...*rulesv1.Record) {
	s.t.Helper()
	var chunks [][]*rulesv1.Record
	for _, r := range records {
		chunks = append(chunks, []*rulesv1.Record{r})
	}
	s.snapshotOf(number, chunks...)
}

func (s *setup) snapshotOf(number uint64, chunks ...[]*rulesv1.Record) {
	s.t.Helper()
	m := &rulesv1.SnapshotManifest{
		Fleet: fleet, Generation: s.generation, Number: number, HeadHash: s.hashes[number], CreatedAt: timestamppb.Now(),
	}
	for i, records := range chunks {
		chunk := s.encode(&rulesv1.SnapshotChunk{Records: records})
		sum := sha256.Sum256(chunk)
		m.ChunkSha256 = append(m.ChunkSha256, sum[:])
		s.control.Snapshot(fmt.Sprintf("%d.%020d.%d", s.generation, number, i), chunk)
	}
	s.control.Snapshot(fmt.Sprintf("%d.%020d", s.generation, number), s.sign(envelope.KindSnapshot, m))
}

func (s *setup) heartbeat(number uint64) []byte {
	s.t.Helper()
	return s.sign(envelope.KindHeartbeat, &rulesv1.Heartbeat{
		Fleet: fleet, Time: timestamppb.Now(), Generation: s.generation, Number: number, HeadHash: s.hashes[number],
	})
}

// node is a node that follows.
type node struct {
	*ruleset.Follower
	clock *clock.Clock
	t     *testing.T
	reg   *prometheus.Registry
}

func (s *setup) node() *node {
	s.t.Helper()
	n := s.idleNode()
	n.Start()
	s.t.Cleanup(n.Stop)
	return n
}

// clock is a node's.
func (s *setup) clock() *clock.Clock {
	if s.source != nil {
		return clock.New(s.source)
	}
	return clock.New(clock.System())
}

func (s *setup) logger() *slog.Logger {
	if s.said == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(s.said, nil))
}

// idleNode hears heartbeats and does not follow yet.
func (s *setup) idleNode() *node {
	s.t.Helper()
	reg, c := prometheus.NewRegistry(), s.clock()
	b := s.nats.Node(s.t, "node-1")
	f, err := ruleset.New(ruleset.Config{
		Source: b, Verifier: s.verifier(),
		Clock: c, Confirmed: s.confirmed, Logger: s.logger(), Metrics: reg,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := b.OnHeartbeat(f.Heartbeat); err != nil {
		s.t.Fatal(err)
	}
	return &node{f, c, s.t, reg}
}

// enforces waits until the node enforces an epoch.
func (n *node) enforces(generation, number uint64) {
	n.t.Helper()
	want := decision.Epoch{Generation: generation, Number: number}
	defer func() {
		if n.t.Failed() {
			n.t.Logf("enforces %v, refused %v", n.Epoch(), n.refused())
		}
	}()
	bustest.Eventually(n.t, fmt.Sprintf("%v is enforced", want), func() bool { return n.Epoch() == want })
}

// refuses waits until so many of a reason were refused, and nothing else was.
func (n *node) refuses(want map[string]float64) {
	n.t.Helper()
	defer func() {
		if n.t.Failed() {
			n.t.Logf("refused %v", n.refused())
		}
	}()
	bustest.Eventually(n.t, fmt.Sprintf("%v are refused", want), func() bool { return fmt.Sprint(n.refused()) == fmt.Sprint(want) })
}

// refused are the counters that are not 0.
func (n *node) refused() map[string]float64 {
	n.t.Helper()
	counts := map[string]float64{}
	for _, m := range n.family("tollgate_rules_rejected_total") {
		if v := m.GetCounter().GetValue(); v > 0 {
			counts[m.GetLabel()[0].GetValue()] = v
		}
	}
	return counts
}

func (n *node) family(name string) []*dto.Metric {
	n.t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	n.t.Fatalf("no metric %s", name)
	return nil
}

// service is a record that a test can look for: Service(key) has endpoint.
func service(key, endpoint string) *rulesv1.Record {
	return &rulesv1.Record{Value: &rulesv1.Record_Service{Service: &rulesv1.Service{Key: key, Endpoints: []string{endpoint}}}}
}

func route(key, path string) *rulesv1.Record {
	return &rulesv1.Record{Value: &rulesv1.Record_Route{Route: &rulesv1.Route{Key: key, Path: path}}}
}

func removal(kind rulesv1.Kind, id string) *rulesv1.Record {
	return &rulesv1.Record{Value: &rulesv1.Record_Removal{Removal: &rulesv1.Removal{Kind: kind, Id: id}}}
}

// has checks which services are in force.
func (n *node) has(want map[string]string) {
	n.t.Helper()
	state, _ := n.Current()
	got := map[string]string{}
	state.Services(func(s *decision.Service) { got[s.Key] = s.Endpoints[0] })
	if fmt.Sprint(got) != fmt.Sprint(want) {
		n.t.Errorf("services %v, want %v", got, want)
	}
}

// flip changes one byte of what was signed.
func flip(raw, payload []byte) []byte {
	bad := bytes.Clone(raw)
	bad[bytes.Index(bad, payload)+len(payload)/2] ^= 0x20
	return bad
}
