package decision_test

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tollgate/dataplane/decision"
)

// told is one call of a batch's, or an editor's, setters.
type told struct {
	kind string
	do   func(b *decision.Batch)
}

func toldTo(n name, k kept) (told, bool) {
	switch v := k.value.(type) {
	case *decision.License:
		return told{n.kind, func(b *decision.Batch) { b.Of(k.digest).SetLicense(v) }}, true
	case *decision.Credential:
		return told{n.kind, func(b *decision.Batch) { b.Of(k.digest).SetCredential(v) }}, true
	case *decision.Customer:
		return told{n.kind, func(b *decision.Batch) { b.Of(k.digest).SetCustomer(v) }}, true
	}
	return told{}, false
}

func gone(n name) told {
	return told{n.kind, func(b *decision.Batch) {
		switch n.kind {
		case "license":
			b.RemoveLicense(n.id)
		case "credential":
			b.RemoveCredential(n.id)
		case "customer":
			b.RemoveCustomer(n.id)
		}
	}}
}

// calls lead to the model in some order: other values of its records, and records that are not in it, come before and are replaced or
// removed.
func (m model) calls(r *rand.Rand, before model) (all []told) {
	var late []told
	for n, k := range m {
		if c, ok := toldTo(n, k); ok {
			late = append(late, c)
		}
	}
	for n, k := range before {
		c, ok := toldTo(n, k)
		if !ok {
			continue
		}
		all = append(all, c)
		if _, stays := m[n]; !stays {
			late = append(late, gone(n))
		}
	}
	shuffle := func(s []told) { r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) }
	shuffle(all)
	shuffle(late)
	return append(all, late...)
}

// staged builds the state that calls lead to, by batches of some sizes.
func (m model) staged(t *testing.T, r *rand.Rand, calls []told) *decision.State {
	t.Helper()
	e := decision.Edit(nil)
	b := &decision.Batch{}
	most := 1 + r.IntN(700)
	for _, c := range calls {
		c.do(b)
		if r.IntN(most) == 0 {
			e.Take(b)
		}
	}
	e.Take(b)
	for _, k := range m {
		e.Of(k.digest)
		switch v := k.value.(type) {
		case decision.Settings:
			e.SetSettings(v)
		case *decision.Service:
			e.SetService(v)
		case *decision.Route:
			e.SetRoute(v)
		case *decision.Meter:
			e.SetMeter(v)
		case *decision.Feature:
			e.SetFeature(v)
		case *decision.PlanVersion:
			e.SetPlanVersion(v)
		case *decision.AddOn:
			e.SetAddOn(v)
		case *decision.Term:
			e.SetTerm(v)
		}
	}
	s, err := e.Build(decision.Epoch{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// I6: a state that is built of batches is that of the records that are left, in content, in sum and in its pages, whether kinds come one
// after another or mixed; and changes go on from it as from any other.
func TestI6_BatchesAddUpToTheStateOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h := newHistory(seed)
	for round := range 12 {
		h.licenses = []int{3, 100, 1500, 4000}[round%4]
		h.model = model{}
		s := h.apply(t, nil, 4*h.licenses, 2)
		before := model{}
		for n, k := range h.model {
			before[n] = k
		}
		h.apply(t, s, h.licenses, 5)
		calls := h.model.calls(h.Rand, before)
		if round%2 == 0 {
			slices.SortStableFunc(calls, func(a, b told) int { return cmp.Compare(a.kind, b.kind) })
		}
		staged, afresh := h.model.staged(t, h.Rand, calls), h.model.afresh(t)
		if d := h.model.differs(staged, h.licenses); d != "" {
			t.Fatalf("round %d: %s", round, d)
		}
		if staged.Sum() != afresh.Sum() {
			t.Fatalf("round %d: the sum is %x, and afresh %x", round, staged.Sum(), afresh.Sum())
		}
		// A kind that was built before the last of it came has been grown from there on: its leaves may be others.
		records, leaves, bytes := staged.Footprint()
		if wantRecords, wantLeaves, wantBytes := afresh.Footprint(); records != wantRecords || bytes != wantBytes || leaves > 4*wantLeaves {
			t.Fatalf("round %d: %d records in %d leaves of %d bytes; afresh %d in %d of %d", round, records, leaves, bytes, wantRecords, wantLeaves, wantBytes)
		}
		staged = h.apply(t, staged, 500, 5)
		if d := h.model.differs(staged, h.licenses); d != "" {
			t.Fatalf("round %d, and on: %s", round, d)
		}
	}
}

// However a large table comes about, it has the same pages: built at once, or grown.
func TestEditor_ALargeTableIsBuiltAsItWouldGrow(t *testing.T) {
	t.Parallel()
	const many = 120_000
	credential := func(i int) *decision.Credential {
		return &decision.Credential{ID: id("key_", i), License: id("lic_", i), Hash: sha256.Sum256(fmt.Append(nil, i)), Imported: i%3 == 0}
	}
	digest := func(i int) decision.Digest { return decision.DigestOf(fmt.Append(nil, "digest", i)) }
	build := func(e *decision.Editor) *decision.State {
		s, err := e.Build(decision.Epoch{Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	e := decision.Edit(nil)
	e.Of(digest(0)).SetCredential(credential(0))
	grown, told, taken := decision.Edit(build(e)), decision.Edit(nil), decision.Edit(nil)
	b := &decision.Batch{}
	for i := range many {
		if i > 0 {
			grown.Of(digest(i)).SetCredential(credential(i))
		}
		told.Of(digest(i)).SetCredential(credential(i))
		if b.Of(digest(i)).SetCredential(credential(i)); i%1000 == 0 {
			taken.Take(b)
		}
	}
	taken.Take(b)
	want := build(grown)
	for what, s := range map[string]*decision.State{"told": build(told), "taken": build(taken)} {
		records, leaves, bytes := s.Footprint()
		if wantRecords, wantLeaves, wantBytes := want.Footprint(); records != wantRecords || leaves != wantLeaves || bytes != wantBytes {
			t.Errorf("%s: %d records in %d leaves of %d bytes; grown %d in %d of %d", what, records, leaves, bytes, wantRecords, wantLeaves, wantBytes)
		}
		if s.Sum() != want.Sum() {
			t.Errorf("%s: the sum is %x, and not %x", what, s.Sum(), want.Sum())
		}
		for i := range many {
			c := credential(i)
			if got := s.Credential(c.ID); got == nil || *got != *c {
				t.Fatalf("%s: %d is %+v", what, i, got)
			}
			if got := s.Imported(c.Hash); (got != nil) != c.Imported || got != nil && got.ID != c.ID {
				t.Fatalf("%s: %d is found by its hash as %+v", what, i, got)
			}
		}
	}
}
