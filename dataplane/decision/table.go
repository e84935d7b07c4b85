package decision

import (
	"encoding/binary"
	"slices"
	"strings"
)

// table is a persistent map from hashes to records: a trie of pages over the hash's bits, the highest first. An inner page has a slot for
// each value of the next fanBits bits; a leaf stands in all slots of the bits that its records share. A leaf's records are one string, so
// the collector has nothing to follow in it, and reading a text out of a record copies nothing. Pages of a table that is in a State never change;
// a draft copies those on the way to what it changes. What is removed is not in the next copy of its page, so nothing has to be
// collected later.
type table struct {
	root  *page
	count int
}

const (
	hashBits = 32
	fanBits  = 6
	fan      = 1 << fanBits
	// maxRecords is how many records a leaf has before it is divided: what a change of one record copies. Two leaves that have no more than
	// minRecords together become one.
	maxRecords = 640
	minRecords = maxRecords / 4
)

// page is an inner page or a leaf.
type page struct {
	// by is the draft that may change the page; all others copy it.
	by *draft
	// kids are an inner page's slots; nil: it is a leaf.
	kids []*page

	// Of a leaf: bits is how many bits of the hash all records share, n how many there are. data begins with a head for each record, in
	// order of the hash, which is followed by the records in that order.
	bits uint
	n    int
	data string
	rare []rarePlace
	// open is the leaf's next content while a draft changes it.
	open *openPage
}

// headSize is a head: the hash, and where the record begins, 4 bytes each.
const headSize = 8

// rarePlace says to which record what is rare belongs, by where that begins.
type rarePlace struct {
	off uint32
	of  rare
}

func slotOf(hash uint32, level int) uint32 { return hash << (level * fanBits) >> (hashBits - fanBits) }

func u32(s string, i int) uint32 {
	_ = s[i+3]
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

func (p *page) hash(i int) uint32 { return u32(p.data, i*headSize) }
func (p *page) off(i int) uint32  { return u32(p.data, i*headSize+4) }

func (p *page) record(i int) string {
	if i+1 < p.n {
		return p.data[p.off(i):p.off(i+1)]
	}
	return p.data[p.off(i):]
}

// first is where the hash is, or would be. Hashes are spread evenly, so it is near where it should be.
func (p *page) first(hash uint32) int {
	i := int(uint64(hash<<p.bits) * uint64(p.n) >> hashBits)
	for i > 0 && p.hash(i-1) >= hash {
		i--
	}
	for i < p.n && p.hash(i) < hash {
		i++
	}
	return i
}

// hits are the records of one hash. They allocate nothing.
type hits struct {
	page *page
	hash uint32
	i    int
}

// find looks a hash up in a table that no draft is changing.
func (t *table) find(hash uint32) hits {
	p := t.root
	if p == nil {
		return hits{}
	}
	for level := 0; p.kids != nil; level++ {
		p = p.kids[slotOf(hash, level)]
	}
	return hits{p, hash, p.first(hash)}
}

func (h *hits) next() (record string, ok bool) {
	p := h.page
	if p == nil || h.i >= p.n || p.hash(h.i) != h.hash {
		return "", false
	}
	h.i++
	return p.record(h.i - 1), true
}

// rare is what is rare of the record that next returned last.
func (h *hits) rare() *rare {
	off := h.page.off(h.i - 1)
	i, ok := slices.BinarySearchFunc(h.page.rare, off, func(r rarePlace, off uint32) int { return int(r.off) - int(off) })
	if !ok {
		return nil
	}
	return &h.page.rare[i].of
}

// openPage is a leaf's content while it is changed: what was there, and what came.
type openPage struct {
	heads []openHead // In order of the hash.
	came  []byte
	rare  map[uint32]*rare // By the record's at.
}

// openHead says where a record is: in the page's data, or, from cameBit on, in what came.
type openHead struct{ hash, at, n uint32 }

const cameBit = 1 << 31

func (p *page) text(h openHead) string {
	if h.at&cameBit != 0 {
		at := h.at &^ cameBit
		return string(p.open.came[at : at+h.n])
	}
	return p.data[h.at : h.at+h.n]
}

func (o *openPage) first(hash uint32) int {
	low, high := 0, len(o.heads)
	for low < high {
		if mid := (low + high) / 2; o.heads[mid].hash < hash {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

func (o *openPage) keep(at uint32, r *rare) {
	if r == nil {
		return
	}
	if o.rare == nil {
		o.rare = map[uint32]*rare{}
	}
	o.rare[at] = r
}

// add puts a record in before the i-th.
func (o *openPage) add(i int, hash uint32, record []byte, r *rare) {
	at := uint32(len(o.came)) | cameBit
	o.came = append(o.came, record...)
	o.heads = slices.Insert(o.heads, i, openHead{hash, at, uint32(len(record))})
	o.keep(at, r)
}

// begin opens a leaf.
func (p *page) begin() {
	o := &openPage{heads: make([]openHead, p.n, p.n+1)}
	for i := range p.n {
		o.heads[i] = openHead{p.hash(i), p.off(i), uint32(len(p.record(i)))}
	}
	for i := range p.rare {
		o.keep(p.rare[i].off, &p.rare[i].of)
	}
	p.open = o
}

// part is a leaf of some of an open one's records.
func (p *page) part(by *draft, bits uint, from, to int) *page {
	size := 0
	for _, h := range p.open.heads[from:to] {
		size += int(h.n)
	}
	// What was divided because it was full will be full again, where a whole state is built.
	half := &page{by: by, bits: bits, open: &openPage{heads: make([]openHead, 0, maxRecords+1), came: make([]byte, 0, 2*size)}}
	half.take(p, from, to)
	return half
}

// take appends records of another open leaf.
func (p *page) take(q *page, from, to int) {
	for _, h := range q.open.heads[from:to] {
		at := uint32(len(p.open.came)) | cameBit
		if h.at&cameBit != 0 {
			start := h.at &^ cameBit
			p.open.came = append(p.open.came, q.open.came[start:start+h.n]...)
		} else {
			p.open.came = append(p.open.came, q.data[h.at:h.at+h.n]...)
		}
		p.open.heads = append(p.open.heads, openHead{h.hash, at, h.n})
		p.open.keep(at, q.open.rare[h.at])
	}
}

// end closes a leaf: its records are put together anew, in as much memory as they need. heads is memory that is used again.
func (p *page) end(heads []byte) []byte {
	o := p.open
	size := len(o.heads) * headSize
	off := uint32(size)
	heads = slices.Grow(heads[:0], size)
	var rares []rarePlace
	if len(o.rare) > 0 {
		rares = make([]rarePlace, 0, len(o.rare))
	}
	for _, h := range o.heads {
		size += int(h.n)
		heads = binary.LittleEndian.AppendUint32(heads, h.hash)
		heads = binary.LittleEndian.AppendUint32(heads, off)
		if len(o.rare) > 0 {
			if r := o.rare[h.at]; r != nil {
				rares = append(rares, rarePlace{off, *r})
			}
		}
		off += h.n
	}
	var b strings.Builder
	b.Grow(size)
	_, _ = b.Write(heads)
	for i := 0; i < len(o.heads); {
		// Most lie one after another already.
		from, to := o.heads[i].at, o.heads[i].at
		for ; i < len(o.heads) && o.heads[i].at == to; i++ {
			to += o.heads[i].n
		}
		if from&cameBit != 0 {
			_, _ = b.Write(o.came[from&^cameBit : to&^cameBit])
		} else {
			_, _ = b.WriteString(p.data[from:to])
		}
	}
	p.n, p.data, p.rare, p.open = len(o.heads), b.String(), together(rares), nil
	return heads
}

// together is what is rare of a leaf's records, in few pieces for the collector to follow.
func together(rares []rarePlace) []rarePlace {
	if len(rares) == 0 {
		return nil
	}
	var phases, overrides, addOns, grants int
	for i := range rares {
		r := &rares[i].of
		phases, overrides, addOns, grants = phases+len(r.next), overrides+len(r.overrides), addOns+len(r.addOns), grants+len(r.grants)
	}
	all := rare{make([]Phase, 0, phases), make([]Override, 0, overrides), make([]Attachment, 0, addOns), make([]Grant, 0, grants)}
	rares = slices.Clone(rares)
	for i := range rares {
		r := &rares[i].of
		r.next, all.next = moved(r.next, all.next)
		r.overrides, all.overrides = moved(r.overrides, all.overrides)
		r.addOns, all.addOns = moved(r.addOns, all.addOns)
		r.grants, all.grants = moved(r.grants, all.grants)
	}
	return rares
}

// moved appends few to all, which has room for them, and returns them as a part of that; nil where there are none.
func moved[T any](few, all []T) (part, more []T) {
	if len(few) == 0 {
		return nil, all
	}
	n := len(all)
	all = append(all, few...)
	return all[n:len(all):len(all)], all
}

// each calls f for each record, in no order.
func (t *table) each(f func(record string)) {
	if t.root != nil {
		t.root.each(f)
	}
}

func (p *page) each(f func(record string)) {
	for i, kid := range p.kids {
		// A leaf stands in all slots of the bits that its records share.
		if i == 0 || kid != p.kids[i-1] {
			kid.each(f)
		}
	}
	for i := range p.n {
		f(p.record(i))
	}
}
