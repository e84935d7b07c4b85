package ingest_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/metering"
	"tollgate/dataplane/envelope"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

func bootID(name string) string { return strings.Repeat("0", 32-len(name)) + name }

func TestIngest_CommitsThenAnswersWithAReceipt(t *testing.T) {
	t.Parallel()
	p := setup(t)
	metrics, _ := p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("a"))
	a := id(n.boot, 1)
	must(t, n.send(n.seal(false, intent(a, 3), settled(a, 3, true), denial(id(n.boot, 2)))))
	n.hear()
	if r := n.receipt; r.GetNumber() != 1 || string(r.GetHash()) != string(n.hash) || r.GetNode() != "node-1" || r.GetFleet() != fleetID {
		t.Errorf("receipt %v", r)
	}
	if got := p.usage(t); got != 3 {
		t.Errorf("usage %d, want 3", got)
	}
	d, err := p.db.Metering().Decision(t.Context(), a)
	must(t, err)
	want := metering.Decision{
		ID: a, Time: at(), Node: "node-1", Boot: n.boot, Sequence: 1, Outcome: "forward", Code: "ok", Customer: "cus_1",
		License: "lic_1", Plan: "free", PlanVersion: 2, Credential: "key_1", Route: "hello", Method: "GET", Path: "/hello",
		ClientIP: "192.0.2.1", Cost: 3, Status: 200, UpstreamStatus: 200, Duration: 1500e3, Overhead: 60e3, BytesIn: 10,
		BytesOut: 20, TraceID: "trace", Settled: true,
	}
	want.Epoch.Generation, want.Epoch.Number = 1, 7
	if d != want {
		t.Errorf("decision\n %+v, want\n %+v", d, want)
	}
	if got := count(t, metrics, "committed"); got != 1 {
		t.Errorf("%d segments committed, want 1", got)
	}
}

func TestIngest_EmptySegmentMovesTheHead(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("b"))
	must(t, n.send(n.seal(false)))
	must(t, n.send(n.seal(false)))
	n.await(2)
}

func TestIngest_BillsByTheSettlement(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("c"))
	for i, c := range []struct {
		name    string
		begin   func(id string, units int64) *ledgerv1.Record
		ends    bool
		billed  bool
		another bool // The end is in another segment.
		want    int64
	}{
		{"open, billed if open", intent, false, false, false, 5},
		{"open, not billed if open", lenient, false, false, false, 0},
		{"billed", intent, true, true, false, 5},
		{"billed later", intent, true, true, true, 5},
		{"not billed", intent, true, false, false, 0},
		{"not billed later", intent, true, false, true, 0},
		{"lenient, billed", lenient, true, true, false, 5},
		{"lenient, billed later", lenient, true, true, true, 5},
		{"lenient, not billed", lenient, true, false, false, 0},
		{"lenient, not billed later", lenient, true, false, true, 0},
	} {
		before := p.usage(t)
		request := id(n.boot, i)
		records := []*ledgerv1.Record{c.begin(request, 5)}
		if c.another {
			must(t, n.send(n.seal(false, records...)))
			n.await(uint64(len(n.sealed)))
			records = nil
		}
		if c.ends {
			records = append(records, settled(request, 5, c.billed))
		}
		must(t, n.send(n.seal(false, records...)))
		n.await(uint64(len(n.sealed)))
		if got := p.usage(t) - before; got != c.want {
			t.Errorf("%s: usage %d, want %d", c.name, got, c.want)
		}
		if d, err := p.db.Metering().Decision(t.Context(), request); err != nil || d.Settled != c.ends || d.Cost != 5 {
			t.Errorf("%s: decision %+v, %v", c.name, d, err)
		}
	}
}

// A settlement that a faulty node repeats in a later segment takes nothing back twice.
func TestI4_SecondSettlementChangesNothing(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("d"))
	a, b := id(n.boot, 1), id(n.boot, 2)
	must(t, n.send(n.seal(false, intent(a, 5), intent(b, 2))))
	must(t, n.send(n.seal(false, settled(a, 5, false), settled(a, 5, false))))
	must(t, n.send(n.seal(false, settled(a, 5, true), settled(id(n.boot, 9), 4, false))))
	n.await(3)
	if got := p.usage(t); got != 2 {
		t.Errorf("usage %d, want the 2 of the other request", got)
	}
}

func TestI4_DuplicateIsAnsweredAndChangesNothing(t *testing.T) {
	t.Parallel()
	p := setup(t)
	metrics, _ := p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("e"))
	first := n.seal(false, intent(id(n.boot, 1), 1))
	must(t, n.send(first))
	n.hear()
	must(t, n.send(n.seal(false, intent(id(n.boot, 2), 1))))
	n.await(2)
	before := count(t, metrics, "duplicate")
	n.forget()
	must(t, n.send(first))
	n.hear()
	if n.last() != 2 {
		t.Errorf("a duplicate of segment 1 is answered with %d, want the head, 2", n.last())
	}
	if got := p.usage(t); got != 2 {
		t.Errorf("usage %d, want 2", got)
	}
	if got := count(t, metrics, "duplicate") - before; got != 1 {
		t.Errorf("%d duplicates, want 1", got)
	}
}

func TestI5_GapIsAnsweredWithTheHead(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("f"))
	must(t, n.send(n.seal(false, intent(id(n.boot, 1), 1))))
	n.hear()
	n.seal(false, intent(id(n.boot, 2), 1)) // Lost.
	must(t, n.send(n.seal(false, intent(id(n.boot, 3), 1))))
	n.hear()
	if n.receipt.GetNumber() != 1 {
		t.Errorf("segment 3 without 2 is answered with %d, want the head, 1", n.receipt.GetNumber())
	}
	if got := p.usage(t); got != 1 {
		t.Errorf("usage %d, want 1", got)
	}
	n.await(3)
	if got := p.usage(t); got != 3 {
		t.Errorf("usage %d once 2 was sent again, want 3", got)
	}
}

func TestI5_ForkIsQuarantined(t *testing.T) {
	t.Parallel()
	p := setup(t)
	metrics, _ := p.run(t, p, nil)
	n, twin := p.node(t, "node-1", bootID("aa")), p.node(t, "node-1", bootID("aa"))
	thief := p.node(t, "node-2", bootID("aa"))
	must(t, n.send(n.seal(false, intent(id(n.boot, 1), 1))))
	n.hear()
	// The same number with another content; one that follows another; another node's.
	other := twin.seal(false, intent(id(n.boot, 7), 100))
	must(t, twin.send(other))
	must(t, twin.send(twin.seal(false, intent(id(n.boot, 8), 100))))
	thief.sealed, thief.hash = [][]byte{nil}, n.hash
	must(t, thief.send(thief.seal(false, intent(id(n.boot, 9), 100))))
	until(t, "3 forks", func() bool { return count(t, metrics, "fork") == 3 })
	if got := p.usage(t); got != 1 {
		t.Errorf("usage %d, want 1", got)
	}
	must(t, n.send(n.seal(false, intent(id(n.boot, 2), 1))))
	n.await(2)
}

func TestIngest_RefusesWhatDoesNotVerify(t *testing.T) {
	t.Parallel()
	p := setup(t)
	metrics, _ := p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("bb"))
	good := func() *ledgerv1.Segment {
		n.sealed, n.hash, n.sequence = nil, nil, 0
		var s ledgerv1.Segment
		must(t, proto.Unmarshal(n.seal(false, intent(id(n.boot, 1), 1)), &s))
		return &s
	}
	header := func(change func(*ledgerv1.SegmentHeader)) []byte {
		s := good()
		opened, err := p.verifier.Open(envelope.KindSegment, s.GetHeader(), time.Now())
		must(t, err)
		var h ledgerv1.SegmentHeader
		must(t, proto.Unmarshal(opened.Payload, &h))
		change(&h)
		return n.sign(&h, s.GetBody())
	}
	flipped := good()
	flipped.Header[len(flipped.Header)/2] ^= 1
	body := good()
	body.Body[len(body.Body)-1] ^= 1
	encode := func(s *ledgerv1.Segment) []byte { raw, err := proto.Marshal(s); must(t, err); return raw }
	bad := [][]byte{
		nil, []byte("junk"), encode(flipped), encode(body), encode(&ledgerv1.Segment{Body: body.GetBody()}),
		header(func(h *ledgerv1.SegmentHeader) { h.Node = "node-2" }),
		header(func(h *ledgerv1.SegmentHeader) { h.Fleet = "other" }),
		header(func(h *ledgerv1.SegmentHeader) { h.Boot = "short" }),
		header(func(h *ledgerv1.SegmentHeader) { h.Number = 0 }),
		header(func(h *ledgerv1.SegmentHeader) { h.Records = 2 }),
		header(func(h *ledgerv1.SegmentHeader) { h.FirstSequence = 5 }),
		header(func(h *ledgerv1.SegmentHeader) { h.SealedAt = nil }),
	}
	for _, b := range bad {
		must(t, n.send(b))
	}
	until(t, "all to be quarantined", func() bool { return count(t, metrics, "invalid") == len(bad) })
	// Another node's segment on this node's subject.
	other := p.node(t, "node-2", bootID("cc"))
	must(t, n.send(other.seal(false, intent(id(other.boot, 1), 1))))
	until(t, "the wrong subject to be quarantined", func() bool { return count(t, metrics, "invalid") == len(bad)+1 })
	if got := p.usage(t); got != 0 {
		t.Errorf("usage %d, want 0", got)
	}
}

// One segment that the tables refuse must not hold up the others.
func TestIngest_SegmentThatCannotBeStoredIsPutAside(t *testing.T) {
	t.Parallel()
	p := setup(t)
	metrics, _ := p.run(t, p, nil)
	good, bad := p.node(t, "node-1", bootID("dd")), p.node(t, "node-2", bootID("ee"))
	same := id(bad.boot, 1)
	must(t, bad.send(bad.seal(false, denial(same), denial(same))))
	must(t, good.send(good.seal(false, intent(id(good.boot, 1), 1))))
	good.await(1)
	until(t, "the bad segment to be quarantined", func() bool { return count(t, metrics, "invalid") == 1 })
	if got := p.usage(t); got != 1 {
		t.Errorf("usage %d, want 1", got)
	}
}
