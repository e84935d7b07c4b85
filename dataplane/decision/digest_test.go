package decision_test

import (
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"tollgate/dataplane/decision"
)

func number(d decision.Digest) *big.Int {
	b := slices.Clone(d[:])
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func TestDigest_IsHalfOfSHA256(t *testing.T) {
	t.Parallel()
	// FIPS 180-2, appendix B.1.
	if got := decision.DigestOf([]byte("abc")); hex.EncodeToString(got[:]) != "ba7816bf8f01cfea414140de5dae2223" {
		t.Errorf("digest %x", got)
	}
}

func TestDigest_AddsModulo128Bits(t *testing.T) {
	t.Parallel()
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	all := []decision.Digest{{}, {1}, {255, 255, 255, 255, 255, 255, 255, 255}, {15: 255}}
	var most decision.Digest
	for i := range most {
		most[i] = 255
	}
	all = append(all, most)
	for range 40 {
		all = append(all, decision.DigestOf([]byte{byte(rand.N(256)), byte(rand.N(256))}))
	}
	for _, a := range all {
		for _, b := range all {
			want := new(big.Int).Add(number(a), number(b))
			if got := a.Plus(b); number(got).Cmp(want.Mod(want, modulus)) != 0 {
				t.Fatalf("%x + %x = %x", a, b, got)
			}
			if got := a.Plus(b).Minus(b); got != a {
				t.Fatalf("%x + %x - %x = %x", a, b, b, got)
			}
		}
	}
}
