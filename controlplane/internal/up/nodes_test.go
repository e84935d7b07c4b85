package up

import (
	"crypto/ed25519"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/trust"
	"tollgate/dataplane/envelope"
)

// A node whose issuer was revoked would serve on with a log that nobody takes: it has to get a token again.
func TestJoined_IsANodeWhoseCertificateCounts(t *testing.T) {
	t.Parallel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := openDataDir(t.TempDir())
	must(err)
	defer dir.Close()
	authority, err := trust.Open(dir.join("trust"))
	must(err)
	keys := dir.join("controlplane")
	must(authority.Equip(keys, "issuer", envelope.UsageIssuer, "controlplane"))
	signed, err := authority.Enrol(keys, time.Now())
	must(err)
	must(authority.Learn(signed))
	s := &system{dir: dir, authority: authority, console: newConsole(io.Discard)}
	n := &node{name: "node-1"}
	says := func(want bool) {
		t.Helper()
		if joined, err := s.joined(n); err != nil || joined != want {
			t.Errorf("joined: %t, %v; want %t", joined, err, want)
		}
	}
	says(false)
	must(s.certifies())

	key, err := envelope.ReadKey(filepath.Join(keys, "issuer.key"))
	must(err)
	certificate, err := envelope.ReadCertificate(filepath.Join(keys, "issuer.cert"))
	must(err)
	public, _, err := ed25519.GenerateKey(nil)
	must(err)
	certified, err := envelope.NewIssuer(key, certificate).Certify(envelope.Certified{
		Fleet: authority.Fleet(), Usage: envelope.UsageNode, Subject: n.name, PublicKey: public, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	})
	must(err)
	must(os.MkdirAll(dir.join("nodes", n.name), 0o700))
	must(envelope.WriteCertificate(dir.join("nodes", n.name, "node.cert"), certified))
	says(true)

	signed, err = authority.Revoke(envelope.KeyID(key.Public().(ed25519.PublicKey)), true, time.Now())
	must(err)
	must(authority.Learn(signed))
	says(false)
	// Nor does it get one, until there is a key again.
	if err := s.certifies(); err == nil || !strings.Contains(err.Error(), "tollgate trust rotate issuer") {
		t.Errorf("%v, want to be told that no issuer counts, and what to do", err)
	}
	pair, signed, err := authority.Rotate("issuer", time.Now())
	must(err)
	must(authority.Learn(signed))
	must(pair.Install(keys))
	must(s.certifies())
}
