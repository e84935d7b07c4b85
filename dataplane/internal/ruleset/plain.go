package ruleset

import (
	"time"
	"unicode/utf8"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Nearly all of a snapshot is customers, licences and credentials in which nothing is out of the ordinary. These are read here field by field,
// without the messages that protobuf would make of each. Whatever is not plain (a field that is not listed here, one that is there twice, text that is
// not UTF-8, a value that mapping.go would refuse) is left to mapping.go, which alone says what records mean.

// The fields of tollgate.rules.v1 that plain records have.
const (
	recordCustomer   = 8
	recordLicense    = 9
	recordCredential = 10
)

// plain puts an encoded record into b, if it is one; false: nothing was done.
func (z *zones) plain(b *decision.Batch, record string) bool {
	w := wire(record)
	number, kind, ok := w.tag()
	if !ok || kind != wireBytes {
		return false
	}
	value, ok := w.bytes()
	if !ok || w != "" {
		return false
	}
	switch number {
	case recordCustomer:
		return z.plainCustomer(b, value)
	case recordLicense:
		return plainLicense(b, value)
	case recordCredential:
		return plainCredential(b, value)
	}
	return false
}

func (z *zones) plainCustomer(b *decision.Batch, w wire) bool {
	var c decision.Customer
	var zone string
	c.Zone = time.UTC
	f := fieldsOf(w)
	for f.next() {
		switch f.number {
		case 1:
			c.ID = f.text()
		case 2:
			c.ExternalID = f.text()
		case 3:
			zone = f.text()
		default:
			return false
		}
	}
	if zone != "" {
		if c.Zone = z.known(zone); c.Zone == nil {
			return false
		}
	}
	if f.bad {
		return false
	}
	b.SetCustomer(&c)
	return true
}

func plainLicense(b *decision.Batch, w wire) bool {
	var l decision.License
	f := fieldsOf(w)
	for f.next() {
		switch f.number {
		case 1:
			l.ID = f.text()
		case 2:
			l.Customer = f.text()
		case 3:
			l.Plan = f.text()
		case 4:
			l.PlanVersion = uint32(f.varint())
		case 5:
			l.Status = statuses[rulesv1.LicenseStatus(f.varint())]
		case 6:
			l.StartsAt = f.instant()
		case 7:
			l.EndsAt = f.instant()
		case 8:
			l.Anchor = f.instant()
		case 9:
			l.CounterGeneration = f.varint()
		case 12:
			l.PastDue = f.varint() != 0
		case 13:
			l.GraceUntil = f.instant()
		case 14:
			l.CancelsAt = f.instant()
		default:
			return false
		}
	}
	if f.bad || l.Status == 0 {
		return false
	}
	if l.Anchor.IsZero() {
		l.Anchor = l.StartsAt
	}
	b.SetLicense(&l)
	return true
}

func plainCredential(b *decision.Batch, w wire) bool {
	var c decision.Credential
	hashed := 0
	f := fieldsOf(w)
	for f.next() {
		switch f.number {
		case 1:
			c.ID = f.text()
		case 2:
			c.License = f.text()
		case 3:
			hash := f.bytes()
			copy(c.Hash[:], hash)
			hashed = len(hash)
		case 4:
			c.ExpiresAt = f.instant()
		case 5:
			c.Revoked = f.varint() != 0
		case 6:
			c.Imported = f.varint() != 0
		default:
			return false
		}
	}
	if f.bad || hashed != len(c.Hash) {
		return false
	}
	b.SetCredential(&c)
	return true
}

// wire is encoded protobuf.
type wire string

const (
	wireVarint = 0
	wireBytes  = 2
)

// varint reads one of at most nine bytes, so of 63 bits.
func (w *wire) varint() (v uint64, ok bool) {
	for i := 0; i < len(*w) && i < 9; i++ {
		c := (*w)[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			*w = (*w)[i+1:]
			return v, true
		}
	}
	return 0, false
}

func (w *wire) tag() (number, kind uint64, ok bool) {
	v, ok := w.varint()
	return v >> 3, v & 7, ok
}

func (w *wire) bytes() (wire, bool) {
	n, ok := w.varint()
	if !ok || n > uint64(len(*w)) {
		return "", false
	}
	v := (*w)[:n]
	*w = (*w)[n:]
	return v, true
}

// plainFields reads a message's fields. bad: it is not plain.
type plainFields struct {
	rest   wire
	number uint64
	kind   uint64
	seen   uint64
	bad    bool
}

func fieldsOf(w wire) plainFields { return plainFields{rest: w} }

func (f *plainFields) next() bool {
	if f.bad || f.rest == "" {
		return false
	}
	var ok bool
	if f.number, f.kind, ok = f.rest.tag(); !ok || f.number >= 64 || f.seen&(1<<f.number) != 0 {
		f.bad = true
		return false
	}
	f.seen |= 1 << f.number
	return true
}

func (f *plainFields) varint() uint64 {
	v, ok := f.rest.varint()
	if !ok || f.kind != wireVarint {
		f.bad = true
	}
	return v
}

func (f *plainFields) bytes() wire {
	v, ok := f.rest.bytes()
	if !ok || f.kind != wireBytes {
		f.bad = true
	}
	return v
}

func (f *plainFields) text() string {
	v := string(f.bytes())
	f.bad = f.bad || !utf8.ValidString(v)
	return v
}

// instant reads a google.protobuf.Timestamp.
func (f *plainFields) instant() time.Time {
	in := fieldsOf(f.bytes())
	var seconds, nanos uint64
	for in.next() {
		switch in.number {
		case 1:
			seconds = in.varint()
		case 2:
			nanos = in.varint()
		default:
			in.bad = true
		}
	}
	f.bad = f.bad || in.bad || nanos >= 1e9
	return time.Unix(int64(seconds), int64(nanos)).UTC()
}
