package envelope

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// IssueCertificate signs c with the fleet's root key. The result goes into a Signer or an Issuer.
func IssueCertificate(root ed25519.PrivateKey, c Certified) ([]byte, error) {
	return issue(root, c, nil)
}

func issue(key ed25519.PrivateKey, c Certified, by []byte) ([]byte, error) {
	payload, err := proto.Marshal(&rulesv1.Certificate{
		Fleet: c.Fleet, Usage: c.Usage, Subject: c.Subject, PublicKey: c.PublicKey,
		NotBefore: timestamppb.New(c.NotBefore), NotAfter: timestamppb.New(c.NotAfter),
	})
	if err != nil {
		return nil, fmt.Errorf("encode certificate: %w", err)
	}
	return seal(KindCertificate, key, payload, by)
}

// Issuer certifies nodes with an online key that the root has certified for that. Safe for concurrent use.
type Issuer struct {
	key         ed25519.PrivateKey
	certificate []byte
}

// NewIssuer pairs a key with its certificate, which IssueCertificate returned for UsageIssuer.
func NewIssuer(key ed25519.PrivateKey, certificate []byte) *Issuer {
	return &Issuer{key: key, certificate: certificate}
}

// Certify signs c, which must be a node's, of the issuer's fleet, and valid at no time at which the issuer is not. The result
// carries the issuer's own certificate. Its errors wrap ErrMalformed, ErrSignature or ErrFleet: what a reader would say of it.
func (i *Issuer) Certify(c Certified) ([]byte, error) {
	by, err := i.Limits()
	if err != nil {
		return nil, err
	}
	if err := mayIssue(by, c); err != nil {
		return nil, err
	}
	return issue(i.key, c, i.certificate)
}

// Limits are what the issuer's own certificate says: no certificate of its may begin before NotBefore or end after NotAfter.
func (i *Issuer) Limits() (Certified, error) {
	return NewSigner(i.key, i.certificate).Certified()
}

// mayIssue says whether a key certified as by may certify c. A certificate within its issuer's dates needs no second look at
// them: it ends no later.
func mayIssue(by, c Certified) error {
	switch {
	case by.Usage != UsageIssuer:
		return fmt.Errorf("%w: a key for %s cannot certify", ErrSignature, by.Usage)
	case c.Usage != UsageNode:
		return fmt.Errorf("%w: an issuer cannot certify a key for %s", ErrSignature, c.Usage)
	case c.Fleet != by.Fleet:
		return fmt.Errorf("%w: an issuer of fleet %q cannot certify for %q", ErrFleet, by.Fleet, c.Fleet)
	case c.NotBefore.Before(by.NotBefore) || c.NotAfter.After(by.NotAfter):
		return fmt.Errorf("%w: valid from %s to %s, beyond its issuer's %s to %s", ErrSignature,
			c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), by.NotBefore.Format(time.RFC3339), by.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// OpenCertificate verifies a certificate against the root and returns its content. It
// does not look at the dates, but at those of a node's certificate beside its issuer's. Its errors wrap ErrMalformed, ErrSignature or ErrFleet.
func OpenCertificate(root ed25519.PublicKey, raw []byte) (Certified, error) {
	c, err := openChain(root, raw)
	return c.Certified, err
}

// chain is a certificate, and the one of the issuer that signed it where the root did not.
type chain struct {
	Certified
	issuer *Certified
}

func openChain(root ed25519.PublicKey, raw []byte) (chain, error) {
	m, err := unmarshalSigned(raw)
	if err != nil {
		return chain{}, err
	}
	if len(m.GetCertificate()) == 0 {
		c, err := openOne(root, m)
		return chain{Certified: c}, err
	}
	by, err := unmarshalSigned(m.GetCertificate())
	if err != nil {
		return chain{}, err
	}
	// Signed by the root itself: a chain has one issuer.
	issuer, err := openOne(root, by)
	if err != nil {
		return chain{}, fmt.Errorf("issuer: %w", err)
	}
	c, err := openOne(issuer.PublicKey, m)
	if err != nil {
		return chain{}, err
	}
	if err := mayIssue(issuer, c); err != nil {
		return chain{}, fmt.Errorf("certificate: %w", err)
	}
	return chain{Certified: c, issuer: &issuer}, nil
}

func openOne(by ed25519.PublicKey, m *rulesv1.Signed) (Certified, error) {
	if !ed25519.Verify(by, signedBytes(KindCertificate, m.GetPayload()), m.GetSignature()) {
		return Certified{}, fmt.Errorf("certificate: %w", ErrSignature)
	}
	return content(m)
}

func unmarshalSigned(raw []byte) (*rulesv1.Signed, error) {
	m := &rulesv1.Signed{}
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrMalformed, err)
	}
	return m, nil
}

// content is what a certificate says, verified or not.
func content(m *rulesv1.Signed) (Certified, error) {
	var c rulesv1.Certificate
	if err := proto.Unmarshal(m.GetPayload(), &c); err != nil {
		return Certified{}, fmt.Errorf("%w: certificate: %w", ErrMalformed, err)
	}
	if len(c.GetPublicKey()) != ed25519.PublicKeySize {
		return Certified{}, fmt.Errorf("%w: certificate: public key of %d bytes", ErrMalformed, len(c.GetPublicKey()))
	}
	return Certified{
		Fleet: c.GetFleet(), Usage: c.GetUsage(), Subject: c.GetSubject(), PublicKey: c.GetPublicKey(),
		NotBefore: c.GetNotBefore().AsTime(), NotAfter: c.GetNotAfter().AsTime(),
	}, nil
}
