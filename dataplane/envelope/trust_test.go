package envelope_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func (f *fleet) opens(t testing.TB, s *envelope.Signer, kind envelope.Kind, want error) {
	t.Helper()
	if _, err := f.verifier.Open(kind, sign(t, s, kind, "payload"), now); !errors.Is(err, want) {
		t.Errorf("a %s: %v, want %v", kind, err, want)
	}
}

// rotateRoot makes a new root, and has the verifier adopt the set that it signs.
func (f *fleet) rotateRoot(t testing.TB, keepNodes bool) {
	t.Helper()
	next := newKey(t)
	if _, err := f.verifier.Adopt(f.succession(t, next, keepNodes, nil)); err != nil {
		t.Fatal(err)
	}
	f.root = next
}

// succession is the set that a next root signs.
func (f *fleet) succession(t testing.TB, next ed25519.PrivateKey, keepNodes bool, change func(*envelope.KeySet)) []byte {
	t.Helper()
	set := envelope.KeySet{Fleet: "fleet"}
	var transitions [][]byte
	if held := f.verifier.Trust(); held != nil {
		set, transitions = held.KeySet(), held.Transitions()
	}
	step, err := envelope.SignTransition("fleet", f.root, next, now)
	if err != nil {
		t.Fatal(err)
	}
	set.Version++
	set.FormerRoots = append(slices.Clone(set.FormerRoots), envelope.FormerRoot{PublicKey: public(f.root), Nodes: keepNodes})
	if change != nil {
		change(&set)
	}
	raw, err := envelope.SignTrust(next, set, append(transitions, step))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestKeySet_OnlyItsKeysCount(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	// Certified, and in no set yet.
	lone := newKey(t)
	c := envelope.Certified{
		Fleet: "fleet", Usage: envelope.UsageRules, PublicKey: public(lone), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	certificate, err := envelope.IssueCertificate(f.root, c)
	if err != nil {
		t.Fatal(err)
	}
	s := envelope.NewSigner(lone, certificate)
	f.opens(t, s, envelope.KindEnvelope, envelope.ErrSignature)
	other := f.signer(t, envelope.UsageRules, nil)
	f.opens(t, s, envelope.KindEnvelope, envelope.ErrSignature)
	f.opens(t, other, envelope.KindEnvelope, nil)

	f.admit(t, c)
	for _, kind := range []envelope.Kind{envelope.KindEnvelope, envelope.KindSnapshot, envelope.KindHeartbeat} {
		f.opens(t, s, kind, nil)
	}
	envelopetest.Revoke(t, f.verifier, f.root, c)
	for _, kind := range []envelope.Kind{envelope.KindEnvelope, envelope.KindSnapshot, envelope.KindHeartbeat} {
		f.opens(t, s, kind, envelope.ErrSignature)
	}
	f.opens(t, other, envelope.KindEnvelope, nil)

	// The set names what a key is for, and until when.
	c.Usage = envelope.UsageReceipts
	f.admit(t, c)
	f.opens(t, s, envelope.KindEnvelope, envelope.ErrSignature)
	envelopetest.Revoke(t, f.verifier, f.root, c)
	c.Usage, c.NotAfter = envelope.UsageRules, now
	f.admit(t, c)
	f.opens(t, s, envelope.KindEnvelope, envelope.ErrSignature)
}

func TestKeySet_ARevokedIssuersNodesDoNotCount(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	key, certificate := f.issuer(t, nil)
	node := newKey(t)
	issued, err := envelope.NewIssuer(key, certificate).Certify(nodeCertified(node))
	if err != nil {
		t.Fatal(err)
	}
	s := envelope.NewSigner(node, issued)
	f.opens(t, s, envelope.KindSegment, nil)
	envelopetest.Revoke(t, f.verifier, f.root, envelope.Certified{PublicKey: public(key)})
	f.opens(t, s, envelope.KindSegment, envelope.ErrSignature)
	f.opens(t, f.signer(t, envelope.UsageNode, nil), envelope.KindSegment, nil)
}

func TestAdopt_TheVersionOnlyRises(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	first := f.signer(t, envelope.UsageRules, nil)
	old := f.verifier.Trust().Raw()
	second := f.signer(t, envelope.UsageRules, nil)
	newest := f.verifier.Trust().Raw()
	envelopetest.Revoke(t, f.verifier, f.root, envelopetest.Certified(t, first))
	for range 2 {
		for _, raw := range [][]byte{old, newest} {
			if adopted, err := f.verifier.Adopt(raw); adopted || !errors.Is(err, envelope.ErrSuperseded) {
				t.Errorf("adopted an older set: %v, %v", adopted, err)
			}
		}
		if adopted, err := f.verifier.Adopt(f.verifier.Trust().Raw()); adopted || err != nil {
			t.Errorf("the set in force: %v, %v", adopted, err)
		}
	}
	f.opens(t, first, envelope.KindEnvelope, envelope.ErrSignature)
	f.opens(t, second, envelope.KindEnvelope, nil)

	// Two sets of one version: the first one stays.
	twin := envelopetest.Sign(t, f.verifier, f.root, func(s *envelope.KeySet) { s.Version--; s.Keys = nil })
	if adopted, err := f.verifier.Adopt(twin); adopted || !errors.Is(err, envelope.ErrConflict) {
		t.Errorf("adopted another set of the same version: %v, %v", adopted, err)
	}
	f.opens(t, second, envelope.KindEnvelope, nil)
}

func TestAdopt_RefusesWhatTheRootDidNotSign(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	f.signer(t, envelope.UsageRules, nil)
	rules := newKey(t)
	rulesCertificate, err := envelope.IssueCertificate(f.root, envelope.Certified{
		Fleet: "fleet", Usage: envelope.UsageRules, PublicKey: public(rules), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	encode := func(m proto.Message) []byte {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	set := encode(&rulesv1.KeySet{Fleet: "fleet", Version: 99})
	by := func(key ed25519.PrivateKey, certificate, payload []byte) []byte {
		return encode(&rulesv1.Trust{KeySet: sign(t, envelope.NewSigner(key, certificate), envelope.KindKeySet, string(payload))})
	}
	pub := []byte(public(newKey(t)))
	for _, tt := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"nothing", nil, envelope.ErrSignature},
		{"nonsense", []byte("nonsense"), envelope.ErrMalformed},
		{"of another root", by(other.root, nil, set), envelope.ErrSignature},
		{"of a rules key", by(rules, rulesCertificate, set), envelope.ErrSignature},
		{"of another kind", encode(&rulesv1.Trust{KeySet: sign(t, envelope.NewSigner(f.root, nil), envelope.KindEnvelope, string(set))}), envelope.ErrSignature},
		{"of another fleet", by(f.root, nil, encode(&rulesv1.KeySet{Fleet: "other", Version: 99})), envelope.ErrFleet},
		{"without a version", by(f.root, nil, encode(&rulesv1.KeySet{Fleet: "fleet"})), envelope.ErrMalformed},
		{"with a node's key", by(f.root, nil, encode(&rulesv1.KeySet{Fleet: "fleet", Version: 99, Keys: []*rulesv1.TrustedKey{
			{Usage: envelope.UsageNode, PublicKey: pub}}})), envelope.ErrMalformed},
		{"with a key for nothing", by(f.root, nil, encode(&rulesv1.KeySet{Fleet: "fleet", Version: 99, Keys: []*rulesv1.TrustedKey{
			{PublicKey: pub}}})), envelope.ErrMalformed},
		{"with a short key", by(f.root, nil, encode(&rulesv1.KeySet{Fleet: "fleet", Version: 99, Keys: []*rulesv1.TrustedKey{
			{Usage: envelope.UsageRules, PublicKey: pub[1:]}}})), envelope.ErrMalformed},
		{"with a key for two things", by(f.root, nil, encode(&rulesv1.KeySet{Fleet: "fleet", Version: 99, Keys: []*rulesv1.TrustedKey{
			{Usage: envelope.UsageRules, PublicKey: pub}, {Usage: envelope.UsageReceipts, PublicKey: pub}}})), envelope.ErrMalformed},
		{"with a former root that nobody shows", by(f.root, nil, encode(&rulesv1.KeySet{Fleet: "fleet", Version: 99,
			FormerRoots: []*rulesv1.FormerRoot{{PublicKey: pub, Nodes: true}}})), envelope.ErrMalformed},
	} {
		before := f.verifier.Version()
		if adopted, err := f.verifier.Adopt(tt.raw); adopted || !errors.Is(err, tt.want) || f.verifier.Version() != before {
			t.Errorf("a set %s: adopted %v, %v, want %v", tt.name, adopted, err, tt.want)
		}
	}
}

func TestAdopt_AnyChangedByteIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.signer(t, envelope.UsageRules, nil)
	f.rotateRoot(t, true)
	f.signer(t, envelope.UsageReceipts, nil)
	good, want := f.verifier.Trust().Raw(), f.verifier.Trust().KeySet()
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if opened, err := envelope.OpenTrust("fleet", public(f.root), bad); err == nil && opened.KeySet().Version != want.Version {
				t.Fatalf("opened %+v with bit %d of byte %d flipped", opened.KeySet(), bit, i)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		i, j := rapid.IntRange(0, len(good)).Draw(t, "i"), rapid.IntRange(0, len(good)).Draw(t, "j")
		raw := append(append(bytes.Clone(good[:i]), rapid.SliceOf(rapid.Byte()).Draw(t, "middle")...), good[j:]...)
		if opened, err := envelope.OpenTrust("fleet", public(f.root), raw); err == nil && len(opened.KeySet().Keys) != len(want.Keys) {
			t.Fatalf("opened %+v", opened.KeySet())
		}
	})
}

func TestRootTransition_KeysAndNodesGoOn(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	first := public(f.root)
	rules, node := f.signer(t, envelope.UsageRules, nil), f.signer(t, envelope.UsageNode, nil)
	issuerKey, issuerCertificate := f.issuer(t, nil)
	joinedKey := newKey(t)
	joinedCertificate, err := envelope.NewIssuer(issuerKey, issuerCertificate).Certify(nodeCertified(joinedKey))
	if err != nil {
		t.Fatal(err)
	}
	joined := envelope.NewSigner(joinedKey, joinedCertificate)
	f.rotateRoot(t, true)
	f.rotateRoot(t, true)
	goesOn := func(v *envelope.Verifier) {
		t.Helper()
		on := &fleet{root: f.root, verifier: v}
		on.opens(t, rules, envelope.KindEnvelope, nil)
		on.opens(t, node, envelope.KindSegment, nil)
		on.opens(t, joined, envelope.KindSegment, nil)
	}
	goesOn(f.verifier)
	f.opens(t, f.signer(t, envelope.UsageRules, nil), envelope.KindEnvelope, nil) // Of the newest root.

	// Whoever knows any one of the roots follows.
	for _, pinned := range []ed25519.PublicKey{first, f.verifier.Trust().KeySet().FormerRoots[1].PublicKey, public(f.root)} {
		v := envelope.NewVerifier("fleet", pinned)
		if adopted, err := v.Adopt(f.verifier.Trust().Raw()); !adopted || err != nil {
			t.Fatalf("adopted %v, %v", adopted, err)
		}
		goesOn(v)
	}
	stranger := envelope.NewVerifier("fleet", public(newKey(t)))
	if _, err := stranger.Adopt(f.verifier.Trust().Raw()); !errors.Is(err, envelope.ErrSignature) {
		t.Errorf("adopted with another root: %v", err)
	}

	// A former root of which nothing is to count any more: its nodes end, what is in the set goes on.
	envelopetest.Change(t, f.verifier, f.root, func(s *envelope.KeySet) { s.FormerRoots[0].Nodes = false })
	f.opens(t, rules, envelope.KindEnvelope, nil)
	f.opens(t, joined, envelope.KindSegment, nil)
	f.opens(t, node, envelope.KindSegment, envelope.ErrSignature)
}

func TestRootTransition_AFormerRootSignsNothingMore(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	stolen := f.root
	held := &fleet{root: stolen, verifier: envelope.NewVerifier("fleet", public(stolen))}
	f.signer(t, envelope.UsageRules, nil)
	if _, err := held.verifier.Adopt(f.verifier.Trust().Raw()); err != nil {
		t.Fatal(err)
	}
	f.rotateRoot(t, true)

	set := envelopetest.Sign(t, held.verifier, stolen, func(s *envelope.KeySet) { s.Version = 99; s.Keys = nil })
	if _, err := f.verifier.Adopt(set); !errors.Is(err, envelope.ErrSuperseded) {
		t.Errorf("adopted a set of the former root: %v", err)
	}
	successor := held.succession(t, newKey(t), true, func(s *envelope.KeySet) { s.Version = 99 })
	if _, err := f.verifier.Adopt(successor); !errors.Is(err, envelope.ErrConflict) {
		t.Errorf("adopted the former root's other successor: %v", err)
	}
	// A key that only the former root has certified is in no set.
	f.opens(t, (&fleet{root: stolen, verifier: held.verifier}).signer(t, envelope.UsageRules, nil), envelope.KindEnvelope, envelope.ErrSignature)
}

func TestRootTransition_NeedsBothRoots(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.signer(t, envelope.UsageRules, nil)
	thief := newKey(t)
	payload, err := proto.Marshal(&rulesv1.RootTransition{Fleet: "fleet", OldRoot: public(f.root), NewRoot: public(thief)})
	if err != nil {
		t.Fatal(err)
	}
	signed := append([]byte("tollgate/root_transition/v1\x00"), payload...)
	set, err := proto.Marshal(&rulesv1.KeySet{Fleet: "fleet", Version: 99, FormerRoots: []*rulesv1.FormerRoot{{PublicKey: public(f.root)}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]ed25519.PrivateKey{"of the new root alone": thief, "of another key": newKey(t)} {
		raw, err := proto.Marshal(&rulesv1.Trust{
			Transitions: []*rulesv1.SignedTransition{{
				Payload: payload, OldSignature: ed25519.Sign(key, signed), NewSignature: ed25519.Sign(thief, signed),
			}},
			KeySet: sign(t, envelope.NewSigner(thief, nil), envelope.KindKeySet, string(set)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.verifier.Adopt(raw); !errors.Is(err, envelope.ErrSignature) {
			t.Errorf("a transition %s: %v", name, err)
		}
	}
}

func TestKeep_ARestartNeverGoesBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	file := envelope.TrustFile(filepath.Join(t.TempDir(), "trust"))
	if err := f.verifier.Keep(file); err != nil {
		t.Fatal(err)
	}
	rules := f.signer(t, envelope.UsageRules, nil)
	old := f.verifier.Trust().Raw()
	envelopetest.Revoke(t, f.verifier, f.root, envelopetest.Certified(t, rules))

	again := &fleet{root: f.root, verifier: envelope.NewVerifier("fleet", public(f.root))}
	if err := again.verifier.Keep(file); err != nil {
		t.Fatal(err)
	}
	if _, err := again.verifier.Adopt(old); !errors.Is(err, envelope.ErrSuperseded) {
		t.Errorf("adopted an older set after a restart: %v", err)
	}
	again.opens(t, rules, envelope.KindEnvelope, envelope.ErrSignature)

	if err := envelope.NewVerifier("fleet", public(newKey(t))).Keep(file); !errors.Is(err, envelope.ErrSignature) {
		t.Errorf("another root's: %v", err)
	}
	if err := os.WriteFile(string(file), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again.verifier.Keep(file); err == nil {
		t.Error("a torn file was read")
	}
}

// fullDisk stores nothing.
type fullDisk struct{}

func (fullDisk) LoadTrust() ([]byte, error) { return nil, nil }
func (fullDisk) StoreTrust([]byte) error    { return os.ErrPermission }

func TestAdopt_ADiskThatFailsStopsNoRevocation(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	rules := f.signer(t, envelope.UsageRules, nil)
	if err := f.verifier.Keep(fullDisk{}); err != nil {
		t.Fatal(err)
	}
	revoked := envelopetest.Sign(t, f.verifier, f.root, func(s *envelope.KeySet) { s.Keys = nil })
	if adopted, err := f.verifier.Adopt(revoked); !adopted || !errors.Is(err, os.ErrPermission) {
		t.Errorf("adopted %v, %v", adopted, err)
	}
	f.opens(t, rules, envelope.KindEnvelope, envelope.ErrSignature)
}
