package decision

import (
	"encoding/binary"
	"slices"
	"time"
)

// A record in a table is the bytes of its digest, then of its fields. Ids that are read on every request, a licence's and a customer's own,
// are written as text, which is then read without copying; those that are only followed or compared are written as idents.

// rare is what few licences have. It never changes.
type rare struct {
	next      []Phase
	overrides []Override
	addOns    []Attachment
	grants    []Grant
}

func rareOf(l *License) *rare {
	if len(l.Next)+len(l.Overrides)+len(l.AddOns)+len(l.Grants) == 0 {
		return nil
	}
	return &rare{l.Next, l.Overrides, l.AddOns, l.Grants}
}

// Bits of a licence's record; its status follows them.
const (
	hasPastDue = 1 << iota
	hasStart
	hasEnd
	hasCancel
	hasGrace
	hasAnchor
	anchorIsStart
	hasRare
	statusShift = iota
)

func appendLicense(b []byte, d Digest, l *License) []byte {
	bits := uint64(l.Status) << statusShift
	set := func(bit uint64, is bool) bool {
		if is {
			bits |= bit
		}
		return is
	}
	set(hasPastDue, l.PastDue)
	set(hasRare, rareOf(l) != nil)
	times := make([]time.Time, 0, 5)
	for _, t := range []struct {
		bit uint64
		at  time.Time
	}{{hasStart, l.StartsAt}, {hasEnd, l.EndsAt}, {hasCancel, l.CancelsAt}, {hasGrace, l.GraceUntil}} {
		if set(t.bit, !t.at.IsZero()) {
			times = append(times, t.at)
		}
	}
	if !set(anchorIsStart, l.Anchor.Equal(l.StartsAt)) && set(hasAnchor, !l.Anchor.IsZero()) {
		times = append(times, l.Anchor)
	}
	b = append(b, d[:]...)
	b = binary.AppendUvarint(b, bits)
	b = appendText(b, l.ID)
	b = appendIdent(b, identOf(l.Customer))
	b = appendText(b, l.Plan)
	b = binary.AppendUvarint(b, uint64(l.PlanVersion))
	b = binary.AppendUvarint(b, l.CounterGeneration)
	for _, t := range times {
		b = appendInstant(b, t)
	}
	return b
}

// readLicense fills l, but for Customer, which it returns.
func readLicense(l *License, record string, more *rare) (customer ident) {
	r := reader(record[len(Digest{}):])
	bits := r.uvarint()
	l.PastDue, l.Status = bits&hasPastDue != 0, Status(bits>>statusShift)
	l.ID = r.text()
	customer = r.ident()
	l.Plan = r.text()
	l.PlanVersion, l.CounterGeneration = uint32(r.uvarint()), r.uvarint()
	l.StartsAt = r.instant(bits & hasStart)
	l.EndsAt = r.instant(bits & hasEnd)
	l.CancelsAt = r.instant(bits & hasCancel)
	l.GraceUntil = r.instant(bits & hasGrace)
	l.Anchor = r.instant(bits & hasAnchor)
	if bits&anchorIsStart != 0 {
		l.Anchor = l.StartsAt
	}
	if more != nil {
		l.Next, l.Overrides, l.AddOns, l.Grants = more.next, more.overrides, more.addOns, more.grants
	}
	return customer
}

// licenseID is the id that a licence's record is found by.
func licenseID(record string) ident {
	r := reader(record[len(Digest{}):])
	r.uvarint()
	return identOf(r.text())
}

// Bits of a credential's record.
const (
	isRevoked = 1 << iota
	isImported
	hasExpiry
)

func appendCredential(b []byte, d Digest, c *Credential) []byte {
	var bits uint64
	if c.Revoked {
		bits |= isRevoked
	}
	if c.Imported {
		bits |= isImported
	}
	if !c.ExpiresAt.IsZero() {
		bits |= hasExpiry
	}
	b = append(b, d[:]...)
	b = binary.AppendUvarint(b, bits)
	b = appendIdent(b, identOf(c.ID))
	b = append(b, c.Hash[:]...)
	b = appendIdent(b, identOf(c.License))
	if bits&hasExpiry != 0 {
		b = appendInstant(b, c.ExpiresAt)
	}
	return b
}

// readCredential fills c, but for ID and License, which it returns.
func readCredential(c *Credential, record string) (id, license ident) {
	r := reader(record[len(Digest{}):])
	bits := r.uvarint()
	c.Revoked, c.Imported = bits&isRevoked != 0, bits&isImported != 0
	id = r.ident()
	copy(c.Hash[:], r.take(len(c.Hash)))
	license = r.ident()
	c.ExpiresAt = r.instant(bits & hasExpiry)
	return id, license
}

func credentialID(record string) ident {
	r := reader(record[len(Digest{}):])
	r.uvarint()
	return r.ident()
}

// importedHash is where a credential's record has its place in the table of imported ones; false where it has none, or is empty.
func importedHash(record string) (hash uint32, id ident, is bool) {
	// The bits of a credential are few, and take one byte.
	if len(record) == 0 || record[len(Digest{})]&isImported == 0 {
		return 0, ident{}, false
	}
	var c Credential
	id, _ = readCredential(&c, record)
	return hashOf(c.Hash[:]), id, true
}

// appendCustomer leaves the zone to appendZone: its place is another one in each state.
func appendCustomer(b []byte, d Digest, c *Customer) []byte {
	b = append(b, d[:]...)
	b = appendText(b, c.ID)
	return appendText(b, c.ExternalID)
}

func appendZone(b []byte, place int) []byte { return binary.AppendUvarint(b, uint64(place)) }

func readCustomer(c *Customer, record string, zones []*time.Location) {
	r := reader(record[len(Digest{}):])
	c.ID, c.ExternalID = r.text(), r.text()
	if zone := r.uvarint(); zone > 0 {
		c.Zone = zones[zone-1]
	}
}

func customerID(record string) ident {
	r := reader(record[len(Digest{}):])
	return identOf(r.text())
}

func digestOf(record string) (d Digest) {
	copy(d[:], record)
	return d
}

// placeOf is 1 and the zone's place in zones; 0: nil. A zone that is new is appended to a copy, for other states read the slice.
func placeOf(zones *[]*time.Location, zone *time.Location) int {
	if zone == nil {
		return 0
	}
	i := slices.Index(*zones, zone)
	if i < 0 {
		i = len(*zones)
		*zones = append(slices.Clip(*zones), zone)
	}
	return i + 1
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendIdent(b []byte, id ident) []byte {
	b = append(b, id.prefix)
	if id.prefix == 0 {
		return appendText(b, id.text)
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, id.hi), id.lo)
}

// appendInstant keeps years that nanoseconds in 64 bits do not reach.
func appendInstant(b []byte, t time.Time) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b, uint64(t.Unix())), uint32(t.Nanosecond()))
}

// reader reads what the functions above wrote: nothing else is ever in a table.
type reader string

func (r *reader) take(n int) string {
	s := string((*r)[:n])
	*r = (*r)[n:]
	return s
}

func (r *reader) uvarint() (v uint64) {
	for i := 0; ; i++ {
		c := (*r)[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			*r = (*r)[i+1:]
			return v
		}
	}
}

func (r *reader) u64() uint64 {
	s := r.take(8)
	return uint64(u32(s, 0)) | uint64(u32(s, 4))<<32
}

func (r *reader) text() string { return r.take(int(r.uvarint())) }

func (r *reader) ident() ident {
	prefix := r.take(1)[0]
	if prefix == 0 {
		return ident{text: r.text()}
	}
	hi := r.u64()
	return ident{prefix: prefix, hi: hi, lo: r.u64()}
}

// instant reads one that is there; it is zero where that is 0.
func (r *reader) instant(there uint64) time.Time {
	if there == 0 {
		return time.Time{}
	}
	seconds := int64(r.u64())
	return time.Unix(seconds, int64(u32(r.take(4), 0))).UTC()
}
