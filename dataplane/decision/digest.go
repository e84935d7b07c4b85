package decision

import (
	"encoding/binary"
	"math/bits"
)

// Digest stands for one record in a state's sum: the first 16 bytes of a hash over what was sent of it. The zero digest adds nothing.
type Digest [16]byte

// sum is the sum of digests as little-endian integers, modulo 2^128. It does not depend on their order, so what is left of a history is
// summed like records that were never changed.
type sum struct{ lo, hi uint64 }

func sumOf(d Digest) sum {
	return sum{binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:])}
}

func (s *sum) add(d Digest) {
	o := sumOf(d)
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi, _ = bits.Add64(s.hi, o.hi, carry)
}

func (s *sum) subtract(d Digest) {
	o := sumOf(d)
	var borrow uint64
	s.lo, borrow = bits.Sub64(s.lo, o.lo, 0)
	s.hi, _ = bits.Sub64(s.hi, o.hi, borrow)
}

func (s sum) bytes() (d Digest) {
	binary.LittleEndian.PutUint64(d[:8], s.lo)
	binary.LittleEndian.PutUint64(d[8:], s.hi)
	return d
}
