package decision

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Digest is a record's, or the sum of many: a little-endian integer modulo 2^128. Sums do not depend on the order, and what is taken away
// again leaves no trace, so a rule state's can be kept up with each change. It shows mistakes; what shows forgery is the signature.
type Digest [16]byte

// DigestOf is the digest of a record's encoded bytes: the first half of their SHA-256.
func DigestOf(record []byte) Digest {
	sum := sha256.Sum256(record)
	return Digest(sum[:16])
}

func (d Digest) halves() (low, high uint64) {
	return binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:])
}

func joined(low, high uint64) (d Digest) {
	binary.LittleEndian.PutUint64(d[:8], low)
	binary.LittleEndian.PutUint64(d[8:], high)
	return d
}

// Plus is d + o.
func (d Digest) Plus(o Digest) Digest {
	dl, dh := d.halves()
	ol, oh := o.halves()
	low, carry := bits.Add64(dl, ol, 0)
	high, _ := bits.Add64(dh, oh, carry)
	return joined(low, high)
}

// Minus is d - o.
func (d Digest) Minus(o Digest) Digest {
	dl, dh := d.halves()
	ol, oh := o.halves()
	low, borrow := bits.Sub64(dl, ol, 0)
	high, _ := bits.Sub64(dh, oh, borrow)
	return joined(low, high)
}
