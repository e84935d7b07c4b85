package decision

import (
	"encoding/binary"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A table in which nothing lies yet is not grown record by record: its changes are first put into the parts of a stage, by the root slot that they are
// for, and when there are no more each part is sorted and written out as pages, once, by as many goroutines as there are processors. If more
// comes later, it is made as in any other table.

// stage are the changes of a table in which nothing lies yet.
type stage struct {
	parts [fan]stagePart
	// idle is how many batches in a row had no changes for it.
	idle int
}

// maxIdle is how many batches may come without a change of a table until that is built: snapshots come kind by kind, and to
// have built the first kinds before the last one comes takes less memory.
const maxIdle = 8

// stagePart are a stage's changes for one slot of the root. A block is a sequence of entries: the hash, the record's length with the flags, 4 bytes each, and the
// record, or the ident of the one that is removed.
type stagePart struct {
	blocks [][]byte
	many   int
	rares  []stagedRare
}

const (
	entryHead = 8
	entryGone = 1 << 31
	entryRare = 1 << 30
	entrySize = entryRare - 1

	// An entry's place is its block and, in as many bits as a block's size has, where it begins there.
	blockBits  = 17
	blockSize  = 1 << blockBits
	firstBlock = 1 << 11
)

// stagedRare is what is rare of the record whose entry has that place.
type stagedRare struct {
	at uint32
	of *rare
}

// add appends a change. Entries of one record stay in the order in which they were added.
func (s *stage) add(hash uint32, record []byte, r *rare, gone bool) {
	p := &s.parts[slotOf(hash, 0)]
	last := len(p.blocks) - 1
	need := entryHead + len(record)
	if last < 0 || cap(p.blocks[last])-len(p.blocks[last]) < need {
		size := firstBlock
		if last >= 0 {
			size = min(2*cap(p.blocks[last]), blockSize)
		}
		p.blocks = append(p.blocks, make([]byte, 0, max(size, need)))
		last++
	}
	b := p.blocks[last]
	n := uint32(len(record))
	if gone {
		n |= entryGone
	}
	if r != nil {
		n |= entryRare
		p.rares = append(p.rares, stagedRare{uint32(last)<<blockBits | uint32(len(b)), r})
	}
	b = binary.LittleEndian.AppendUint32(b, hash)
	b = binary.LittleEndian.AppendUint32(b, n)
	p.blocks[last] = append(b, record...)
	p.many++
}

// entry reads a change.
func (p *stagePart) entry(at uint32) (record []byte, flags uint32) {
	b := p.blocks[at>>blockBits][at&(blockSize-1):]
	n := binary.LittleEndian.Uint32(b[4:])
	return b[entryHead : entryHead+n&entrySize], n
}

func (p *stagePart) rare(at uint32) *rare {
	i, _ := slices.BinarySearchFunc(p.rares, at, func(r stagedRare, at uint32) int { return int(r.at) - int(at) })
	return p.rares[i].of
}

// run are records of a part, in order of the hash: that, and the place.
type run struct {
	part *stagePart
	keys []uint64
}

// sorted are the records that a part's changes leave. The run is good until the writer's next.
func (w *pageWriter) sorted(p *stagePart, k kind) run {
	keys := w.keys[:0]
	for i, b := range p.blocks {
		for at := 0; at < len(b); {
			keys = append(keys, uint64(binary.LittleEndian.Uint32(b[at:]))<<32|uint64(i)<<blockBits|uint64(at))
			at += entryHead + int(binary.LittleEndian.Uint32(b[at+4:])&entrySize)
		}
	}
	slices.Sort(keys)
	w.keys = keys
	left := keys[:0]
	for i, key := range keys {
		if _, flags := p.entry(uint32(key)); flags&entryGone == 0 && !p.replaced(k, keys[i:]) {
			left = append(left, key)
		}
	}
	return run{p, left}
}

// replaced reports whether a later change is of the first one's record.
func (p *stagePart) replaced(k kind, keys []uint64) bool {
	for _, later := range keys[1:] {
		if later>>32 != keys[0]>>32 {
			break
		}
		if p.id(k, uint32(keys[0])) == p.id(k, uint32(later)) {
			return true
		}
	}
	return false
}

func (p *stagePart) id(k kind, at uint32) ident {
	record, flags := p.entry(at)
	if flags&entryGone != 0 {
		r := reader(record)
		return r.ident()
	}
	return k.id(string(record))
}

// stage puts a batch's changes into the stages of tables in which nothing lies yet, and says of which kinds these are.
func (e *Editor) stage(b *Batch) (staged [kinds]bool) {
	if !e.bulk {
		return staged
	}
	for k := range ofImported {
		staged[k] = e.table(k).root == nil
	}
	var came [kinds]bool
	for i := range b.changes {
		c := &b.changes[i]
		if !staged[c.kind] {
			continue
		}
		came[c.kind] = true
		if e.stages[c.kind] == nil {
			e.stages[c.kind] = &stage{}
		}
		record, r := b.bytes[c.at:c.at+c.n], (*rare)(nil)
		if !c.gone {
			record, r = b.record(c, &e.next.zones, &e.scratch)
		}
		e.stages[c.kind].add(c.hash, record, r, c.gone)
	}
	for k, s := range e.stages {
		if s == nil {
			continue
		}
		if s.idle++; came[k] {
			s.idle = 0
		}
		if s.idle >= maxIdle {
			e.build(kind(k))
		}
	}
	return staged
}

// settle builds what is staged.
func (e *Editor) settle() {
	for k := range kinds {
		if e.stages[k] != nil {
			e.build(k)
		}
	}
}

// built is what came of a part.
type built struct {
	many int
	sum  Digest
	// page is what stands in the slot; nil where there are no more records than a leaf takes: then they are left as they are.
	page *page
	left run
	// imported are entries for those of credentials.
	imported []byte
}

// build makes a table of its stage.
func (e *Editor) build(k kind) {
	s := e.stages[k]
	e.stages[k] = nil
	var parts [fan]built
	var next atomic.Int32
	var working sync.WaitGroup
	for range min(fan, runtime.GOMAXPROCS(0)) {
		working.Go(func() {
			var w pageWriter
			for i := next.Add(1) - 1; i < fan; i = next.Add(1) - 1 {
				parts[i] = w.build(&s.parts[i], k)
			}
		})
	}
	working.Wait()
	t := e.table(k)
	var w pageWriter
	t.root = w.root(parts[:])
	for i := range parts {
		t.count += parts[i].many
		e.next.sum = e.next.sum.Plus(parts[i].sum)
	}
	if k != ofCredential {
		return
	}
	imported := &stage{}
	for i := range parts {
		for b := parts[i].imported; len(b) > 0; {
			end := entryHead + binary.LittleEndian.Uint32(b[4:])
			imported.add(binary.LittleEndian.Uint32(b), b[entryHead:end], nil, false)
			b = b[end:]
		}
	}
	e.stages[ofImported] = imported
	e.build(ofImported)
}

// pageWriter writes a stage's pages. What it has is memory that is used again.
type pageWriter struct {
	keys        []uint64
	heads, data []byte
	rares       []rarePlace
}

// build makes a part's pages.
func (w *pageWriter) build(p *stagePart, k kind) (b built) {
	if p.many == 0 {
		return b
	}
	run := w.sorted(p, k)
	b.many = len(run.keys)
	for _, key := range run.keys {
		record, _ := p.entry(uint32(key))
		if k == ofImported {
			break // They are no records of the state.
		}
		b.sum = b.sum.Plus(Digest(record[:len(Digest{})]))
		if k == ofCredential && record[len(Digest{})]&isImported != 0 {
			hash, id, _ := importedHash(string(record))
			text := appendIdent(nil, id)
			b.imported = binary.LittleEndian.AppendUint32(b.imported, hash)
			b.imported = append(binary.LittleEndian.AppendUint32(b.imported, uint32(len(text))), text...)
		}
	}
	if b.many <= maxRecords {
		b.left = run
		b.left.keys = slices.Clone(run.keys)
		return b
	}
	b.page = w.inner(1, run)
	p.blocks, p.rares = nil, nil // Now, for the next part's pages take as much.
	return b
}

// root is a whole table's; nil where there are no records.
func (w *pageWriter) root(parts []built) *page {
	many := 0
	for i := range parts {
		many += parts[i].many
	}
	if many == 0 {
		return nil
	}
	if many <= maxRecords {
		return w.leaf(0, lefts(parts)...)
	}
	root := &page{kids: make([]*page, fan)}
	w.join(root, 0, parts)
	return root
}

func lefts(parts []built) (runs []run) {
	for i := range parts {
		if parts[i].many > 0 {
			runs = append(runs, parts[i].left)
		}
	}
	return runs
}

// join fills the root's slots from base on with parts, which are as many as a leaf may stand in.
func (w *pageWriter) join(root *page, base uint32, parts []built) {
	many, span := 0, uint32(len(parts))
	for i := range parts {
		many += parts[i].many
	}
	switch {
	case span == 1 && parts[0].page != nil:
		root.kids[base] = parts[0].page
	case many <= maxRecords:
		root.fill(base, span, w.leaf(bitsOf(0, span), lefts(parts)...))
	default:
		w.join(root, base, parts[:span/2])
		w.join(root, base+span/2, parts[span/2:])
	}
}

// bitsOf is how many bits the records share of a leaf that stands in span slots at a level.
func bitsOf(level int, span uint32) uint { return uint((level+1)*fanBits - bits.TrailingZeros32(span)) }

// inner is a page at a level, with all that is below it.
func (w *pageWriter) inner(level int, r run) *page {
	p := &page{kids: make([]*page, fan)}
	w.fill(p, level, 0, fan, r)
	return p
}

// fill fills an inner page's slots with the records that are for them.
func (w *pageWriter) fill(p *page, level int, base, span uint32, r run) {
	shared := bitsOf(level, span)
	switch {
	case len(r.keys) <= maxRecords || shared == hashBits:
		p.fill(base, span, w.leaf(shared, r))
	case span == 1:
		p.kids[base] = w.inner(level+1, r)
	default:
		half := uint64(1) << (2*hashBits - 1 - shared)
		cut, _ := slices.BinarySearch(r.keys, r.keys[0]&^(half-1)|half)
		if r.keys[0]&half != 0 {
			cut = 0
		}
		w.fill(p, level, base, span/2, run{r.part, r.keys[:cut]})
		w.fill(p, level, base+span/2, span/2, run{r.part, r.keys[cut:]})
	}
}

// leaf writes one of all records of the runs.
func (w *pageWriter) leaf(shared uint, runs ...run) *page {
	n := 0
	for _, r := range runs {
		n += len(r.keys)
	}
	w.heads, w.data, w.rares = w.heads[:0], w.data[:0], w.rares[:0]
	for _, r := range runs {
		for _, key := range r.keys {
			off := uint32(n*headSize + len(w.data))
			record, flags := r.part.entry(uint32(key))
			w.heads = binary.LittleEndian.AppendUint32(w.heads, uint32(key>>32))
			w.heads = binary.LittleEndian.AppendUint32(w.heads, off)
			w.data = append(w.data, record...)
			if flags&entryRare != 0 {
				w.rares = append(w.rares, rarePlace{off, *r.part.rare(uint32(key))})
			}
		}
	}
	var b strings.Builder
	b.Grow(len(w.heads) + len(w.data))
	_, _ = b.Write(w.heads)
	_, _ = b.Write(w.data)
	p := &page{bits: shared, n: n, data: b.String(), rare: together(w.rares)}
	clear(w.rares)
	return p
}
