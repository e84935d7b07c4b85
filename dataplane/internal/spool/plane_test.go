package spool

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

const (
	testFleet = "fleet-1"
	testNode  = "node-1"
)

// keys are a fleet's, for tests.
type keys struct {
	root     ed25519.PublicKey
	trust    []byte
	node     *envelope.Signer
	receipts *envelope.Signer
	rules    *envelope.Signer

	nodeKey         ed25519.PrivateKey
	nodeCertificate []byte
}

func newKeys(t testing.TB) keys {
	t.Helper()
	public, root, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k := keys{root: public}
	known := envelope.NewVerifier(testFleet, public)
	signer := func(usage envelope.Usage) *envelope.Signer {
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := envelope.Certified{
			Fleet: testFleet, Usage: usage, Subject: testNode, PublicKey: pub,
			// Wide: a synctest bubble lives in the year 2000.
			NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(100 * 365 * 24 * time.Hour),
		}
		certificate, err := envelope.IssueCertificate(root, c)
		if err != nil {
			t.Fatal(err)
		}
		envelopetest.Admit(t, known, root, c)
		if usage == envelope.UsageNode {
			k.nodeKey, k.nodeCertificate = key, certificate
		}
		return envelope.NewSigner(key, certificate)
	}
	k.node, k.receipts, k.rules = signer(envelope.UsageNode), signer(envelope.UsageReceipts), signer(envelope.UsageRules)
	k.trust = known.Trust().Raw()
	return k
}

func (k keys) verifier() *envelope.Verifier {
	v := envelope.NewVerifier(testFleet, k.root)
	must(v.Adopt(k.trust))
	return v
}

// plane commits segments by the control plane's rule: a boot's head moves from number−1 to number, where the hash fits,
// and else answers with its head. It fails the test at whatever a control plane would have to quarantine.
type plane struct {
	keys     keys
	verifier *envelope.Verifier

	mu    sync.Mutex
	boots map[string]*bootLog
	// order is that of the boots' first segments.
	order []string
	// early counts first segments that came before the final one of a boot before.
	early     int
	offences  []string
	committed int
	repeats   int
}

// bootLog is what the plane has of a boot.
type bootLog struct {
	number   uint64
	hash     []byte
	previous []byte // Of the first segment.
	final    bool
	records  []*ledgerv1.Record
	empty    int // Segments without records.
}

func newPlane(k keys) *plane {
	return &plane{keys: k, verifier: k.verifier(), boots: map[string]*bootLog{}}
}

func (p *plane) offence(format string, args ...any) {
	p.offences = append(p.offences, fmt.Sprintf(format, args...))
}

// ingest takes a segment as it was sent, and returns the boot's receipt.
func (p *plane) ingest(raw []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var m ledgerv1.Segment
	if err := proto.Unmarshal(raw, &m); err != nil {
		p.offence("segment: %v", err)
		return nil
	}
	opened, err := p.verifier.Open(envelope.KindSegment, m.GetHeader(), time.Now())
	if err != nil {
		p.offence("segment header: %v", err)
		return nil
	}
	var h ledgerv1.SegmentHeader
	if err := proto.Unmarshal(opened.Payload, &h); err != nil {
		p.offence("segment header: %v", err)
		return nil
	}
	if sum := sha256.Sum256(m.GetBody()); !bytes.Equal(sum[:], h.GetBodySha256()) {
		p.offence("segment %d: body hash", h.GetNumber())
		return nil
	}
	p.commit(&h, envelope.Hash(opened.Payload), m.GetBody())
	return p.receipt(h.GetBoot())
}

func (p *plane) commit(h *ledgerv1.SegmentHeader, hash, body []byte) {
	b := p.boots[h.GetBoot()]
	if b == nil {
		b = &bootLog{}
		p.boots[h.GetBoot()] = b
	}
	switch {
	case h.GetNumber() <= b.number:
		p.repeats++
		return
	case h.GetNumber() > b.number+1:
		return // A gap: the receipt says where we stand.
	case b.final:
		p.offence("boot %s: segment %d after the final one", h.GetBoot(), h.GetNumber())
		return
	case b.number > 0 && !bytes.Equal(h.GetPreviousHash(), b.hash):
		p.offence("boot %s: segment %d does not chain", h.GetBoot(), h.GetNumber())
		return
	}
	records, err := decodeBody(body)
	if err != nil {
		p.offence("boot %s: segment %d: %v", h.GetBoot(), h.GetNumber(), err)
		return
	}
	if uint32(len(records)) != h.GetRecords() || h.GetFirstSequence() != uint64(len(b.records)+1) {
		p.offence("boot %s: segment %d says first %d and %d records, has %d after %d",
			h.GetBoot(), h.GetNumber(), h.GetFirstSequence(), h.GetRecords(), len(records), len(b.records))
	}
	if b.number == 0 {
		b.previous = h.GetPreviousHash()
		for _, before := range p.order {
			if !p.boots[before].final {
				p.early++
			}
		}
		p.order = append(p.order, h.GetBoot())
	}
	if len(records) == 0 {
		b.empty++
	}
	b.records = append(b.records, records...)
	b.number, b.hash, b.final = h.GetNumber(), hash, h.GetFinal()
	p.committed++
}

func decodeBody(compressed []byte) ([]*ledgerv1.Record, error) {
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	raw, err := z.DecodeAll(compressed, nil)
	if err != nil {
		return nil, err
	}
	var body ledgerv1.SegmentBody
	if err := proto.Unmarshal(raw, &body); err != nil {
		return nil, err
	}
	return body.GetRecords(), nil
}

// receipt signs a boot's head. The caller holds the lock.
func (p *plane) receipt(boot string) []byte {
	r := &ledgerv1.Receipt{Fleet: testFleet, Node: testNode, Boot: boot}
	if b := p.boots[boot]; b != nil {
		r.Number, r.Hash = b.number, b.hash
	}
	return p.sign(r)
}

func (p *plane) sign(r *ledgerv1.Receipt) []byte {
	payload, err := proto.Marshal(r)
	if err != nil {
		panic(err)
	}
	raw, err := p.keys.receipts.Sign(envelope.KindReceipt, payload)
	if err != nil {
		panic(err)
	}
	return raw
}

// of returns what the plane has of a boot.
func (p *plane) of(boot string) bootLog {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.boots[boot]; b != nil {
		return *b
	}
	return bootLog{}
}

// check fails where anything was wrong, a sequence is missing or doubled, or the boots do not chain.
func (p *plane) check(t interface {
	Helper()
	Errorf(string, ...any)
}) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.offences {
		t.Errorf("%s", o)
	}
	for boot, b := range p.boots {
		for i, r := range b.records {
			if r.GetSequence() != uint64(i+1) {
				t.Errorf("boot %s: record %d has sequence %d", boot, i+1, r.GetSequence())
				break
			}
		}
	}
}

// checkChain fails where boots, in their order, are not all final or do not name each other's ends.
func (p *plane) checkChain(t interface {
	Helper()
	Errorf(string, ...any)
}, boots ...string) {
	t.Helper()
	var previous []byte
	for _, boot := range boots {
		b := p.of(boot)
		if !b.final {
			t.Errorf("boot %s has no final segment", boot)
		}
		if !bytes.Equal(b.previous, previous) {
			t.Errorf("boot %s names %x as its predecessor's end, which is %x", boot, b.previous, previous)
		}
		previous = b.hash
	}
}
