package ruleset_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// history is an honest publisher of random rules: all that it ever signed, and what each epoch is.
type history struct {
	t      *testing.T
	rng    *rand.Rand
	root   ed25519.PrivateKey
	signer *envelope.Signer

	settings *rulesv1.Settings
	// mu guards is and led, which the oracle reads from the node's goroutines.
	mu   sync.Mutex
	head decision.Epoch
	hash []byte
	// is are the services of each epoch. Every epoch changes the three marks, so a state with two marks that differ is a mix.
	is map[decision.Epoch]map[string]string
	// led are the epochs that were the head, in order, with since when.
	led       []led
	changes   []signedChange
	snapshots []signedSnapshot
	beats     [][]byte
}

type led struct {
	at    decision.Epoch
	since time.Time
}

type signedChange struct {
	at  decision.Epoch
	raw []byte
}

type signedSnapshot struct {
	at      decision.Epoch
	objects []object // The manifest is last.
}

type object struct {
	name string
	raw  []byte
}

func newHistory(t *testing.T, rng *rand.Rand) *history {
	t.Helper()
	_, root, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signing, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := envelope.IssueCertificate(root, envelope.Certified{
		Fleet: fleet, Usage: envelope.UsageRules, Subject: "publisher", PublicKey: signing,
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{
		t: t, rng: rng, root: root, signer: envelope.NewSigner(key, certificate),
		settings: &rulesv1.Settings{
			Env: "live", StaleAfter: durationpb.New(3 * time.Second), GraceAfter: durationpb.New(6 * time.Second), BlockAfter: durationpb.New(9 * time.Second),
			OfflineStart: rng.IntN(2) == 0,
		},
		is: map[decision.Epoch]map[string]string{{}: {}},
	}
	h.head.Generation = 1
	h.is[h.head] = map[string]string{}
	return h
}

func (h *history) sign(kind envelope.Kind, m proto.Message) (raw, payload []byte) {
	h.t.Helper()
	payload, err := proto.Marshal(m)
	if err != nil {
		h.t.Fatal(err)
	}
	if raw, err = h.signer.Sign(kind, payload); err != nil {
		h.t.Fatal(err)
	}
	return raw, payload
}

// lead makes an epoch the head. Its marks are set.
func (h *history) lead(at decision.Epoch, services map[string]string, hash []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head, h.hash, h.is[at] = at, hash, services
	h.led = append(h.led, led{at, time.Now()})
}

func marks(at decision.Epoch) []*rulesv1.Record {
	var records []*rulesv1.Record
	for _, m := range []string{"mark-1", "mark-2", "mark-3"} {
		records = append(records, service(m, fmt.Sprintf("http://%d-%d", at.Generation, at.Number)))
	}
	return records
}

func apply(services map[string]string, records []*rulesv1.Record) map[string]string {
	services = maps.Clone(services)
	for _, r := range records {
		if s := r.GetService(); s != nil {
			services[s.GetKey()] = s.GetEndpoints()[0]
		} else if r.GetRemoval() != nil {
			delete(services, r.GetRemoval().GetId())
		}
	}
	return services
}

// change is the next change set. Some of them lead over several epochs at once.
func (h *history) change() signedChange {
	h.t.Helper()
	from := h.head
	at := decision.Epoch{Generation: from.Generation, Number: from.Number + 1}
	if h.rng.IntN(8) == 0 {
		at.Number += h.rng.Uint64N(3)
	}
	records := marks(at)
	for range h.rng.IntN(4) {
		key := fmt.Sprint("service-", h.rng.IntN(6))
		if _, there := h.is[from][key]; there && h.rng.IntN(2) == 0 {
			records = append(records, removal(rulesv1.Kind_KIND_SERVICE, key))
		} else {
			records = append(records, service(key, fmt.Sprintf("http://%s-%d-%d", key, at.Generation, at.Number)))
		}
	}
	if from.Number == 0 {
		records = append(records, &rulesv1.Record{Value: &rulesv1.Record_Settings{Settings: h.settings}})
	}
	return h.envelope(from, at, records, apply(h.is[from], records))
}

func (h *history) envelope(from, at decision.Epoch, records []*rulesv1.Record, services map[string]string) signedChange {
	h.t.Helper()
	env := &rulesv1.Envelope{
		Fleet: fleet, Generation: at.Generation, From: from.Number, To: at.Number, PreviousHash: h.hash, CreatedAt: timestamppb.Now(), Records: records,
	}
	if from.Number == 0 {
		env.PreviousHash = nil
	}
	raw, payload := h.sign(envelope.KindEnvelope, env)
	h.lead(at, services, envelope.Hash(payload))
	c := signedChange{at, raw}
	h.changes = append(h.changes, c)
	return c
}

// recover opens a higher generation from what an earlier epoch was, as after a database that was restored. It begins with a snapshot, or with one change set
// that holds everything.
func (h *history) recover() (s *signedSnapshot, c *signedChange) {
	h.t.Helper()
	old := h.led[h.rng.IntN(len(h.led))].at
	at := decision.Epoch{Generation: h.head.Generation + 1, Number: old.Number + h.rng.Uint64N(2)}
	records := h.whole(apply(h.is[old], marks(at)))
	if h.rng.IntN(2) == 0 {
		change := h.envelope(decision.Epoch{Generation: at.Generation}, at, records, apply(map[string]string{}, records))
		return nil, &change
	}
	h.lead(at, apply(map[string]string{}, records), envelope.Hash([]byte(fmt.Sprint("recovered", at))))
	snapshot := h.snapshot()
	return &snapshot, nil
}

// whole are the records of a whole state.
func (h *history) whole(services map[string]string) []*rulesv1.Record {
	records := []*rulesv1.Record{{Value: &rulesv1.Record_Settings{Settings: h.settings}}}
	for _, key := range slices.Sorted(maps.Keys(services)) {
		records = append(records, service(key, services[key]))
	}
	return records
}

// snapshot is one of the head.
func (h *history) snapshot() signedSnapshot {
	h.t.Helper()
	at := h.head
	name := fmt.Sprintf("%d.%020d", at.Generation, at.Number)
	m := &rulesv1.SnapshotManifest{Fleet: fleet, Generation: at.Generation, Number: at.Number, HeadHash: h.hash, CreatedAt: timestamppb.Now()}
	s := signedSnapshot{at: at}
	for i, records := range slices.Collect(slices.Chunk(h.whole(h.is[at]), 1+h.rng.IntN(4))) {
		chunk, err := proto.Marshal(&rulesv1.SnapshotChunk{Records: records})
		if err != nil {
			h.t.Fatal(err)
		}
		sum := sha256.Sum256(chunk)
		m.ChunkSha256 = append(m.ChunkSha256, sum[:])
		s.objects = append(s.objects, object{fmt.Sprint(name, ".", i), chunk})
	}
	raw, _ := h.sign(envelope.KindSnapshot, m)
	s.objects = append(s.objects, object{name, raw})
	h.snapshots = append(h.snapshots, s)
	return s
}

func (h *history) beat() []byte {
	h.t.Helper()
	raw, _ := h.sign(envelope.KindHeartbeat, &rulesv1.Heartbeat{
		Fleet: fleet, Time: timestamppb.Now(), Generation: h.head.Generation, Number: h.head.Number, HeadHash: h.hash,
	})
	h.beats = append(h.beats, raw)
	return raw
}

// headAt is what was the head at a time.
func (h *history) headAt(t time.Time) decision.Epoch {
	h.mu.Lock()
	defer h.mu.Unlock()
	var at decision.Epoch
	for _, l := range h.led {
		if l.since.After(t) {
			break
		}
		at = l.at
	}
	return at
}

// differs says how a state is not what was signed for its epoch; empty: it is.
func (h *history) differs(state *decision.State) string {
	got := map[string]string{}
	state.Services(func(s *decision.Service) { got[s.Key] = strings.Join(s.Endpoints, " ") })
	h.mu.Lock()
	want, signed := h.is[state.Epoch()]
	h.mu.Unlock()
	if signed && maps.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("epoch %v is enforced as %v, signed was %v", state.Epoch(), got, want)
}
