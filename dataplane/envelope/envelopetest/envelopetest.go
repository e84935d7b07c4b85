// Package envelopetest does for tests what a fleet's owner does with the offline root.
package envelopetest

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"tollgate/dataplane/envelope"
)

// Admit adds keys to the key set that v holds, or makes its first one. Keys of nodes belong in none, and are left out.
func Admit(t testing.TB, v *envelope.Verifier, root ed25519.PrivateKey, keys ...envelope.Certified) {
	t.Helper()
	Change(t, v, root, func(set *envelope.KeySet) {
		for _, k := range keys {
			if _, there := set.Key(k.PublicKey); k.Usage != envelope.UsageNode && !there {
				set.Keys = append(set.Keys, k)
			}
		}
	})
}

// Revoke takes a key out of the key set that v holds.
func Revoke(t testing.TB, v *envelope.Verifier, root ed25519.PrivateKey, key envelope.Certified) {
	t.Helper()
	Change(t, v, root, func(set *envelope.KeySet) {
		set.Keys = slices.DeleteFunc(set.Keys, func(c envelope.Certified) bool { return c.PublicKey.Equal(key.PublicKey) })
	})
}

// Change signs the next version of the key set that v holds, and has v adopt it.
func Change(t testing.TB, v *envelope.Verifier, root ed25519.PrivateKey, change func(*envelope.KeySet)) {
	t.Helper()
	if _, err := v.Adopt(Sign(t, v, root, change)); err != nil {
		t.Fatal(err)
	}
}

// Sign is the next version of the key set that v holds, changed, as it is sent. v does not have it yet.
func Sign(t testing.TB, v *envelope.Verifier, root ed25519.PrivateKey, change func(*envelope.KeySet)) []byte {
	t.Helper()
	set := envelope.KeySet{Fleet: v.Fleet()}
	var transitions [][]byte
	if now := v.Trust(); now != nil {
		set, transitions = now.KeySet(), now.Transitions()
		set.Keys, set.FormerRoots = slices.Clone(set.Keys), slices.Clone(set.FormerRoots)
	}
	set.Version++
	set.CreatedAt = time.Now()
	change(&set)
	raw, err := envelope.SignTrust(root, set, transitions)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Certified is what a signer's certificate says.
func Certified(t testing.TB, s *envelope.Signer) envelope.Certified {
	t.Helper()
	c, err := s.Certified()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
