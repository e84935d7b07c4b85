package decision

import (
	"slices"
	"time"
)

// Batch are changes of what lies in tables, made ready apart from any state: so that many goroutines can read a snapshot, each into a batch of its
// own. Editor.Take makes them. Of what it is told it keeps texts and slices, and no pointers. Not safe for concurrent use; the zero value is empty.
type Batch struct {
	changes []change
	bytes   []byte // Of the records that are set, without a customer's zone; of those that are removed, their idents.
	rares   []*rare
	zones   []*time.Location
	digest  Digest
}

// change is one of a batch.
type change struct {
	hash, at, n uint32
	// more is a licence's place in rares, a customer's in zones, counted from 1; 0: there is nothing.
	more uint32
	kind kind
	gone bool
}

// kind is which table a record lies in.
type kind uint8

const (
	ofCustomer kind = iota
	ofLicense
	ofCredential
	ofImported // Its records follow from those of credentials.
	kinds
)

// id is the id that a record of a table is found by.
func (k kind) id(record string) ident {
	switch k {
	case ofCustomer:
		return customerID(record)
	case ofLicense:
		return licenseID(record)
	case ofCredential:
		return credentialID(record)
	}
	r := reader(record)
	return r.ident()
}

// Of says the digest of the record that the next call sets, as Editor.Of does.
func (b *Batch) Of(d Digest) *Batch {
	b.digest = d
	return b
}

// SetCustomer is Editor's, as are the other methods of its name.
func (b *Batch) SetCustomer(v *Customer) {
	at := len(b.bytes)
	b.bytes = appendCustomer(b.bytes, b.digest, v)
	b.set(ofCustomer, identOf(v.ID), at, placeOf(&b.zones, v.Zone))
}

// RemoveCustomer removes a customer.
func (b *Batch) RemoveCustomer(id string) { b.remove(ofCustomer, id) }

// SetLicense adds or replaces a licence.
func (b *Batch) SetLicense(v *License) {
	at, more := len(b.bytes), 0
	b.bytes = appendLicense(b.bytes, b.digest, v)
	if r := rareOf(v); r != nil {
		b.rares = append(b.rares, r)
		more = len(b.rares)
	}
	b.set(ofLicense, identOf(v.ID), at, more)
}

// RemoveLicense removes a licence.
func (b *Batch) RemoveLicense(id string) { b.remove(ofLicense, id) }

// SetCredential adds or replaces a credential.
func (b *Batch) SetCredential(v *Credential) {
	at := len(b.bytes)
	b.bytes = appendCredential(b.bytes, b.digest, v)
	b.set(ofCredential, identOf(v.ID), at, 0)
}

// RemoveCredential removes a credential.
func (b *Batch) RemoveCredential(id string) { b.remove(ofCredential, id) }

// set adds the change that sets the record which begins at, and ends where bytes end.
func (b *Batch) set(k kind, id ident, at, more int) {
	b.changes = append(b.changes, change{hash: id.hash(), at: uint32(at), n: uint32(len(b.bytes) - at), more: uint32(more), kind: k})
	b.digest = Digest{}
}

func (b *Batch) remove(k kind, text string) {
	id, at := identOf(text), len(b.bytes)
	b.bytes = appendIdent(b.bytes, id)
	b.changes = append(b.changes, change{hash: id.hash(), at: uint32(at), n: uint32(len(b.bytes) - at), kind: k, gone: true})
	b.digest = Digest{}
}

// maxBatch bounds the bytes that wait in an editor.
const maxBatch = 4 << 20

// full reports whether what waits should wait no longer.
func (b *Batch) full() bool { return len(b.bytes) > maxBatch || len(b.changes) > maxBatch/64 }

// empty leaves a batch with the memory that it has.
func (b *Batch) empty() {
	clear(b.rares)
	clear(b.zones)
	b.changes, b.bytes, b.rares, b.zones, b.digest = b.changes[:0], b.bytes[:0], b.rares[:0], b.zones[:0], Digest{}
}

// record is that of a change that sets one, with what is rare of it, as tables have them. It is good until the next call. Zones of the batch
// become ones of the state.
func (b *Batch) record(c *change, zones *[]*time.Location, scratch *[]byte) (record []byte, r *rare) {
	record = b.bytes[c.at : c.at+c.n]
	switch c.kind {
	case ofCustomer:
		var zone *time.Location
		if c.more > 0 {
			zone = b.zones[c.more-1]
		}
		*scratch = appendZone(append((*scratch)[:0], record...), placeOf(zones, zone))
		record = *scratch
	case ofLicense:
		if c.more > 0 {
			r = b.rares[c.more-1]
		}
	}
	return record, r
}

// inOrder are the places of the changes of one table, in order of the hash, so that the pages of a large table are visited one after another, and not
// once for each of millions of records; those of one record in the order in which they came.
func (b *Batch) inOrder(k kind) []uint64 {
	var order []uint64
	for i := range b.changes {
		if b.changes[i].kind == k {
			order = append(order, uint64(b.changes[i].hash)<<32|uint64(i))
		}
	}
	slices.Sort(order)
	return order
}
