package decision

import (
	"encoding/binary"
	"hash/maphash"
)

// ident is an id as tables compare it. One that Tollgate made, a known prefix and a ULID, is 16 bytes and the prefix's place; any
// other is its text. Each id has one form only, so idents can be compared.
type ident struct {
	text   string
	hi, lo uint64
	prefix uint8 // 1 + its place in idPrefixes; 0: text.
}

// idPrefixes are of one length. New ones go to the end.
var idPrefixes = [...]string{"lic_", "cus_", "key_"}

const (
	prefixLen = 4
	ulidLen   = 26
	crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	notDigit  = 0xFF
)

// crockfordDigits are the values of Crockford's base 32, in the one spelling that ids are written in.
var crockfordDigits = func() (t [256]byte) {
	for i := range t {
		t[i] = notDigit
	}
	for i := range len(crockford) {
		t[crockford[i]] = byte(i)
	}
	return t
}()

func identOf(text string) ident {
	if len(text) != prefixLen+ulidLen {
		return ident{text: text}
	}
	for i, p := range idPrefixes {
		if text[:prefixLen] != p {
			continue
		}
		// 26 digits are 130 bits: the first one has two too many.
		if text[prefixLen] > '7' {
			break
		}
		id := ident{prefix: uint8(i + 1)}
		for _, c := range []byte(text[prefixLen:]) {
			v := crockfordDigits[c]
			if v == notDigit {
				return ident{text: text}
			}
			id.hi, id.lo = id.hi<<5|id.lo>>59, id.lo<<5|uint64(v)
		}
		return id
	}
	return ident{text: text}
}

// String is the id's text.
func (id ident) String() string {
	if id.prefix == 0 {
		return id.text
	}
	var b [prefixLen + ulidLen]byte
	copy(b[:], idPrefixes[id.prefix-1])
	hi, lo := id.hi, id.lo
	for i := len(b) - 1; i >= prefixLen; i-- {
		b[i] = crockford[lo&31]
		hi, lo = hi>>5, lo>>5|hi<<59
	}
	return string(b[:])
}

// seed keeps whoever can choose ids from choosing ones that meet in one page.
var seed = maphash.MakeSeed()

// hash is where the id's record is in a table.
func (id ident) hash() uint32 {
	if id.prefix == 0 {
		return uint32(maphash.String(seed, id.text) >> 32)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], id.hi)
	binary.BigEndian.PutUint64(b[8:], id.lo)
	return hashOf(b[:])
}

func hashOf(b []byte) uint32 { return uint32(maphash.Bytes(seed, b) >> 32) }
