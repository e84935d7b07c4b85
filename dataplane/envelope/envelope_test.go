package envelope_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fleet struct {
	root     ed25519.PrivateKey
	verifier *envelope.Verifier
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func newFleet(t testing.TB) *fleet {
	t.Helper()
	root := newKey(t)
	return &fleet{root: root, verifier: envelope.NewVerifier("fleet", public(root))}
}

// signer has a certificate that change may alter before it is signed.
func (f *fleet) signer(t testing.TB, usage envelope.Usage, change func(*envelope.Certified)) *envelope.Signer {
	t.Helper()
	key := newKey(t)
	c := envelope.Certified{
		Fleet: "fleet", Usage: usage, Subject: "subject", PublicKey: public(key),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	if change != nil {
		change(&c)
	}
	certificate, err := envelope.IssueCertificate(f.root, c)
	if err != nil {
		t.Fatal(err)
	}
	f.admit(t, c)
	return envelope.NewSigner(key, certificate)
}

// admit adds a key to the fleet's set, where it is one that can be in one.
func (f *fleet) admit(t testing.TB, c envelope.Certified) {
	t.Helper()
	if c.Usage != 0 && len(c.PublicKey) == ed25519.PublicKeySize {
		envelopetest.Admit(t, f.verifier, f.root, c)
	}
}

func sign(t testing.TB, s *envelope.Signer, kind envelope.Kind, payload string) []byte {
	t.Helper()
	raw, err := s.Sign(kind, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var usages = map[envelope.Kind]envelope.Usage{
	envelope.KindEnvelope:  envelope.UsageRules,
	envelope.KindSnapshot:  envelope.UsageRules,
	envelope.KindHeartbeat: envelope.UsageRules,
	envelope.KindSegment:   envelope.UsageNode,
	envelope.KindReceipt:   envelope.UsageReceipts,
}

func TestOpen_TakesWhatWasSigned(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	for kind, usage := range usages {
		raw := sign(t, f.signer(t, usage, nil), kind, "payload")
		for range 2 { // The second time, the certificate is known.
			opened, err := f.verifier.Open(kind, raw, now)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if string(opened.Payload) != "payload" || opened.Signer.Subject != "subject" || opened.Signer.Usage != usage {
				t.Errorf("%s: opened %+v", kind, opened)
			}
		}
	}
}

func TestOpen_AMessageOfOneKindIsNoOther(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	for kind, usage := range usages {
		raw := sign(t, f.signer(t, usage, nil), kind, "payload")
		for other := range usages {
			if other == kind {
				continue
			}
			if _, err := f.verifier.Open(other, raw, now); !errors.Is(err, envelope.ErrSignature) {
				t.Errorf("a %s opened as a %s: %v", kind, other, err)
			}
		}
		for _, other := range []envelope.Kind{envelope.KindCertificate, ""} {
			if _, err := f.verifier.Open(other, raw, now); !errors.Is(err, envelope.ErrMalformed) {
				t.Errorf("a %s opened as a %q: %v", kind, other, err)
			}
		}
	}
}

func TestOpen_AKeySignsOnlyWhatItIsFor(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	for kind, usage := range usages {
		for _, other := range []envelope.Usage{envelope.UsageRules, envelope.UsageReceipts, envelope.UsageNode, 0} {
			if other == usage {
				continue
			}
			raw := sign(t, f.signer(t, other, nil), kind, "payload")
			if _, err := f.verifier.Open(kind, raw, now); !errors.Is(err, envelope.ErrSignature) {
				t.Errorf("a %s by a key for %s opened: %v", kind, other, err)
			}
		}
	}
}

func TestOpen_RefusesCertificates(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	key := newKey(t)
	for _, tt := range []struct {
		name   string
		signer *envelope.Signer
		want   error
	}{
		{"of another root", other.signer(t, envelope.UsageRules, nil), envelope.ErrSignature},
		{"of another fleet", f.signer(t, envelope.UsageRules, func(c *envelope.Certified) { c.Fleet = "other" }), envelope.ErrFleet},
		{"expired", f.signer(t, envelope.UsageRules, func(c *envelope.Certified) { c.NotAfter = now }), envelope.ErrSignature},
		{"not valid yet", f.signer(t, envelope.UsageRules, func(c *envelope.Certified) { c.NotBefore = now.Add(1) }), envelope.ErrSignature},
		{"for another key", f.signer(t, envelope.UsageRules, func(c *envelope.Certified) { c.PublicKey = public(key) }), envelope.ErrSignature},
		{"for no key", f.signer(t, envelope.UsageRules, func(c *envelope.Certified) { c.PublicKey = nil }), envelope.ErrMalformed},
		{"missing", envelope.NewSigner(key, nil), envelope.ErrSignature},
		{"nonsense", envelope.NewSigner(key, []byte("nonsense")), envelope.ErrMalformed},
		{"a message of its own key", envelope.NewSigner(key, sign(t, envelope.NewSigner(key, nil), envelope.KindEnvelope, "")), envelope.ErrSignature},
	} {
		for range 2 {
			if _, err := f.verifier.Open(envelope.KindEnvelope, sign(t, tt.signer, envelope.KindEnvelope, "payload"), now); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	}
}

// A certificate is remembered once it verified; its dates are looked at each time.
func TestOpen_CertificateExpiresWhileItIsKnown(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	raw := sign(t, f.signer(t, envelope.UsageRules, nil), envelope.KindEnvelope, "payload")
	if _, err := f.verifier.Open(envelope.KindEnvelope, raw, now); err != nil {
		t.Fatal(err)
	}
	if _, err := f.verifier.Open(envelope.KindEnvelope, raw, now.Add(time.Hour)); !errors.Is(err, envelope.ErrSignature) {
		t.Errorf("opened after the certificate's end: %v", err)
	}
}

func TestOpen_AnyFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	raw := sign(t, f.signer(t, envelope.UsageRules, nil), envelope.KindEnvelope, "some payload")
	for i := range raw {
		for bit := range 8 {
			bad := bytes.Clone(raw)
			bad[i] ^= 1 << bit
			opened, err := f.verifier.Open(envelope.KindEnvelope, bad, now)
			if err == nil {
				t.Fatalf("opened %q with bit %d of byte %d of %d flipped", opened.Payload, bit, i, len(raw))
			}
			if !errors.Is(err, envelope.ErrSignature) && !errors.Is(err, envelope.ErrMalformed) && !errors.Is(err, envelope.ErrFleet) {
				t.Errorf("bit %d of byte %d: an error of no kind: %v", bit, i, err)
			}
		}
	}
	for n := range raw {
		if _, err := f.verifier.Open(envelope.KindEnvelope, raw[:n], now); err == nil {
			t.Errorf("opened %d of %d bytes", n, len(raw))
		}
	}
}

func TestOpen_NeverOpensWhatNobodySigned(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	good := sign(t, f.signer(t, envelope.UsageRules, nil), envelope.KindEnvelope, "payload")
	rapid.Check(t, func(t *rapid.T) {
		// Bytes of a good message, cut and put together anew.
		i, j := rapid.IntRange(0, len(good)).Draw(t, "i"), rapid.IntRange(0, len(good)).Draw(t, "j")
		raw := append(append(bytes.Clone(good[:i]), rapid.SliceOf(rapid.Byte()).Draw(t, "middle")...), good[j:]...)
		opened, err := f.verifier.Open(envelope.KindEnvelope, raw, now)
		if err == nil && string(opened.Payload) != "payload" {
			t.Fatalf("opened %q", opened.Payload)
		}
	})
}

func TestKeyFiles_RoundTrip(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	dir := t.TempDir()
	keyPath, certificatePath := filepath.Join(dir, "key.pem"), filepath.Join(dir, "certificate.pem")
	key := newKey(t)
	certificate, err := envelope.IssueCertificate(f.root, envelope.Certified{
		Fleet: "fleet", Usage: envelope.UsageRules, PublicKey: public(key), NotBefore: now, NotAfter: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.admit(t, envelope.Certified{Fleet: "fleet", Usage: envelope.UsageRules, PublicKey: public(key), NotBefore: now, NotAfter: now.Add(time.Hour)})
	for range 2 { // The second replaces the first.
		if err := errors.Join(envelope.WriteKey(keyPath, key), envelope.WriteCertificate(certificatePath, certificate)); err != nil {
			t.Fatal(err)
		}
	}
	readKey, err := envelope.ReadKey(keyPath)
	if err != nil || !readKey.Equal(key) {
		t.Fatalf("another key was read: %v", err)
	}
	readCertificate, err := envelope.ReadCertificate(certificatePath)
	if err != nil || !bytes.Equal(readCertificate, certificate) {
		t.Fatalf("another certificate was read: %v", err)
	}
	raw := sign(t, envelope.NewSigner(readKey, readCertificate), envelope.KindEnvelope, "payload")
	if _, err := f.verifier.Open(envelope.KindEnvelope, raw, now); err != nil {
		t.Error(err)
	}
	for path, mode := range map[string]os.FileMode{keyPath: 0o600, certificatePath: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestKeyFiles_RefuseWhatTheyDidNotWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keyPath, certificatePath := filepath.Join(dir, "key.pem"), filepath.Join(dir, "certificate.pem")
	if err := errors.Join(envelope.WriteKey(keyPath, newKey(t)), envelope.WriteCertificate(certificatePath, []byte("certificate"))); err != nil {
		t.Fatal(err)
	}
	if _, err := envelope.ReadKey(certificatePath); err == nil {
		t.Error("a certificate was read as a key")
	}
	if _, err := envelope.ReadCertificate(keyPath); err == nil {
		t.Error("a key was read as a certificate")
	}
	if _, err := envelope.ReadKey(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key that is not there: %v", err)
	}
	if err := envelope.WriteKey(filepath.Join(dir, "none", "key.pem"), newKey(t)); err == nil {
		t.Error("a key was stored in a folder that is not there")
	}
}

func TestParseRoot_ReadsWhatEncodeRootWrote(t *testing.T) {
	t.Parallel()
	root := public(newKey(t))
	s := envelope.EncodeRoot(root)
	if got, err := envelope.ParseRoot(s); err != nil || !got.Equal(root) {
		t.Errorf("%q: %v", s, err)
	}
	for _, bad := range []string{"", s[1:], s + "A", s + "=", "!" + s[1:], " " + s} {
		if _, err := envelope.ParseRoot(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestSigner_GoesOnWithARenewedCertificate(t *testing.T) {
	t.Parallel()
	root, rootKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	certify := func(until time.Time) []byte {
		c, err := envelope.IssueCertificate(rootKey, envelope.Certified{
			Fleet: "f", Usage: envelope.UsageNode, Subject: "n", PublicKey: public, NotBefore: now.Add(-time.Hour), NotAfter: until,
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := envelope.NewSigner(key, certify(now.Add(time.Hour)))
	s.Renew(certify(now.Add(3 * time.Hour)))
	c, err := s.Certified()
	if err != nil || c.NotAfter.Before(now.Add(2*time.Hour)) {
		t.Errorf("until %s, %v", c.NotAfter, err)
	}
	raw, err := s.Sign(envelope.KindSegment, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	m := &rulesv1.Signed{}
	if err := proto.Unmarshal(raw, m); err != nil {
		t.Fatal(err)
	}
	if c, err := envelope.OpenCertificate(root, m.GetCertificate()); err != nil || c.NotAfter.Before(now.Add(2*time.Hour)) {
		t.Errorf("signs with a certificate until %s, %v", c.NotAfter, err)
	}
}
