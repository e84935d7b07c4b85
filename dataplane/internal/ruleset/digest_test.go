package ruleset_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/internal/bus/bustest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// account is what a state should hold: encoded records, by a name.
type account map[string][]byte

// hash is the state's hash, by long arithmetic: written little-endian, as the digests are read.
func (a account) hash() []byte {
	sum := new(big.Int)
	for _, encoded := range a {
		d := sha256.Sum256(encoded)
		little := d[:16]
		slices.Reverse(little)
		sum.Add(sum, new(big.Int).SetBytes(little))
	}
	sum.And(sum, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
	b := sum.FillBytes(make([]byte, 16))
	slices.Reverse(b)
	return b
}

// with adds a field to a record that its reader does not know, or, of field 21, knows as optional.
func with(r *rulesv1.Record, field protowire.Number) *rulesv1.Record {
	r.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), 1))
	return r
}

func customer(id, zone string) *rulesv1.Record {
	return &rulesv1.Record{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{Id: id, TimeZone: zone}}}
}

// meant publishes a change set that says what state it leads to.
func (s *setup) meant(number uint64, hash []byte, records ...*rulesv1.Record) {
	s.t.Helper()
	env := s.change(number, func(e *rulesv1.Envelope) { e.StateHash = hash }, records...)
	raw := s.encode(env)
	sum := sha256.Sum256(raw)
	s.hashes[number] = sum[:]
	s.control.Rules(s.sign("envelope", env))
}

// snapshotMeant stores a snapshot that says what state it is.
func (s *setup) snapshotMeant(number uint64, hash []byte, records ...*rulesv1.Record) {
	s.t.Helper()
	chunk := s.encode(&rulesv1.SnapshotChunk{Records: records})
	sum := sha256.Sum256(chunk)
	name := fmt.Sprintf("%d.%020d", s.generation, number)
	s.control.Snapshot(name+".0", chunk)
	s.control.Snapshot(name, s.sign("snapshot", &rulesv1.SnapshotManifest{
		Fleet: fleet, Generation: s.generation, Number: number, HeadHash: s.hashes[number], CreatedAt: timestamppb.Now(),
		ChunkSha256: [][]byte{sum[:]}, StateHash: hash,
	}))
}

// What is set, replaced and removed adds up to the hash that is said, over the bytes as they came; and so does a snapshot of what is left.
func TestI6_StatesHashAsSaid(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	steps := [][]struct {
		name   string
		record *rulesv1.Record
	}{
		{{"svc a", service("a", "http://a")}, {"cus 1", customer("cus_1", "Asia/Tokyo")}, {"cus 2", customer("cus_2", "")}},
		{{"svc a", service("a", "http://b")}, {"cus 1", customer("cus_1", "")}},
		{{"svc b", with(service("b", "http://b"), 4000)}},
		{{"cus 2", removal(rulesv1.Kind_KIND_CUSTOMER, "cus_2")}, {"none", removal(rulesv1.Kind_KIND_SERVICE, "none")}},
		{{"optional", with(service("c", "http://c"), 21)}},
		{{"svc a", removal(rulesv1.Kind_KIND_SERVICE, "a")}, {"cus 2", customer("cus_2", "UTC")}, {"cus 2", customer("cus_2", "Asia/Tokyo")}},
	}
	n := s.node()
	held, left := account{}, map[string]*rulesv1.Record{}
	number := uint64(0)
	for _, step := range steps {
		number++
		var records []*rulesv1.Record
		for _, c := range step {
			records = append(records, c.record)
			delete(held, c.name)
			delete(left, c.name)
			if c.record.GetRemoval() == nil {
				left[c.name] = c.record
				if c.name != "optional" {
					held[c.name] = s.encode(c.record)
				}
			}
		}
		s.meant(number, held.hash(), records...)
		n.enforces(1, number)
	}
	n.refuses(map[string]float64{})
	s.snapshotMeant(number, held.hash(), slices.Collect(maps.Values(left))...)
	fresh := s.node()
	fresh.enforces(1, number)
	fresh.refuses(map[string]float64{})
	a, _ := n.Current()
	b, _ := fresh.Current()
	if sum := b.Sum(); a.Sum() != sum || string(sum[:]) != string(held.hash()) {
		t.Errorf("by change sets %x, by the snapshot %x, said %x", a.Sum(), sum, held.hash())
	}
}

// A change set that leads elsewhere than it says is not enforced, and neither is what follows: a snapshot is.
func TestI6_AnotherStateThanWasMeantLeadsToASnapshot(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	a := service("a", "http://a")
	held := account{"a": s.encode(a)}
	s.meant(1, held.hash(), a)
	n.enforces(1, 1)

	b, c := service("b", "http://b"), service("c", "http://c")
	s.meant(2, held.hash(), b)
	bustest.Eventually(t, "the change set is refused", func() bool { return n.refused()["hash"] == 1 })
	n.has(map[string]string{"a": "http://a"})
	held["b"], held["c"] = s.encode(b), s.encode(c)
	s.meant(3, held.hash(), c)

	s.snapshotMeant(3, held.hash(), a, b, c)
	n.enforces(1, 3)
	n.has(map[string]string{"a": "http://a", "b": "http://b", "c": "http://c"})
	held["d"] = s.encode(service("d", "http://d"))
	s.meant(4, held.hash(), service("d", "http://d"))
	n.enforces(1, 4)
}

func TestI6_SnapshotThatIsNotTheStateItNamesIsPassedOver(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	a, b := service("a", "http://a"), service("b", "http://b")
	held := account{"a": s.encode(a)}
	s.snapshotMeant(1, held.hash(), a)
	s.snapshotMeant(2, held.hash(), a, b)
	n := s.node()
	n.enforces(1, 1)
	n.refuses(map[string]float64{"hash": 1})
	n.has(map[string]string{"a": "http://a"})
}
