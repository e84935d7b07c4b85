package trust

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/dataplane/envelope"
)

func TestOpen_KeepsTheRootAndTheFleet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.Root() != second.Root() || first.Fleet() != second.Fleet() {
		t.Errorf("opened again: %s %s, was %s %s", second.Fleet(), second.Root(), first.Fleet(), first.Root())
	}
	for _, f := range []string{rootFile, fleetFile} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", f, st.Mode(), err)
		}
	}
}

func TestOpen_KeepsTheFleetOfALostRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, rootFile)); err != nil {
		t.Fatal(err)
	}
	second, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if second.Fleet() != first.Fleet() || second.Root() == first.Root() {
		t.Errorf("with its root lost, %s %s became %s %s", first.Fleet(), first.Root(), second.Fleet(), second.Root())
	}
}

func TestEquip_MakesAKeyThatTheFleetVerifies(t *testing.T) {
	t.Parallel()
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := a.Equip(dir, "node", envelope.UsageNode, "node-1"); err != nil {
		t.Fatal(err)
	}
	before := read(t, filepath.Join(dir, "node.cert"))
	key, err := envelope.ReadKey(filepath.Join(dir, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := envelope.ReadCertificate(filepath.Join(dir, "node.cert"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := envelope.NewSigner(key, certificate).Sign(envelope.KindSegment, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := envelope.ParseRoot(a.Root())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{time.Now(), time.Now().Add(9 * 365 * 24 * time.Hour)} {
		opened, err := envelope.NewVerifier(a.Fleet(), root).Open(envelope.KindSegment, signed, at)
		if err != nil {
			t.Fatalf("at %s: %v", at, err)
		}
		if opened.Signer.Subject != "node-1" {
			t.Errorf("signed by %q", opened.Signer.Subject)
		}
	}
	if err := a.Equip(dir, "node", envelope.UsageNode, "node-1"); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(dir, "node.cert")) != before {
		t.Error("equipped again, the certificate changed")
	}
}

func TestEquip_RefusesTheKeyOfAnotherFleetOrSubject(t *testing.T) {
	t.Parallel()
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := a.Equip(dir, "node", envelope.UsageNode, "node-1"); err != nil {
		t.Fatal(err)
	}
	if err := a.Equip(dir, "node", envelope.UsageNode, "node-2"); err == nil {
		t.Error("node-1's certificate was taken for node-2's")
	}
	other, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Equip(dir, "node", envelope.UsageNode, "node-1"); err == nil {
		t.Error("the certificate of another root was taken")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
