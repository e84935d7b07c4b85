package dataplane_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/bus/bustest"
	joinv1 "tollgate/gen/go/tollgate/join/v1"
)

// A node whose certificate ends soon asks for another while it runs, and stores it; the first attempt may fail.
func TestRun_RenewsItsCertificateBeforeItEnds(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	l.equip(envelope.UsageNode, nodeName, time.Now().Add(30*time.Minute))
	path := filepath.Join(l.cfg.DataDir, "node.cert")
	key, err := envelope.ReadKey(filepath.Join(l.cfg.DataDir, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := envelope.IssueCertificate(l.root, envelope.Certified{
		Fleet: fleet, Usage: envelope.UsageNode, Subject: nodeName, PublicKey: key.Public().(ed25519.PublicKey),
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	plane := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var req joinv1.RenewRequest
		if err != nil || proto.Unmarshal(raw, &req) != nil || r.URL.Path != "/tollgate.join.v1.JoinService/Renew" {
			http.Error(w, "no renewal", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/proto")
		// {"sub":"<the node's user>"}
		claims := fmt.Sprintf(`{"sub":%q}`, req.GetNatsUser())
		_, _ = w.Write(l.encode(&joinv1.RenewResponse{Certificate: renewed, NatsJwt: "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"})) // The node is there.
	}))
	t.Cleanup(plane.Close)
	told := fmt.Sprintf(`{"server": %q, "nats": []}`, plane.URL)
	if err := os.WriteFile(filepath.Join(l.cfg.DataDir, "joined.json"), []byte(told), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.cfg.DataDir, "nats.creds"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := l.run()
	bustest.Eventually(t, "the certificate is renewed", func() bool {
		raw, err := envelope.ReadCertificate(path)
		return err == nil && bytes.Equal(raw, renewed)
	})
	r.stop()
}
