package decision

import "slices"

// batch are changes of one table that wait to be made, in order of the hash: so that the pages of a large table are visited one after another, and not
// once for each of millions of records.
type batch struct {
	waiting []waiting
	bytes   []byte // Of the records that are set.
}

// waiting is one change. n is 0 where the record is removed.
type waiting struct {
	id     ident
	hash   uint32
	at, n  uint32
	rare   *rare
	digest Digest
}

// maxBatch bounds the bytes that wait.
const maxBatch = 4 << 20

// set lets a record wait that begins at, and ends where bytes end.
func (b *batch) set(id ident, at int, r *rare, d Digest) {
	b.waiting = append(b.waiting, waiting{id: id, hash: id.hash(), at: uint32(at), n: uint32(len(b.bytes) - at), rare: r, digest: d})
}

func (b *batch) remove(id ident) {
	b.waiting = append(b.waiting, waiting{id: id, hash: id.hash()})
}

// full reports whether what waits should wait no longer.
func (b *batch) full() bool { return len(b.bytes) > maxBatch || len(b.waiting) > maxBatch/64 }

// make makes the changes, those of one record in the order in which they came, and says of each what was there before.
func (b *batch) make(d *draft, t *table, idOf func(record string) ident, made func(w *waiting, record []byte, old string)) {
	order := make([]uint64, len(b.waiting))
	for i := range b.waiting {
		order[i] = uint64(b.waiting[i].hash)<<32 | uint64(i)
	}
	slices.Sort(order)
	var w *waiting
	is := func(record string) bool { return idOf(record) == w.id }
	for _, o := range order {
		w = &b.waiting[uint32(o)]
		record := b.bytes[w.at : w.at+w.n]
		var old string
		if w.n == 0 {
			old = d.remove(t, w.hash, is)
		} else {
			old = d.put(t, w.hash, record, w.rare, is)
		}
		made(w, record, old)
	}
	clear(b.waiting)
	b.waiting, b.bytes = b.waiting[:0], b.bytes[:0]
}
