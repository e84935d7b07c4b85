package envelope_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// issuer is certified by the fleet's root; change may alter its certificate before it is signed.
func (f *fleet) issuer(t testing.TB, change func(*envelope.Certified)) (ed25519.PrivateKey, []byte) {
	t.Helper()
	key := newKey(t)
	c := envelope.Certified{
		Fleet: "fleet", Usage: envelope.UsageIssuer, Subject: "cp-1", PublicKey: public(key),
		NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(2 * time.Hour),
	}
	if change != nil {
		change(&c)
	}
	certificate, err := envelope.IssueCertificate(f.root, c)
	if err != nil {
		t.Fatal(err)
	}
	f.admit(t, c)
	return key, certificate
}

func nodeCertified(key ed25519.PrivateKey) envelope.Certified {
	return envelope.Certified{
		Fleet: "fleet", Usage: envelope.UsageNode, Subject: "node-1", PublicKey: public(key),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
}

// forge signs a certificate without any of Certify's checks, as somebody with a stolen issuer key would.
func forge(t testing.TB, by ed25519.PrivateKey, issuer []byte, c envelope.Certified) []byte {
	t.Helper()
	payload, err := proto.Marshal(&rulesv1.Certificate{
		Fleet: c.Fleet, Usage: c.Usage, Subject: c.Subject, PublicKey: c.PublicKey,
		NotBefore: timestamppb.New(c.NotBefore), NotAfter: timestamppb.New(c.NotAfter),
	})
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, envelope.NewSigner(by, issuer), envelope.KindCertificate, string(payload))
}

func TestIssuer_CertifiesANode(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	key, certificate := f.issuer(t, nil)
	node := newKey(t)
	issued, err := envelope.NewIssuer(key, certificate).Certify(nodeCertified(node))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := envelope.OpenCertificate(public(f.root), issued); err != nil || c.Subject != "node-1" || !c.PublicKey.Equal(public(node)) {
		t.Fatalf("opened %+v, %v", c, err)
	}
	raw := sign(t, envelope.NewSigner(node, issued), envelope.KindSegment, "payload")
	for range 2 { // The second time, the certificate is known.
		opened, err := f.verifier.Open(envelope.KindSegment, raw, now)
		if err != nil || string(opened.Payload) != "payload" || opened.Signer.Subject != "node-1" {
			t.Fatalf("opened %+v, %v", opened, err)
		}
	}
	if _, err := f.verifier.Open(envelope.KindSegment, raw, now.Add(time.Hour)); !errors.Is(err, envelope.ErrSignature) {
		t.Errorf("opened after the node's certificate expired: %v", err)
	}
}

// What an issuer may not do is refused twice: where it is asked, and by whoever reads what its stolen key has signed.
func TestIssuer_CertifiesNothingElse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		issuer func(*envelope.Certified)
		node   func(*envelope.Certified)
		want   error
	}{
		{"a rules key", nil, func(c *envelope.Certified) { c.Usage = envelope.UsageRules }, envelope.ErrSignature},
		{"a receipts key", nil, func(c *envelope.Certified) { c.Usage = envelope.UsageReceipts }, envelope.ErrSignature},
		{"another issuer", nil, func(c *envelope.Certified) { c.Usage = envelope.UsageIssuer }, envelope.ErrSignature},
		{"a key for nothing", nil, func(c *envelope.Certified) { c.Usage = 0 }, envelope.ErrSignature},
		{"a node that outlives it", nil, func(c *envelope.Certified) { c.NotAfter = now.Add(2*time.Hour + 1) }, envelope.ErrSignature},
		{"a node from before it", nil, func(c *envelope.Certified) { c.NotBefore = now.Add(-2*time.Hour - 1) }, envelope.ErrSignature},
		{"a node of another fleet", nil, func(c *envelope.Certified) { c.Fleet = "other" }, envelope.ErrFleet},
		{"after it expired", func(c *envelope.Certified) { c.NotAfter = now }, nil, envelope.ErrSignature},
		{"before it is valid", func(c *envelope.Certified) { c.NotBefore = now.Add(1) }, nil, envelope.ErrSignature},
		{"as an issuer of another fleet", func(c *envelope.Certified) { c.Fleet = "other" }, nil, envelope.ErrFleet},
		{"as an issuer of another fleet, for that", func(c *envelope.Certified) { c.Fleet = "other" },
			func(c *envelope.Certified) { c.Fleet = "other" }, envelope.ErrFleet},
		{"as a rules key", func(c *envelope.Certified) { c.Usage = envelope.UsageRules }, nil, envelope.ErrSignature},
		{"as a node", func(c *envelope.Certified) { c.Usage = envelope.UsageNode }, nil, envelope.ErrSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			key, certificate := f.issuer(t, tt.issuer)
			node := newKey(t)
			c := nodeCertified(node)
			if tt.node != nil {
				tt.node(&c)
			}
			both := c.Fleet == "other" && tt.issuer != nil // It does no harm but to its own fleet.
			if _, err := envelope.NewIssuer(key, certificate).Certify(c); !both && !errors.Is(err, tt.want) {
				t.Errorf("certified: %v, want %v", err, tt.want)
			}
			kind := envelope.KindSegment
			switch c.Usage {
			case envelope.UsageRules:
				kind = envelope.KindEnvelope
			case envelope.UsageReceipts:
				kind = envelope.KindReceipt
			}
			if c.Usage != envelope.UsageNode {
				f.admit(t, c) // Being in the set is not enough.
			}
			raw := sign(t, envelope.NewSigner(node, forge(t, key, certificate, c)), kind, "payload")
			for range 2 {
				if _, err := f.verifier.Open(kind, raw, now); !errors.Is(err, tt.want) {
					t.Errorf("opened: %v, want %v", err, tt.want)
				}
			}
		})
	}
}

func TestIssuer_ChainsEndAtTheRoot(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	key, certificate := f.issuer(t, nil)
	otherKey, otherCertificate := other.issuer(t, nil)
	second := newKey(t)
	secondCertified := envelope.Certified{
		Fleet: "fleet", Usage: envelope.UsageIssuer, Subject: "cp-2", PublicKey: public(second),
		NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(2 * time.Hour),
	}
	node := newKey(t)
	for _, tt := range []struct {
		name        string
		certificate []byte
	}{
		{"of another root's issuer", forge(t, otherKey, otherCertificate, nodeCertified(node))},
		{"of an issuer that an issuer certified", forge(t, second, forge(t, key, certificate, secondCertified), nodeCertified(node))},
		{"of a key that claims an issuer's certificate", forge(t, otherKey, certificate, nodeCertified(node))},
		{"of an issuer that hides itself", forge(t, key, nil, nodeCertified(node))},
		{"of a node for itself", forge(t, node, nil, nodeCertified(node))},
	} {
		raw := sign(t, envelope.NewSigner(node, tt.certificate), envelope.KindSegment, "payload")
		if _, err := f.verifier.Open(envelope.KindSegment, raw, now); !errors.Is(err, envelope.ErrSignature) {
			t.Errorf("a certificate %s: %v", tt.name, err)
		}
	}
}

// A flipped bit may leave the issuer's own certificate, which the root did sign, and which is of no use to a node's key. Nothing else opens.
func TestIssuer_AFlippedBitMakesNoOtherCertificate(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	key, certificate := f.issuer(t, nil)
	node := newKey(t)
	issued, err := envelope.NewIssuer(key, certificate).Certify(nodeCertified(node))
	if err != nil {
		t.Fatal(err)
	}
	for i := range issued {
		for bit := range 8 {
			bad := bytes.Clone(issued)
			bad[i] ^= 1 << bit
			if c, err := envelope.OpenCertificate(public(f.root), bad); err == nil && !c.PublicKey.Equal(public(key)) {
				t.Fatalf("opened %+v with bit %d of byte %d of %d flipped", c, bit, i, len(issued))
			}
		}
	}
}
