// Package trust makes a fleet's keys: the root that everything trusts, the online keys that it certifies, and the signed set of those that count.
//
// The root's private key is needed only for that. It may be kept elsewhere while the fleet runs. A folder holds it, as an Authority:
//
//	root.key             the root
//	next-root.key        while a root is about to take its place
//	root-<id>.key        roots before it
//	fleet                the fleet's id
//	key_set              the newest signed key set, which is public
//	revoked              ids of keys that must not come back into a set
//
// What is signed is stored here only once it is where it was to go, so that a version is never used twice for two sets; a next root is
// stored before it signs anything.
package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tollgate/dataplane/envelope"
)

const (
	rootFile  = "root.key"
	fleetFile = "fleet"
	// lifetime of a certificate. It begins a little in the past, for clocks that differ.
	lifetime = 10 * 365 * 24 * time.Hour
	skew     = time.Hour
)

// Authority is a fleet's root and the name of its fleet, and the newest key set that it knows.
type Authority struct {
	dir   string
	fleet string
	root  ed25519.PrivateKey
	// trust is nil where no set is known.
	trust *envelope.Trust
}

// Open reads the authority kept in dir, or makes one where there is none.
func Open(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the trust folder: %w", err)
	}
	path := filepath.Join(dir, rootFile)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("look for the root key: %w", err)
	}
	return Load(dir)
}

// Load reads the authority kept in dir.
func Load(dir string) (*Authority, error) {
	root, err := envelope.ReadKey(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, fmt.Errorf("read the root key: %w", err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, fleetFile))
	if err != nil {
		return nil, fmt.Errorf("read the fleet's id: %w", err)
	}
	fleet := strings.TrimSpace(string(raw))
	if fleet == "" {
		return nil, fmt.Errorf("%s is empty", filepath.Join(dir, fleetFile))
	}
	a := &Authority{dir: dir, fleet: fleet, root: root}
	return a, a.recall()
}

// create stores the fleet's id before the root: a root on disk means that its fleet is known.
func create(dir string) (*Authority, error) {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("make the fleet's id: %w", err)
	}
	_, root, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the root key: %w", err)
	}
	a := &Authority{dir: dir, fleet: "flt_" + hex.EncodeToString(id), root: root}
	if err := os.WriteFile(filepath.Join(dir, fleetFile), []byte(a.fleet+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("store the fleet's id: %w", err)
	}
	if err := envelope.WriteKey(filepath.Join(dir, rootFile), root); err != nil {
		return nil, err
	}
	return a, nil
}

// Dir is the folder.
func (a *Authority) Dir() string { return a.dir }

// Fleet is the id that all certificates name.
func (a *Authority) Fleet() string { return a.fleet }

// Root is the root's public key, as a node's or a control plane's configuration holds it.
func (a *Authority) Root() string { return envelope.EncodeRoot(a.public()) }

func (a *Authority) public() ed25519.PublicKey { return a.root.Public().(ed25519.PublicKey) }

// Equip sees that dir holds name.key and name.cert: a key for one usage and the root's word for it. What is there
// already is kept if it verifies; a certificate of another fleet, usage or subject is an error, never replaced.
func (a *Authority) Equip(dir, name string, usage envelope.Usage, subject string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of %s.key: %w", name, err)
	}
	key, err := a.key(filepath.Join(dir, name+".key"))
	if err != nil {
		return err
	}
	public := key.Public().(ed25519.PublicKey)
	path := filepath.Join(dir, name+".cert")
	raw, err := envelope.ReadCertificate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a.certify(path, envelope.Certified{Fleet: a.fleet, Usage: usage, Subject: subject, PublicKey: public})
	}
	if err != nil {
		return err
	}
	c, err := a.verifier().Known(raw)
	if err != nil {
		return fmt.Errorf("%s is not of this fleet's root: %w", path, err)
	}
	if c.Fleet != a.fleet || c.Usage != usage || c.Subject != subject || !public.Equal(c.PublicKey) {
		return fmt.Errorf("%s certifies another key, usage or subject than %s of %s", path, name+".key", a.fleet)
	}
	if _, err := envelope.OpenCertificate(a.public(), raw); err != nil {
		// Of a former root: it is to outlive that.
		return a.certify(path, c)
	}
	return nil
}

func (a *Authority) key(path string) (ed25519.PrivateKey, error) {
	key, err := envelope.ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	_, key, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	return key, envelope.WriteKey(path, key)
}

func (a *Authority) certify(path string, c envelope.Certified) error {
	c.NotBefore, c.NotAfter = validity(time.Now())
	raw, err := envelope.IssueCertificate(a.root, c)
	if err != nil {
		return err
	}
	return envelope.WriteCertificate(path, raw)
}

func validity(now time.Time) (notBefore, notAfter time.Time) {
	return now.Add(-skew), now.Add(lifetime)
}
