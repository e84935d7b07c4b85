package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tollgate/dataplane/envelope"
)

const (
	nextRootFile = "next-root.key"
	// KeySetFile is the newest key set, here and in data dirs.
	KeySetFile  = "key_set"
	revokedFile = "revoked"
)

// Usages are those that a key set has keys of, by the names of their files.
var Usages = map[string]envelope.Usage{
	"rules": envelope.UsageRules, "receipts": envelope.UsageReceipts, "issuer": envelope.UsageIssuer,
}

// subject is the label of online keys.
const subject = "controlplane"

// Trust is the newest key set that is known; nil: none is.
func (a *Authority) Trust() *envelope.Trust { return a.trust }

func (a *Authority) file() envelope.TrustFile {
	return envelope.TrustFile(filepath.Join(a.dir, KeySetFile))
}

func (a *Authority) verifier() *envelope.Verifier {
	v := envelope.NewVerifier(a.fleet, a.public())
	if a.trust != nil {
		_, _ = v.Adopt(a.trust.Raw()) // It verified by this root.
	}
	return v
}

// Counts says whether a certificate counts by the newest set.
func (a *Authority) Counts(certificate []byte, now time.Time) bool {
	_, err := a.verifier().Certified(certificate, now)
	return err == nil
}

// recall reads the newest set, and ends a change of roots that broke off.
func (a *Authority) recall() error {
	raw, err := a.file().LoadTrust()
	if err != nil || raw == nil {
		return err
	}
	if a.trust, err = envelope.OpenTrust(a.fleet, a.public(), raw); err != nil {
		return fmt.Errorf("%s is not of this fleet's root: %w", string(a.file()), err)
	}
	return a.moveRoot()
}

// moveRoot puts the next root in place once the set that it signed is known.
func (a *Authority) moveRoot() error {
	if a.trust.Root().Equal(a.public()) {
		return nil
	}
	next, err := envelope.ReadKey(filepath.Join(a.dir, nextRootFile))
	if err != nil || !a.trust.Root().Equal(next.Public()) {
		return fmt.Errorf("%s holds %s, and the fleet's root is %s by now: use the folder that has that one",
			filepath.Join(a.dir, rootFile), envelope.KeyID(a.public()), envelope.KeyID(a.trust.Root()))
	}
	former := filepath.Join(a.dir, "root-"+envelope.KeyID(a.public())+".key")
	if err := envelope.WriteKey(former, a.root); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(a.dir, nextRootFile), filepath.Join(a.dir, rootFile)); err != nil {
		return fmt.Errorf("put the next root in place: %w", err)
	}
	a.root = next
	return syncDir(a.dir)
}

// Learn takes a set from elsewhere, such as the control plane's, where it is newer; and keeps one that was signed here.
func (a *Authority) Learn(signed []byte) error {
	v := a.verifier()
	adopted, err := v.Adopt(signed)
	switch {
	case errors.Is(err, envelope.ErrSuperseded) || err == nil && !adopted:
		return nil
	case err != nil:
		return err
	}
	if err := a.file().StoreTrust(signed); err != nil {
		return err
	}
	a.trust = v.Trust()
	return a.moveRoot()
}

// draft is the next version of the newest set.
func (a *Authority) draft(now time.Time) (set envelope.KeySet, transitions [][]byte) {
	set = envelope.KeySet{Fleet: a.fleet}
	if a.trust != nil {
		set, transitions = a.trust.KeySet(), a.trust.Transitions()
		set.Keys, set.FormerRoots = slices.Clone(set.Keys), slices.Clone(set.FormerRoots)
	}
	set.Version++
	set.CreatedAt = now
	return set, transitions
}

// Enrol signs a set with the keys whose certificates lie in a folder, as Equip made them, unless they were revoked. Nil: all of them are in it already.
func (a *Authority) Enrol(dir string, now time.Time) ([]byte, error) {
	revoked, err := a.revoked()
	if err != nil {
		return nil, err
	}
	set, transitions := a.draft(now)
	changed := a.trust == nil
	for _, name := range []string{"rules", "receipts", "issuer"} {
		path := filepath.Join(dir, name+".cert")
		raw, err := envelope.ReadCertificate(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c, err := a.verifier().Known(raw)
		if err != nil {
			return nil, fmt.Errorf("%s is not of this fleet's root: %w", path, err)
		}
		if _, there := set.Key(c.PublicKey); there || slices.Contains(revoked, envelope.KeyID(c.PublicKey)) {
			continue
		}
		if c.Usage != Usages[name] {
			return nil, fmt.Errorf("%s certifies a key for %s", path, c.Usage)
		}
		set.Keys, changed = append(set.Keys, c), true
	}
	if !changed {
		return nil, nil
	}
	return envelope.SignTrust(a.root, set, transitions)
}

// Pair is a new online key and its certificate.
type Pair struct {
	name        string
	key         ed25519.PrivateKey
	certificate []byte
}

// ID names the key.
func (p *Pair) ID() string { return envelope.KeyID(p.key.Public().(ed25519.PublicKey)) }

// Install makes the pair the one of its usage in a folder of online keys.
func (p *Pair) Install(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of %s.key: %w", p.name, err)
	}
	if err := envelope.WriteKey(filepath.Join(dir, p.name+".key"), p.key); err != nil {
		return err // The certificate of the key that is there stays with it.
	}
	return envelope.WriteCertificate(filepath.Join(dir, p.name+".cert"), p.certificate)
}

// Rotate makes a key, and signs a set with it beside all others.
func (a *Authority) Rotate(name string, now time.Time) (*Pair, []byte, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	c := envelope.Certified{Fleet: a.fleet, Usage: Usages[name], Subject: subject, PublicKey: public}
	c.NotBefore, c.NotAfter = validity(now)
	certificate, err := envelope.IssueCertificate(a.root, c)
	if err != nil {
		return nil, nil, err
	}
	set, transitions := a.draft(now)
	set.Keys = append(set.Keys, c)
	signed, err := envelope.SignTrust(a.root, set, transitions)
	return &Pair{name, key, certificate}, signed, err
}

// RotateRoot makes the next root, stores it, and signs a set with it. Learn puts it in place.
func (a *Authority) RotateRoot(now time.Time) ([]byte, error) {
	path := filepath.Join(a.dir, nextRootFile)
	next, err := envelope.ReadKey(path) // Of a change that broke off: it may have been sent.
	if errors.Is(err, fs.ErrNotExist) {
		if _, next, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, fmt.Errorf("make the next root: %w", err)
		}
		err = envelope.WriteKey(path, next)
	}
	if err != nil {
		return nil, err
	}
	step, err := envelope.SignTransition(a.fleet, a.root, next, now)
	if err != nil {
		return nil, err
	}
	set, transitions := a.draft(now)
	set.FormerRoots = append(set.FormerRoots, envelope.FormerRoot{PublicKey: a.public(), Nodes: true})
	return envelope.SignTrust(next, set, append(transitions, step))
}

// What Revoke refuses.
var (
	ErrUnknownKey = errors.New("no such key")
	ErrLastKey    = errors.New("it is the last of its kind")
)

// Revoke signs a set without a key, which Forbid then keeps out of later ones. Of a former root, the nodes that it certified end. last: the last key of its
// usage may go, too.
func (a *Authority) Revoke(id string, last bool, now time.Time) ([]byte, error) {
	set, transitions := a.draft(now)
	of := func(c envelope.Certified) bool { return envelope.KeyID(c.PublicKey) == id }
	root := slices.IndexFunc(set.FormerRoots, func(f envelope.FormerRoot) bool { return envelope.KeyID(f.PublicKey) == id && f.Nodes })
	i := slices.IndexFunc(set.Keys, of)
	switch {
	case root >= 0:
		set.FormerRoots[root].Nodes = false
		return envelope.SignTrust(a.root, set, transitions)
	case i < 0 && id == envelope.KeyID(a.public()):
		return nil, fmt.Errorf("%s is the root: `tollgate trust rotate root` makes another", id)
	case i < 0:
		return nil, fmt.Errorf("%s: %w in key set %d: `tollgate trust show` lists them", id, ErrUnknownKey, set.Version-1)
	}
	usage := set.Keys[i].Usage
	set.Keys = slices.DeleteFunc(set.Keys, of)
	if !last && !slices.ContainsFunc(set.Keys, func(c envelope.Certified) bool { return c.Usage == usage }) {
		return nil, fmt.Errorf("%s: %w", id, ErrLastKey)
	}
	return envelope.SignTrust(a.root, set, transitions)
}

// Forbid notes that a key must not come back into a set by itself.
func (a *Authority) Forbid(id string) error {
	revoked, err := a.revoked()
	if err != nil || slices.Contains(revoked, id) {
		return err
	}
	return writeFile(filepath.Join(a.dir, revokedFile), []byte(strings.Join(append(revoked, id), "\n")+"\n"))
}

func (a *Authority) revoked() ([]string, error) {
	raw, err := os.ReadFile(filepath.Join(a.dir, revokedFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the ids of revoked keys: %w", err)
	}
	return strings.Fields(string(raw)), nil
}

// Publish puts the newest set into the data dir of a control plane or a node, where there is no newer one yet.
func (a *Authority) Publish(dir string) error {
	if a.trust == nil {
		return nil
	}
	v := envelope.NewVerifier(a.fleet, a.public())
	// What is there and cannot be read is replaced.
	_ = v.Keep(envelope.TrustFile(filepath.Join(dir, KeySetFile)))
	if _, err := v.Adopt(a.trust.Raw()); err != nil && !errors.Is(err, envelope.ErrSuperseded) {
		return fmt.Errorf("put the key set into %s: %w", dir, err)
	}
	return nil
}

// writeFile replaces a file of mode 0600 whole.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write in %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
