// Package envelope signs and verifies what Tollgate's processes send each other.
//
// A message is a rules.v1.Signed: payload bytes, an Ed25519 signature (RFC 8032) over
// "tollgate/" + kind + "/v1\x00" + payload, and the certificate of the key that made it. A
// certificate is such a message itself, of kind KindCertificate, signed by the fleet's root, or, for a node's key alone, by an
// issuer that the root has certified. A reader trusts the root's public key and nothing else.
package envelope

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Kind says what a signed payload is. A message of one kind never verifies as another.
type Kind string

// The kinds.
const (
	KindCertificate Kind = "certificate"
	KindEnvelope    Kind = "envelope"
	KindSnapshot    Kind = "snapshot"
	KindHeartbeat   Kind = "heartbeat"
	KindSegment     Kind = "segment"
	KindReceipt     Kind = "receipt"
)

// Usage is what a certified key may sign.
type Usage = rulesv1.Usage

// The usages.
const (
	UsageRules    = rulesv1.Usage_USAGE_RULES
	UsageReceipts = rulesv1.Usage_USAGE_RECEIPTS
	UsageNode     = rulesv1.Usage_USAGE_NODE
	UsageIssuer   = rulesv1.Usage_USAGE_ISSUER
)

// usageOf is the only usage whose keys may sign a kind.
var usageOf = map[Kind]Usage{
	KindEnvelope:  UsageRules,
	KindSnapshot:  UsageRules,
	KindHeartbeat: UsageRules,
	KindSegment:   UsageNode,
	KindReceipt:   UsageReceipts,
}

// What Open refuses. The errors it returns wrap one of these.
var (
	ErrMalformed = errors.New("malformed message")
	ErrSignature = errors.New("signature does not verify")
	ErrFleet     = errors.New("message of another fleet")
)

// Hash is the SHA-256 by which signed payloads are chained.
func Hash(payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return sum[:]
}

// Certified is a certificate's content.
type Certified struct {
	Fleet     string
	Usage     Usage
	Subject   string // The node's name for UsageNode.
	PublicKey ed25519.PublicKey
	NotBefore time.Time
	NotAfter  time.Time
}

// Signer signs with one key. Safe for concurrent use.
type Signer struct {
	key         ed25519.PrivateKey
	certificate []byte
}

// NewSigner pairs a key with its certificate, as IssueCertificate returned it.
func NewSigner(key ed25519.PrivateKey, certificate []byte) *Signer {
	return &Signer{key: key, certificate: certificate}
}

// Sign returns an encoded rules.v1.Signed.
func (s *Signer) Sign(kind Kind, payload []byte) ([]byte, error) {
	return seal(kind, s.key, payload, s.certificate)
}

func seal(kind Kind, key ed25519.PrivateKey, payload, certificate []byte) ([]byte, error) {
	raw, err := proto.Marshal(&rulesv1.Signed{
		Payload: payload, Certificate: certificate,
		Signature: ed25519.Sign(key, signedBytes(kind, payload)),
	})
	if err != nil {
		return nil, fmt.Errorf("encode signed %s: %w", kind, err)
	}
	return raw, nil
}

func signedBytes(kind Kind, payload []byte) []byte {
	b := make([]byte, 0, len(payload)+32)
	b = append(b, "tollgate/"...)
	b = append(b, kind...)
	b = append(b, "/v1\x00"...)
	return append(b, payload...)
}

// Verifier opens messages of one fleet. Safe for concurrent use.
type Verifier struct {
	fleet string
	root  ed25519.PublicKey

	// certificates holds those already verified, by their bytes: all messages of a
	// sender carry the same one.
	mu           sync.Mutex
	certificates map[string]Certified
}

// maxCertificates bounds the cache of verified certificates; it is emptied when full.
const maxCertificates = 4096

// NewVerifier trusts root, for one fleet. It panics on a root key of the wrong size,
// which a caller has to check where it reads the key.
func NewVerifier(fleet string, root ed25519.PublicKey) *Verifier {
	if len(root) != ed25519.PublicKeySize {
		panic("envelope: root public key of the wrong size")
	}
	return &Verifier{fleet: fleet, root: root, certificates: map[string]Certified{}}
}

// Fleet is the fleet whose messages the verifier opens.
func (v *Verifier) Fleet() string { return v.fleet }

// Opened is a message that verified.
type Opened struct {
	Payload []byte
	// Signer is who signed it.
	Signer Certified
}

// Open verifies an encoded rules.v1.Signed as one of kind, at now, and returns its
// payload. Its errors wrap ErrMalformed, ErrSignature or ErrFleet.
func (v *Verifier) Open(kind Kind, raw []byte, now time.Time) (Opened, error) {
	usage, ok := usageOf[kind]
	if !ok {
		return Opened{}, fmt.Errorf("%w: kind %q", ErrMalformed, kind)
	}
	var m rulesv1.Signed
	if err := proto.Unmarshal(raw, &m); err != nil {
		return Opened{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c, err := v.certificate(m.GetCertificate())
	if err != nil {
		return Opened{}, err
	}
	if c.Usage != usage {
		return Opened{}, fmt.Errorf("%w: a key for %s cannot sign a %s", ErrSignature, c.Usage, kind)
	}
	if now.Before(c.NotBefore) || !now.Before(c.NotAfter) {
		return Opened{}, fmt.Errorf("%w: the certificate is not valid at %s", ErrSignature, now.UTC().Format(time.RFC3339))
	}
	if !ed25519.Verify(c.PublicKey, signedBytes(kind, m.GetPayload()), m.GetSignature()) {
		return Opened{}, ErrSignature
	}
	return Opened{Payload: m.GetPayload(), Signer: c}, nil
}

func (v *Verifier) certificate(raw []byte) (Certified, error) {
	v.mu.Lock()
	c, ok := v.certificates[string(raw)]
	v.mu.Unlock()
	if ok {
		return c, nil
	}
	c, err := OpenCertificate(v.root, raw)
	if err != nil {
		return Certified{}, err
	}
	if c.Fleet != v.fleet {
		return Certified{}, fmt.Errorf("%w: the certificate is for fleet %q", ErrFleet, c.Fleet)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.certificates) >= maxCertificates {
		clear(v.certificates)
	}
	v.certificates[string(raw)] = c
	return c, nil
}
