package trust

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/dataplane/envelope"
)

// founded is an authority with a set of the keys in a folder.
func founded(t *testing.T) (a *Authority, keys string) {
	t.Helper()
	a, err := Open(filepath.Join(t.TempDir(), "trust"))
	must(t, err)
	keys = t.TempDir()
	for _, name := range []string{"rules", "receipts", "issuer"} {
		must(t, a.Equip(keys, name, Usages[name], "controlplane"))
	}
	signed, err := a.Enrol(keys, time.Now())
	must(t, err)
	must(t, a.Learn(signed))
	return a, keys
}

func (a *Authority) ids(usage envelope.Usage) []string {
	var ids []string
	for _, k := range a.trust.KeySet().Keys {
		if k.Usage == usage {
			ids = append(ids, envelope.KeyID(k.PublicKey))
		}
	}
	return ids
}

func TestEnrol_MakesTheFirstSetAndKeepsRevokedKeysOut(t *testing.T) {
	t.Parallel()
	a, keys := founded(t)
	if v := a.Trust().KeySet(); v.Version != 1 || len(v.Keys) != 3 {
		t.Fatalf("the first set: %+v", v)
	}
	if signed, err := a.Enrol(keys, time.Now()); signed != nil || err != nil {
		t.Errorf("enrolled again: %v, %v", signed, err)
	}
	old := a.ids(envelope.UsageRules)[0]
	pair, signed, err := a.Rotate("rules", time.Now())
	must(t, err)
	must(t, a.Learn(signed))
	if ids := a.ids(envelope.UsageRules); !slices.Contains(ids, old) || !slices.Contains(ids, pair.ID()) {
		t.Errorf("after a rotation %v count, %s and %s should", ids, old, pair.ID())
	}
	must(t, a.Forbid(old))
	signed, err = a.Revoke(old, false, time.Now())
	must(t, err)
	must(t, a.Learn(signed))
	// Its files are still there.
	if signed, err := a.Enrol(keys, time.Now()); signed != nil || err != nil {
		t.Errorf("a revoked key came back: %v, %v", signed, err)
	}
	if ids := a.ids(envelope.UsageRules); !slices.Equal(ids, []string{pair.ID()}) {
		t.Errorf("%v count, %s should", ids, pair.ID())
	}
}

func TestRevoke_Refuses(t *testing.T) {
	t.Parallel()
	a, _ := founded(t)
	rules := a.ids(envelope.UsageRules)[0]
	if _, err := a.Revoke(rules, false, time.Now()); !errors.Is(err, ErrLastKey) {
		t.Errorf("the last rules key: %v", err)
	}
	if _, err := a.Revoke(rules, true, time.Now()); err != nil {
		t.Errorf("the last rules key, on purpose: %v", err)
	}
	if _, err := a.Revoke("key_00", false, time.Now()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	if _, err := a.Revoke(envelope.KeyID(a.public()), false, time.Now()); err == nil {
		t.Error("the root was revoked")
	}
}

func TestRotateRoot_IsWholeWhereverItBreaksOff(t *testing.T) {
	t.Parallel()
	a, keys := founded(t)
	must(t, a.Equip(keys, "node", envelope.UsageNode, "node-1"))
	before := a.Root()
	signed, err := a.RotateRoot(time.Now())
	must(t, err)

	// Nothing was sent: the root is what it was, and the next attempt is for the same successor.
	again, err := Load(a.dir)
	must(t, err)
	if again.Root() != before {
		t.Fatal("the root changed before anybody heard of it")
	}
	second, err := again.RotateRoot(time.Now())
	must(t, err)
	next := func(raw []byte) string {
		t.Helper()
		opened, err := envelope.OpenTrust(a.fleet, a.public(), raw)
		must(t, err)
		return envelope.EncodeRoot(opened.Root())
	}
	if next(signed) != next(second) {
		t.Error("two attempts have two successors")
	}

	// It was sent, and the folder does not know: it learns it from the control plane.
	must(t, again.Learn(second))
	if again.Root() != next(second) {
		t.Errorf("the root is %s, want %s", again.Root(), next(second))
	}
	reopened, err := Load(a.dir)
	must(t, err)
	if reopened.Root() != again.Root() {
		t.Error("the folder has another root")
	}
	if _, err := os.Stat(filepath.Join(a.dir, nextRootFile)); !os.IsNotExist(err) {
		t.Errorf("the next root is still there: %v", err)
	}
	// What the former root certified is certified anew.
	must(t, reopened.Equip(keys, "node", envelope.UsageNode, "node-1"))
	certificate, err := envelope.ReadCertificate(filepath.Join(keys, "node.cert"))
	must(t, err)
	if _, err := envelope.OpenCertificate(reopened.public(), certificate); err != nil {
		t.Errorf("the node's certificate is not the new root's: %v", err)
	}
	former := reopened.Trust().KeySet().FormerRoots
	if len(former) != 1 || !former[0].Nodes {
		t.Fatalf("former roots %+v", former)
	}
	signed, err = reopened.Revoke(envelope.KeyID(former[0].PublicKey), false, time.Now())
	must(t, err)
	must(t, reopened.Learn(signed))
	if reopened.Trust().KeySet().FormerRoots[0].Nodes {
		t.Error("the former root's nodes still count")
	}
}

func TestLearn_RefusesWhatIsNotOfItsRoot(t *testing.T) {
	t.Parallel()
	a, _ := founded(t)
	other, _ := founded(t)
	if err := a.Learn(other.Trust().Raw()); err == nil {
		t.Error("learned another fleet's set")
	}
	// A root that was rotated with another folder leaves this one with a key that is good for nothing.
	copied := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(copied, os.DirFS(a.dir)))
	elsewhere, err := Load(copied)
	must(t, err)
	signed, err := elsewhere.RotateRoot(time.Now())
	must(t, err)
	if err := a.Learn(signed); err == nil || !strings.Contains(err.Error(), "the fleet's root is") {
		t.Errorf("learned of a root that it does not have: %v", err)
	}
}

func TestFiles_AreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	a, _ := founded(t)
	install := t.TempDir()
	pair, signed, err := a.Rotate("issuer", time.Now())
	must(t, err)
	must(t, a.Learn(signed))
	must(t, pair.Install(install))
	must(t, a.Forbid(pair.ID()))
	must(t, a.Publish(install))
	signed, err = a.RotateRoot(time.Now())
	must(t, err)
	must(t, a.Learn(signed))
	for _, dir := range []string{a.dir, install} {
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			info, err := e.Info()
			must(t, err)
			if public := strings.HasSuffix(e.Name(), ".cert"); info.Mode() != 0o600 && !public {
				t.Errorf("%s has mode %v", e.Name(), info.Mode())
			}
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("%s was left", e.Name())
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A control plane with another key than its certificate's does not start.
func TestInstall_LeavesTheCertificateOfAKeyThatItCannotReplace(t *testing.T) {
	t.Parallel()
	a, keys := founded(t)
	before, err := envelope.ReadCertificate(filepath.Join(keys, "rules.cert"))
	must(t, err)
	must(t, os.Remove(filepath.Join(keys, "rules.key")))
	must(t, os.MkdirAll(filepath.Join(keys, "rules.key", "in the way"), 0o700))
	pair, _, err := a.Rotate("rules", time.Now())
	must(t, err)
	if err := pair.Install(keys); err == nil {
		t.Error("it is installed")
	}
	after, err := envelope.ReadCertificate(filepath.Join(keys, "rules.cert"))
	if err != nil || string(after) != string(before) {
		t.Errorf("the certificate is replaced, %v", err)
	}
}
