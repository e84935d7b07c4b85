// Package envelope signs and verifies what Tollgate's processes send each other.
//
// A message is a rules.v1.Signed: payload bytes, an Ed25519 signature (RFC 8032) over
// "tollgate/" + kind + "/v1\x00" + payload, and the certificate of the key that made it. A
// certificate is such a message itself, of kind KindCertificate, signed by the fleet's root, or, for a node's key alone, by an
// issuer that the root has certified. A certificate says who a key is; whether it counts, the root says in a key set, which names all keys that
// do (see Trust). A reader trusts the root's public key and nothing else.
package envelope

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
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

	KindKeySet         Kind = "key_set"
	KindRootTransition Kind = "root_transition"
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
	certificate atomic.Pointer[[]byte]
}

// NewSigner pairs a key with its certificate, as IssueCertificate returned it.
func NewSigner(key ed25519.PrivateKey, certificate []byte) *Signer {
	s := &Signer{key: key}
	s.Renew(certificate)
	return s
}

// Renew goes on with another certificate for the same key.
func (s *Signer) Renew(certificate []byte) { s.certificate.Store(&certificate) }

// Certified is what the signer's certificate says, verified or not.
func (s *Signer) Certified() (Certified, error) {
	m, err := unmarshalSigned(*s.certificate.Load())
	if err != nil {
		return Certified{}, err
	}
	return content(m)
}

// Sign returns an encoded rules.v1.Signed.
func (s *Signer) Sign(kind Kind, payload []byte) ([]byte, error) {
	return seal(kind, s.key, payload, *s.certificate.Load())
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
