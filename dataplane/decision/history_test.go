package decision_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// kept is a record that a state should hold.
type kept struct {
	value  any
	digest decision.Digest
}

type name struct{ kind, id string }

// model is what a state should hold, by kind and id.
type model map[name]kept

// history makes random changes, to a state and to a model of it.
type history struct {
	*rand.Rand
	model    model
	editor   *decision.Editor
	revision int
	zones    []*time.Location
	licenses int // How many ids there are to choose from.
}

func newHistory(seed uint64) *history {
	return &history{
		Rand: rand.New(rand.NewPCG(seed, 1)), model: model{}, licenses: 1500,
		zones: []*time.Location{nil, time.UTC, time.FixedZone("east", 3600), time.FixedZone("west", -3600)},
	}
}

const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// id is one of n ids of a prefix: most are of the form that Tollgate makes; others are nearly so, or not at all.
func id(prefix string, i int) string {
	ulid := []byte("01JDXAMPLE0000000000000000")
	for j, at := i, len(ulid)-1; j > 0; j, at = j/32, at-1 {
		ulid[at] = digits[j%32]
	}
	switch i % 10 {
	case 0:
		return fmt.Sprintf("%d", i)
	case 1:
		ulid[0] = '8' // More than 128 bits.
	case 2:
		ulid[5] = 'a'
	case 3:
		return "other_" + prefix + string(ulid)
	}
	return prefix + string(ulid)
}

func (h *history) instant() time.Time {
	switch h.IntN(8) {
	case 0:
		return time.Time{}
	case 1:
		return time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	}
	return noon.Add(time.Duration(h.IntN(1<<40) - 1<<39))
}

func (h *history) license(i int) *decision.License {
	l := &decision.License{
		ID: id("lic_", i), Customer: id("cus_", h.IntN(1+h.licenses)), Status: decision.Status(1 + h.IntN(4)),
		Phase:    decision.Phase{Plan: fmt.Sprint("plan-", h.IntN(40)), PlanVersion: h.Uint32N(9), CounterGeneration: h.Uint64N(300)},
		StartsAt: h.instant(), EndsAt: h.instant(), CancelsAt: h.instant(), GraceUntil: h.instant(), PastDue: h.IntN(2) == 0,
	}
	if l.Anchor = h.instant(); h.IntN(2) == 0 {
		l.Anchor = l.StartsAt
	}
	if h.IntN(10) == 0 {
		l.Next = []decision.Phase{{At: h.instant(), Plan: "next", PlanVersion: 2, CounterGeneration: h.Uint64()}}
	}
	if h.IntN(10) == 0 {
		l.Overrides = []decision.Override{{ID: fmt.Sprint(h.Uint64()), From: h.instant(), Feature: "calls"}}
		l.Grants = []decision.Grant{{ID: fmt.Sprint(h.Uint64()), Units: h.Int64()}}
		l.AddOns = []decision.Attachment{{AddOn: "extra", From: h.instant()}}
	}
	return l
}

// change sets, replaces or removes one record; removals in so many of ten cases.
func (h *history) change(removals int) {
	h.revision++
	var digest decision.Digest
	sum := sha256.Sum256(fmt.Append(nil, h.revision))
	copy(digest[:], sum[:])
	remove := h.IntN(10) < removals
	set := func(n name, v any, set, removed func()) {
		if remove {
			delete(h.model, n)
			removed()
			return
		}
		h.model[n] = kept{v, digest}
		h.editor.Of(digest)
		set()
	}
	e, key := h.editor, fmt.Sprint("k", h.IntN(8))
	switch kind := h.IntN(100); {
	case kind < 35:
		v := h.license(h.IntN(h.licenses))
		w := *v
		set(name{"license", v.ID}, v, func() { e.SetLicense(&w) }, func() { e.RemoveLicense(v.ID) })
	case kind < 70:
		v := &decision.Credential{ID: id("key_", h.IntN(2*h.licenses)), License: id("lic_", h.IntN(h.licenses)), ExpiresAt: h.instant(), Revoked: h.IntN(9) == 0, Imported: h.IntN(3) == 0}
		v.Hash = sha256.Sum256([]byte(fmt.Sprint(v.ID, h.IntN(3))))
		w := *v
		set(name{"credential", v.ID}, v, func() { e.SetCredential(&w) }, func() { e.RemoveCredential(v.ID) })
	case kind < 90:
		v := &decision.Customer{ID: id("cus_", h.IntN(h.licenses)), ExternalID: key, Zone: h.zones[h.IntN(len(h.zones))]}
		w := *v
		set(name{"customer", v.ID}, v, func() { e.SetCustomer(&w) }, func() { e.RemoveCustomer(v.ID) })
	case kind == 90:
		v := decision.Settings{Env: key, BlockAfter: time.Duration(h.IntN(9))}
		remove = false
		set(name{kind: "settings"}, v, func() { e.SetSettings(v) }, nil)
	case kind == 91:
		v := &decision.Service{Key: key, Endpoints: []string{fmt.Sprint(h.revision)}}
		set(name{"service", key}, v, func() { e.SetService(v) }, func() { e.RemoveService(key) })
	case kind == 92:
		v := &decision.Route{Key: key, Path: "/" + key, Cost: int64(h.revision)}
		set(name{"route", key}, v, func() { e.SetRoute(v) }, func() { e.RemoveRoute(key) })
	case kind == 93:
		v := &decision.Meter{Key: key}
		set(name{"meter", key}, v, func() { e.SetMeter(v) }, func() { e.RemoveMeter(key) })
	case kind == 94:
		v := &decision.Feature{Key: key, Type: decision.Metered, Meter: key}
		set(name{"feature", key}, v, func() { e.SetFeature(v) }, func() { e.RemoveFeature(key) })
	case kind == 95:
		v := &decision.PlanVersion{Plan: key, Version: h.Uint32N(3), Entitlements: []decision.Entitlement{{Feature: key}}}
		set(name{"plan", fmt.Sprint(key, v.Version)}, v, func() { e.SetPlanVersion(v) }, func() { e.RemovePlanVersion(key, v.Version) })
	case kind == 96:
		v := &decision.AddOn{Key: key, Entitlements: []decision.Entitlement{{Feature: key}}}
		set(name{"add-on", key}, v, func() { e.SetAddOn(v) }, func() { e.RemoveAddOn(key) })
	default:
		v := &decision.Term{Key: key, Subject: decision.Subject{Kind: decision.SubjectAll}, When: "true", Effect: decision.EffectBlock, Priority: int32(h.revision)}
		set(name{"term", key}, v, func() { e.SetTerm(v) }, func() { e.RemoveTerm(key) })
	}
}

// apply makes a change set of n changes.
func (h *history) apply(t *testing.T, s *decision.State, n, removals int) *decision.State {
	t.Helper()
	h.editor = decision.Edit(s)
	for range n {
		h.change(removals)
	}
	var epoch decision.Epoch
	if s != nil {
		epoch = s.Epoch()
	}
	epoch.Number++
	next, err := h.editor.Build(epoch)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// afresh builds the state of a model's records, in whatever order a map gives them.
func (m model) afresh(t *testing.T) *decision.State {
	t.Helper()
	e := decision.Edit(nil)
	for _, k := range m {
		e.Of(k.digest)
		switch v := k.value.(type) {
		case *decision.License:
			e.SetLicense(v)
		case *decision.Credential:
			e.SetCredential(v)
		case *decision.Customer:
			e.SetCustomer(v)
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

// differs says how a state differs from the model; empty: it does not.
func (m model) differs(s *decision.State, licenses int) string {
	count := map[string]int{}
	for n, k := range m {
		count[n.kind]++
		var got any
		switch v := k.value.(type) {
		case *decision.License:
			got = s.License(v.ID)
		case *decision.Credential:
			got = s.Credential(v.ID)
			if c := s.Imported(v.Hash); v.Imported && !reflect.DeepEqual(c, v) || !v.Imported && c != nil {
				return fmt.Sprintf("by its hash %v is found as %v", v, c)
			}
		case *decision.Customer:
			got = s.Customer(v.ID)
		case decision.Settings:
			got = *s.Settings()
		case *decision.Service:
			got = s.Service(v.Key)
		case *decision.Route:
			got = s.Route(v.Key)
		case *decision.Feature:
			got = s.Feature(v.Key)
		case *decision.PlanVersion:
			got = s.PlanVersion(v.Plan, v.Version)
		case *decision.AddOn:
			got = s.AddOn(v.Key)
		default:
			continue
		}
		if !reflect.DeepEqual(got, k.value) {
			return fmt.Sprintf("%v is\n%+v, not\n%+v", n, got, k.value)
		}
	}
	if l, c := s.Counts(); l != count["license"] || c != count["credential"] {
		return fmt.Sprintf("%d licences and %d credentials, not %d and %d", l, c, count["license"], count["credential"])
	}
	for i := range 2 * licenses {
		if _, there := m[name{"license", id("lic_", i)}]; !there && s.License(id("lic_", i)) != nil {
			return fmt.Sprintf("licence %d is there", i)
		}
		if _, there := m[name{"credential", id("key_", i)}]; !there && s.Credential(id("key_", i)) != nil {
			return fmt.Sprintf("credential %d is there", i)
		}
		if _, there := m[name{"customer", id("cus_", i)}]; !there && s.Customer(id("cus_", i)) != nil {
			return fmt.Sprintf("customer %d is there", i)
		}
	}
	return ""
}

// I6: whatever was set, replaced and removed, a state is that of the records that are left, in content and in sum. It has no more pages than
// one that was built of them at once, within a factor: what is removed gives its memory back. States that were left behind stay as they were while
// others read them.
func TestI6_ChangesAddUpToTheStateOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h := newHistory(seed)
	var s *decision.State
	var readers sync.WaitGroup
	defer readers.Wait()
	for round := range 24 {
		// It grows, stays, shrinks to nearly nothing, and so on.
		removals := []int{1, 5, 9}[round%3]
		for made := 0; made < 5000; {
			n := 1 + h.IntN(40)
			if h.IntN(20) == 0 {
				n = 1500
			}
			s = h.apply(t, s, n, removals)
			made += n
		}
		afresh := h.model.afresh(t)
		if s.Sum() != afresh.Sum() {
			t.Fatalf("round %d: the sum is %x, and afresh %x", round, s.Sum(), afresh.Sum())
		}
		if d := h.model.differs(s, h.licenses); d != "" {
			t.Fatalf("round %d: %s", round, d)
		}
		records, leaves, bytes := s.Footprint()
		wantRecords, wantLeaves, wantBytes := afresh.Footprint()
		if records != wantRecords || bytes != wantBytes || leaves > 4*wantLeaves {
			t.Fatalf("round %d: %d records in %d leaves of %d bytes; afresh %d in %d of %d", round, records, leaves, bytes, wantRecords, wantLeaves, wantBytes)
		}
		old, was := s, maps.Clone(h.model)
		readers.Go(func() {
			for range 3 {
				if d := was.differs(old, h.licenses); d != "" {
					t.Errorf("an old state has changed: %s", d)
				}
			}
		})
	}
	if h.revision < 100_000 {
		t.Errorf("%d changes are too few", h.revision)
	}
}

// A change copies a page and the way to it, however many records there are.
func TestEditor_ChangeNeverCopiesTheWhole(t *testing.T) {
	t.Parallel()
	e := decision.Edit(nil)
	const many = 50_000
	for i := range many {
		e.SetLicense(&decision.License{ID: id("lic_", i), Customer: id("cus_", i), Phase: decision.Phase{Plan: "plan", PlanVersion: 1}, Status: decision.Active})
	}
	s, err := e.Build(decision.Epoch{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		e := decision.Edit(s)
		e.SetLicense(&decision.License{ID: id("lic_", i*7), Status: decision.Revoked})
		next, err := e.Build(decision.Epoch{Number: 2})
		if err != nil {
			t.Fatal(err)
		}
		if copied, all := s.NewPages(next); copied > 4 || all < many/640 {
			t.Fatalf("%d of %d pages were copied", copied, all)
		}
	}
}

// Two editors of one state know nothing of each other.
func TestEditor_EditorsOfOneStateAreApart(t *testing.T) {
	t.Parallel()
	h := newHistory(7)
	s := h.apply(t, nil, 5000, 1)
	was := maps.Clone(h.model)
	one, other := decision.Edit(s), decision.Edit(s)
	east, west := time.FixedZone("far east", 7200), time.FixedZone("far west", -7200)
	for i := range 500 {
		one.SetCustomer(&decision.Customer{ID: id("cus_", i), Zone: east})
		other.SetCustomer(&decision.Customer{ID: id("cus_", i), Zone: west})
	}
	a, err1 := one.Build(decision.Epoch{Number: 2})
	b, err2 := other.Build(decision.Epoch{Number: 2})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	// An editor may go on after Build, and does not change what it has built.
	one.SetCustomer(&decision.Customer{ID: id("cus_", 0), ExternalID: "later"})
	c, err := one.Build(decision.Epoch{Number: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if a.Customer(id("cus_", i)).Zone != east || b.Customer(id("cus_", i)).Zone != west {
			t.Fatalf("customer %d is in %v and in %v", i, a.Customer(id("cus_", i)).Zone, b.Customer(id("cus_", i)).Zone)
		}
	}
	if c.Customer(id("cus_", 0)).ExternalID != "later" || a.Customer(id("cus_", 0)).ExternalID != "" {
		t.Error("what was built has changed, or the last change is lost")
	}
	if d := was.differs(s, h.licenses); d != "" {
		t.Error(d)
	}
}
