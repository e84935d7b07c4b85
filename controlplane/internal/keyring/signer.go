package keyring

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"tollgate/dataplane/envelope"
)

// pair is a key and its certificate.
type pair struct {
	signer      *envelope.Signer
	certificate []byte
	certified   envelope.Certified
	key         ed25519.PrivateKey
}

func readPair(dir, name string) (*pair, error) {
	const hint = "`tollgate trust init` makes the keys of a fleet"
	key, err := envelope.ReadKey(filepath.Join(dir, name+".key"))
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w: %s", err, hint)
	}
	path := filepath.Join(dir, name+".cert")
	certificate, err := envelope.ReadCertificate(path)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w: %s", err, hint)
	}
	p := &pair{signer: envelope.NewSigner(key, certificate), certificate: certificate, key: key}
	if p.certified, err = p.signer.Certified(); err != nil {
		return nil, fmt.Errorf("%s: not certified by trust_root: %w", path, err)
	}
	return p, nil
}

// Signer signs with the key of one usage that is in use. Safe for concurrent use.
type Signer struct {
	ring    *Ring
	name    string
	usage   envelope.Usage
	current atomic.Pointer[pair]

	// next is what the files hold that is not in use yet, and since when it counts. Only the goroutine of Round uses them.
	next      *pair
	nextSince time.Time
}

func (r *Ring) signer(name string, usage envelope.Usage, p *pair, now time.Time) (*Signer, error) {
	s := &Signer{ring: r, name: name, usage: usage}
	if err := s.check(p, now); err != nil {
		return nil, err
	}
	s.current.Store(p)
	return s, nil
}

// check says whether a pair is one at all, and the fleet's.
func (s *Signer) check(p *pair, now time.Time) error {
	path, c := filepath.Join(s.ring.dir, s.name+".cert"), p.certified
	if _, err := s.ring.verifier.Known(p.certificate); err != nil {
		return fmt.Errorf("%s: not certified by trust_root: %w", path, err)
	}
	switch {
	case c.Usage != s.usage:
		return fmt.Errorf("%s: certifies a key for %s, want %s", path, c.Usage, s.usage)
	case !p.key.Public().(ed25519.PublicKey).Equal(c.PublicKey):
		return fmt.Errorf("%s: certifies another key than %s.key", path, s.name)
	case now.Before(c.NotBefore) || !now.Before(c.NotAfter):
		return fmt.Errorf("%s: not valid now, but from %s to %s", path, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// Certified says which key signs. It fails where that one does not count.
func (s *Signer) Certified() (envelope.Certified, error) {
	return s.counts(s.current.Load(), time.Now())
}

func (s *Signer) counts(p *pair, now time.Time) (envelope.Certified, error) {
	c, err := s.ring.verifier.Certified(p.certificate, now)
	if err != nil {
		return envelope.Certified{}, fmt.Errorf("the %s key does not count, and signs nothing: %w: `tollgate trust show` lists those that do", s.name, err)
	}
	return c, nil
}

// Sign implements publisher.Signer and ingest.Signer. It fails as Certified does.
func (s *Signer) Sign(kind envelope.Kind, payload []byte) ([]byte, error) {
	p := s.current.Load()
	if _, err := s.counts(p, time.Now()); err != nil {
		return nil, err
	}
	return p.signer.Sign(kind, payload)
}

// settle is how long a key has to count before it takes another's place: nodes hear of the set each second, and what they cannot verify yet
// they have to fetch again.
const settle = 3 * time.Second

// errWaiting is why a key that is there is not in use.
var errWaiting = errors.New("the one before goes on")

// refresh looks at the files, and changes to what they hold when that counts.
func (s *Signer) refresh(now time.Time) {
	r, current := s.ring, s.current.Load()
	defer func() {
		if _, err := s.counts(s.current.Load(), now); err != nil && r.verifier.Version() > 0 {
			r.say(s.name, slog.LevelError, "this control plane cannot sign", err)
		} else {
			r.say(s.name, 0, "", nil)
		}
	}()
	p, err := readPair(r.dir, s.name)
	if err == nil {
		err = s.check(p, now)
	}
	if err != nil {
		// Half of the files may be replaced already.
		s.next = nil
		r.say(s.name+" files", slog.LevelWarn, "the key's files are not used as they are", err)
		return
	}
	if p.certified.PublicKey.Equal(current.certified.PublicKey) {
		s.next = nil
		r.say(s.name+" files", 0, "", nil)
		if string(p.certificate) != string(current.certificate) {
			if _, err := s.counts(p, now); err == nil {
				s.current.Store(p) // The same key under a newer certificate.
			}
		}
		return
	}
	id := envelope.KeyID(p.certified.PublicKey)
	if _, err := s.counts(p, now); err != nil {
		s.next = nil
		r.say(s.name+" files", slog.LevelInfo, "there is a new key, which does not count yet", fmt.Errorf("%w: %s: %w", errWaiting, id, err))
		return
	}
	if s.next == nil || !s.next.certified.PublicKey.Equal(p.certified.PublicKey) {
		s.next, s.nextSince = p, now
	}
	if _, err := s.counts(current, now); err == nil && now.Sub(s.nextSince) < settle {
		return
	}
	s.next = nil
	s.current.Store(p)
	r.say(s.name+" files", 0, "", nil)
	r.log.Info("signing with a new key", "usage", s.name, "key", id)
}
