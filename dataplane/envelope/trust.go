package envelope

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// KeySet is a root's word which online keys count.
type KeySet struct {
	Fleet     string
	Version   uint64 // From 1; it only rises.
	CreatedAt time.Time
	// Keys are of UsageRules, UsageReceipts and UsageIssuer, each there once.
	Keys []Certified
	// FormerRoots are the roots before the one that signs the set, oldest first.
	FormerRoots []FormerRoot
}

// FormerRoot is a root that another has taken the place of.
type FormerRoot struct {
	PublicKey ed25519.PublicKey
	// Nodes: the certificates of nodes that it signed itself still count.
	Nodes bool
}

// Key is the key of the set with that public key.
func (s *KeySet) Key(public ed25519.PublicKey) (Certified, bool) {
	i := slices.IndexFunc(s.Keys, func(c Certified) bool { return c.PublicKey.Equal(public) })
	if i < 0 {
		return Certified{}, false
	}
	return s.Keys[i], true
}

// KeyID is a short name of a public key, for people.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return "key_" + hex.EncodeToString(sum[:8])
}

// Trust is a key set that verified, with the roots that lead to the one that signed it. Immutable.
type Trust struct {
	raw []byte
	// signed are the key set's bytes in it.
	signed      []byte
	transitions [][]byte
	// roots are all of the fleet's, oldest first: the last one signed the set.
	roots []ed25519.PublicKey
	set   KeySet
	keys  map[string]Certified
}

// Raw is the encoded rules.v1.Trust, as it came.
func (t *Trust) Raw() []byte { return t.raw }

// KeySet is the set. It must not be changed.
func (t *Trust) KeySet() KeySet { return t.set }

// Root is the root that signed the set.
func (t *Trust) Root() ed25519.PublicKey { return t.roots[len(t.roots)-1] }

// Transitions are what led to Root, as SignTrust takes them.
func (t *Trust) Transitions() [][]byte { return slices.Clone(t.transitions) }

// SignTransition makes another key the root of a fleet. Both sign.
func SignTransition(fleet string, from, to ed25519.PrivateKey, at time.Time) ([]byte, error) {
	payload, err := proto.Marshal(&rulesv1.RootTransition{
		Fleet: fleet, OldRoot: from.Public().(ed25519.PublicKey), NewRoot: to.Public().(ed25519.PublicKey), CreatedAt: timestamppb.New(at),
	})
	if err != nil {
		return nil, fmt.Errorf("encode a root transition: %w", err)
	}
	signed := signedBytes(KindRootTransition, payload)
	raw, err := proto.Marshal(&rulesv1.SignedTransition{
		Payload: payload, OldSignature: ed25519.Sign(from, signed), NewSignature: ed25519.Sign(to, signed),
	})
	if err != nil {
		return nil, fmt.Errorf("encode a root transition: %w", err)
	}
	return raw, nil
}

// SignTrust signs a set by the newest root, behind the transitions that led to that. What it returns opens: a set that would not is an
// error here.
func SignTrust(root ed25519.PrivateKey, set KeySet, transitions [][]byte) ([]byte, error) {
	m := &rulesv1.KeySet{Fleet: set.Fleet, Version: set.Version, CreatedAt: timestamppb.New(set.CreatedAt)}
	for _, k := range set.Keys {
		m.Keys = append(m.Keys, &rulesv1.TrustedKey{
			Usage: k.Usage, Subject: k.Subject, PublicKey: k.PublicKey,
			NotBefore: timestamppb.New(k.NotBefore), NotAfter: timestamppb.New(k.NotAfter),
		})
	}
	for _, r := range set.FormerRoots {
		m.FormerRoots = append(m.FormerRoots, &rulesv1.FormerRoot{PublicKey: r.PublicKey, Nodes: r.Nodes})
	}
	payload, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a key set: %w", err)
	}
	trust := &rulesv1.Trust{}
	if trust.KeySet, err = seal(KindKeySet, root, payload, nil); err != nil {
		return nil, err
	}
	for _, raw := range transitions {
		t := &rulesv1.SignedTransition{}
		if err := proto.Unmarshal(raw, t); err != nil {
			return nil, fmt.Errorf("%w: root transition: %w", ErrMalformed, err)
		}
		trust.Transitions = append(trust.Transitions, t)
	}
	raw, err := proto.Marshal(trust)
	if err != nil {
		return nil, fmt.Errorf("encode a key set: %w", err)
	}
	if _, err := OpenTrust(set.Fleet, root.Public().(ed25519.PublicKey), raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// maxTransitions bounds the work that a message can ask for before anything in it has verified.
const maxTransitions = 256

// OpenTrust verifies an encoded rules.v1.Trust by any one of the fleet's roots. Its errors wrap ErrMalformed, ErrSignature or ErrFleet.
func OpenTrust(fleet string, pinned ed25519.PublicKey, raw []byte) (*Trust, error) {
	var m rulesv1.Trust
	if err := proto.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: trust: %w", ErrMalformed, err)
	}
	t := &Trust{raw: bytes.Clone(raw), signed: m.GetKeySet()}
	if len(m.GetTransitions()) > maxTransitions {
		return nil, fmt.Errorf("%w: trust: %d root transitions", ErrMalformed, len(m.GetTransitions()))
	}
	for _, s := range m.GetTransitions() {
		if err := t.addTransition(fleet, s); err != nil {
			return nil, err
		}
	}
	if len(t.roots) == 0 {
		t.roots = []ed25519.PublicKey{pinned}
	}
	// Each root has signed for the next and for the one before: one that is known vouches for all.
	if !slices.ContainsFunc(t.roots, func(r ed25519.PublicKey) bool { return r.Equal(pinned) }) {
		return nil, fmt.Errorf("%w: no root transition leads from or to the trusted root", ErrSignature)
	}
	if err := t.openSet(fleet); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Trust) addTransition(fleet string, s *rulesv1.SignedTransition) error {
	var m rulesv1.RootTransition
	if err := proto.Unmarshal(s.GetPayload(), &m); err != nil {
		return fmt.Errorf("%w: root transition: %w", ErrMalformed, err)
	}
	from, to := ed25519.PublicKey(m.GetOldRoot()), ed25519.PublicKey(m.GetNewRoot())
	if len(from) != ed25519.PublicKeySize || len(to) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: root transition: public keys of %d and %d bytes", ErrMalformed, len(from), len(to))
	}
	signed := signedBytes(KindRootTransition, s.GetPayload())
	if !ed25519.Verify(from, signed, s.GetOldSignature()) || !ed25519.Verify(to, signed, s.GetNewSignature()) {
		return fmt.Errorf("root transition: %w", ErrSignature)
	}
	if m.GetFleet() != fleet {
		return fmt.Errorf("%w: a root transition of fleet %q", ErrFleet, m.GetFleet())
	}
	if len(t.roots) == 0 {
		t.roots = append(t.roots, from)
	}
	switch {
	case !from.Equal(t.Root()):
		return fmt.Errorf("%w: root transitions do not follow on each other", ErrMalformed)
	case slices.ContainsFunc(t.roots, func(r ed25519.PublicKey) bool { return r.Equal(to) }):
		return fmt.Errorf("%w: a root comes twice", ErrMalformed)
	}
	raw, err := proto.Marshal(s)
	if err != nil {
		return fmt.Errorf("%w: root transition: %w", ErrMalformed, err)
	}
	t.roots, t.transitions = append(t.roots, to), append(t.transitions, raw)
	return nil
}

// openSet verifies the set by the newest root.
func (t *Trust) openSet(fleet string) error {
	signed, err := unmarshalSigned(t.signed)
	if err != nil {
		return err
	}
	if !ed25519.Verify(t.Root(), signedBytes(KindKeySet, signed.GetPayload()), signed.GetSignature()) {
		return fmt.Errorf("key set: %w", ErrSignature)
	}
	var m rulesv1.KeySet
	if err := proto.Unmarshal(signed.GetPayload(), &m); err != nil {
		return fmt.Errorf("%w: key set: %w", ErrMalformed, err)
	}
	switch {
	case m.GetFleet() != fleet:
		return fmt.Errorf("%w: a key set of fleet %q", ErrFleet, m.GetFleet())
	case m.GetVersion() == 0:
		return fmt.Errorf("%w: a key set without a version", ErrMalformed)
	}
	t.set = KeySet{Fleet: fleet, Version: m.GetVersion(), CreatedAt: m.GetCreatedAt().AsTime()}
	t.keys = map[string]Certified{}
	for _, k := range m.GetKeys() {
		c := Certified{
			Fleet: fleet, Usage: k.GetUsage(), Subject: k.GetSubject(), PublicKey: k.GetPublicKey(),
			NotBefore: k.GetNotBefore().AsTime(), NotAfter: k.GetNotAfter().AsTime(),
		}
		if len(c.PublicKey) != ed25519.PublicKeySize || !slices.Contains([]Usage{UsageRules, UsageReceipts, UsageIssuer}, c.Usage) {
			return fmt.Errorf("%w: key set: a public key of %d bytes for %s", ErrMalformed, len(c.PublicKey), c.Usage)
		}
		if _, twice := t.keys[string(c.PublicKey)]; twice {
			return fmt.Errorf("%w: key set: %s comes twice", ErrMalformed, KeyID(c.PublicKey))
		}
		t.keys[string(c.PublicKey)] = c
		t.set.Keys = append(t.set.Keys, c)
	}
	for _, r := range m.GetFormerRoots() {
		t.set.FormerRoots = append(t.set.FormerRoots, FormerRoot{PublicKey: r.GetPublicKey(), Nodes: r.GetNodes()})
	}
	// Whoever takes a transition away shows another set of roots than the one that was signed.
	if !slices.EqualFunc(t.set.FormerRoots, t.roots[:len(t.roots)-1], func(f FormerRoot, r ed25519.PublicKey) bool { return f.PublicKey.Equal(r) }) {
		return fmt.Errorf("%w: key set: the root transitions are not those of its former roots", ErrMalformed)
	}
	return nil
}

// Succeeds says whether t may take the place of what is held, or is it. What does not verify holds nothing back.
func (t *Trust) Succeeds(fleet string, pinned ed25519.PublicKey, held []byte) error {
	now, err := OpenTrust(fleet, pinned, held)
	if err != nil {
		return nil //nolint:nilerr // It is of a root that nobody trusts any more.
	}
	_, err = t.follows(now)
	return err
}

// follows says whether t may take the place of what is in force. same: it is what is in force.
func (t *Trust) follows(now *Trust) (same bool, err error) {
	switch {
	case bytes.Equal(t.signed, now.signed):
		return true, nil
	case len(t.roots) < len(now.roots):
		return false, fmt.Errorf("%w: it was signed by a former root", ErrSuperseded)
	case !slices.EqualFunc(now.roots, t.roots[:len(now.roots)], func(a, b ed25519.PublicKey) bool { return a.Equal(b) }):
		return false, fmt.Errorf("%w: a root has another successor", ErrConflict)
	case t.set.Version < now.set.Version:
		return false, fmt.Errorf("%w: version %d, and %d is in force", ErrSuperseded, t.set.Version, now.set.Version)
	case t.set.Version == now.set.Version:
		return false, fmt.Errorf("%w: there are two of version %d", ErrConflict, now.set.Version)
	}
	return false, nil
}

// member says whether a key counts at now.
func (t *Trust) member(c Certified, now time.Time) error {
	if t == nil {
		return fmt.Errorf("%w: no key set is known yet", ErrSignature)
	}
	k, ok := t.keys[string(c.PublicKey)]
	switch {
	case !ok || k.Usage != c.Usage:
		return fmt.Errorf("%w: %s for %s is not in key set %d", ErrSignature, KeyID(c.PublicKey), c.Usage, t.set.Version)
	case c.Fleet != t.set.Fleet:
		return fmt.Errorf("%w: %s is of fleet %q", ErrFleet, KeyID(c.PublicKey), c.Fleet)
	}
	return k.valid(now)
}

// nodesOf says whether nodes' certificates that a root signed count.
func (t *Trust) nodesOf(root ed25519.PublicKey) bool {
	return root.Equal(t.Root()) || slices.ContainsFunc(t.set.FormerRoots, func(f FormerRoot) bool { return f.Nodes && f.PublicKey.Equal(root) })
}
