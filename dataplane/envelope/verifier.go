package envelope

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Verifier opens messages of one fleet, by the newest key set that it was given. Before the first, no key counts but those of nodes that
// the root itself has certified. Safe for concurrent use.
type Verifier struct {
	fleet string
	root  ed25519.PublicKey
	// trust is the newest; nil: none yet.
	trust atomic.Pointer[Trust]

	// adopting is held while a newer one is taken, and stored in store, if there is one.
	adopting sync.Mutex
	store    TrustStore

	// certificates holds those already verified under the roots of of, by their bytes: all messages of a
	// sender carry the same one.
	mu           sync.Mutex
	of           *Trust
	certificates map[string]verified
}

// verified is a certificate, and the root that it, or its issuer's, was signed by.
type verified struct {
	chain
	root ed25519.PublicKey
}

// TrustStore keeps the newest Trust over a restart. Its methods block on the disk, and are called one at a time.
type TrustStore interface {
	// LoadTrust returns what was stored last; nil where nothing was.
	LoadTrust() ([]byte, error)
	// StoreTrust replaces it: durable on return.
	StoreTrust(raw []byte) error
}

// maxCertificates bounds the cache of verified certificates; it is emptied when full.
const maxCertificates = 4096

// NewVerifier trusts root, for one fleet. It panics on a root key of the wrong size,
// which a caller has to check where it reads the key.
func NewVerifier(fleet string, root ed25519.PublicKey) *Verifier {
	if len(root) != ed25519.PublicKeySize {
		panic("envelope: root public key of the wrong size")
	}
	return &Verifier{fleet: fleet, root: root, certificates: map[string]verified{}}
}

// Fleet is the fleet whose messages the verifier opens.
func (v *Verifier) Fleet() string { return v.fleet }

// Root is the root that is trusted from the beginning.
func (v *Verifier) Root() ed25519.PublicKey { return v.root }

// Trust is the newest; nil: none yet.
func (v *Verifier) Trust() *Trust { return v.trust.Load() }

// Version is that of the newest key set; 0: there is none yet.
func (v *Verifier) Version() uint64 {
	if t := v.trust.Load(); t != nil {
		return t.set.Version
	}
	return 0
}

// Keep begins with what a store has, and stores in it whatever is adopted from then on. Where what is there cannot be read or does not verify, the
// error says so, and the verifier begins with nothing.
func (v *Verifier) Keep(store TrustStore) error {
	v.adopting.Lock()
	defer v.adopting.Unlock()
	v.store = store
	raw, err := store.LoadTrust()
	if err != nil || raw == nil {
		return err
	}
	t, err := OpenTrust(v.fleet, v.root, raw)
	if err != nil {
		return err
	}
	v.trust.Store(t)
	return nil
}

// ErrSuperseded: a key set that is older than the one in force, or that a root signed that is no longer the fleet's.
var ErrSuperseded = errors.New("key set is superseded")

// ErrConflict: two key sets of one version, or two successors of one root. The first one stays.
var ErrConflict = errors.New("key set conflicts with the one in force")

// Adopt takes an encoded rules.v1.Trust where it is newer than what is in force. adopted: it is in force now; an error beside that says that it could not be
// stored. Other errors wrap ErrMalformed, ErrSignature, ErrFleet, ErrSuperseded or ErrConflict. What is in force is no error.
func (v *Verifier) Adopt(raw []byte) (adopted bool, err error) {
	if t := v.trust.Load(); t != nil && bytes.Equal(t.raw, raw) {
		return false, nil
	}
	t, err := OpenTrust(v.fleet, v.root, raw)
	if err != nil {
		return false, err
	}
	v.adopting.Lock()
	defer v.adopting.Unlock()
	if now := v.trust.Load(); now != nil {
		if same, err := t.follows(now); same || err != nil {
			return false, err
		}
	}
	if v.store != nil {
		// Before it is in force: a process that enforced it must not begin again with an older one. A disk that fails stops no
		// revocation.
		if err = v.store.StoreTrust(raw); err != nil {
			err = fmt.Errorf("store key set %d: %w", t.set.Version, err)
		}
	}
	v.trust.Store(t)
	return true, err
}

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
	c, err := v.Certified(m.GetCertificate(), now)
	if err != nil {
		return Opened{}, err
	}
	if c.Usage != usage {
		return Opened{}, fmt.Errorf("%w: a key for %s cannot sign a %s", ErrSignature, c.Usage, kind)
	}
	if !ed25519.Verify(c.PublicKey, signedBytes(kind, m.GetPayload()), m.GetSignature()) {
		return Opened{}, ErrSignature
	}
	return Opened{Payload: m.GetPayload(), Signer: c}, nil
}

// Certified verifies a certificate, and that its key counts at now. Its errors wrap ErrMalformed, ErrSignature or ErrFleet.
func (v *Verifier) Certified(raw []byte, now time.Time) (Certified, error) {
	t := v.trust.Load()
	c, err := v.certificate(t, raw)
	if err != nil {
		return Certified{}, err
	}
	if err := c.valid(now); err != nil {
		return Certified{}, err
	}
	if err := v.counts(t, c, now); err != nil {
		return Certified{}, err
	}
	return c.Certified, nil
}

// Known verifies a certificate as the word of one of the fleet's roots, and returns what it says. It asks neither for dates nor whether the key counts.
func (v *Verifier) Known(raw []byte) (Certified, error) {
	c, err := v.certificate(v.trust.Load(), raw)
	return c.Certified, err
}

// counts says whether the key set lets a key sign.
func (v *Verifier) counts(t *Trust, c verified, now time.Time) error {
	switch {
	case c.issuer != nil:
		return t.member(*c.issuer, now)
	case c.Usage != UsageNode:
		return t.member(c.Certified, now)
	case t != nil && !t.nodesOf(c.root):
		return fmt.Errorf("%w: the root that certified the node no longer counts", ErrSignature)
	}
	return nil
}

func (v *Verifier) certificate(t *Trust, raw []byte) (verified, error) {
	v.mu.Lock()
	if v.of != t {
		v.of = t
		clear(v.certificates)
	}
	c, ok := v.certificates[string(raw)]
	v.mu.Unlock()
	if ok {
		return c, nil
	}
	c, err := v.open(t, raw)
	if err != nil {
		return verified{}, err
	}
	if c.Fleet != v.fleet {
		return verified{}, fmt.Errorf("%w: the certificate is for fleet %q", ErrFleet, c.Fleet)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of != t {
		return c, nil // Good for this call alone.
	}
	if len(v.certificates) >= maxCertificates {
		clear(v.certificates)
	}
	v.certificates[string(raw)] = c
	return c, nil
}

// open tries the fleet's roots, the newest first.
func (v *Verifier) open(t *Trust, raw []byte) (verified, error) {
	roots := []ed25519.PublicKey{v.root}
	if t != nil {
		roots = t.roots
	}
	var failed error
	for i := len(roots) - 1; i >= 0; i-- {
		c, err := openChain(roots[i], raw)
		if err == nil {
			return verified{c, roots[i]}, nil
		}
		if failed == nil || !errors.Is(err, ErrSignature) {
			failed = err
		}
	}
	return verified{}, failed
}

func (c *Certified) valid(now time.Time) error {
	if now.Before(c.NotBefore) || !now.Before(c.NotAfter) {
		return fmt.Errorf("%w: the certificate is not valid at %s", ErrSignature, now.UTC().Format(time.RFC3339))
	}
	return nil
}
