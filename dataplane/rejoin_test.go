package dataplane_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/jointoken"
	joinv1 "tollgate/gen/go/tollgate/join/v1"
)

// A node whose certificate counts no longer joins again by a new token, with the key that it has; one whose certificate counts does not ask.
func TestRun_JoinsAgainWhereItsCertificateCountsNoLonger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		equip func(*land)
		asks  bool
	}{
		"its time is over":          {func(l *land) { l.equip(envelope.UsageNode, nodeName, time.Now().Add(-time.Minute)) }, true},
		"its issuer does not count": {func(l *land) { l.equipBy(l.certify(envelope.UsageIssuer, "issuer", time.Now().Add(time.Hour))) }, true},
		"it counts":                 {func(*land) {}, false},
		"it is another root's": {func(l *land) {
			other := newLand(t)
			other.cfg.DataDir = l.cfg.DataDir
			other.equip(envelope.UsageNode, nodeName, time.Now().Add(-time.Minute))
		}, false},
	} {
		l := newLand(t)
		c.equip(l)
		key, err := envelope.ReadKey(filepath.Join(l.cfg.DataDir, "node.key"))
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := envelope.IssueCertificate(l.root, envelope.Certified{
			Fleet: fleet, Usage: envelope.UsageNode, Subject: nodeName, PublicKey: key.Public().(ed25519.PublicKey),
			NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(50 * time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		plane := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			raw, err := io.ReadAll(r.Body)
			var req joinv1.JoinRequest
			if err != nil || proto.Unmarshal(raw, &req) != nil || !bytes.Equal(req.GetPublicKey(), key.Public().(ed25519.PublicKey)) {
				http.Error(w, "another key", http.StatusBadRequest)
				return
			}
			claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":%q}`, req.GetNatsUser()))
			w.Header().Set("Content-Type", "application/proto")
			_, _ = w.Write(l.encode(&joinv1.JoinResponse{Fleet: fleet, Certificate: fresh, NatsJwt: "e30." + claims + ".c2ln"})) // The node is there.
		}))
		t.Cleanup(plane.Close)
		if l.cfg.JoinToken, err = (jointoken.Token{ID: "jtk_1", Secret: "s", Server: plane.URL}).Encode(); err != nil {
			t.Fatal(err)
		}
		r := l.run()
		if c.asks {
			bustest.Eventually(t, name+": the node joins again", func() bool { return strings.Contains(r.logs.String(), `"msg":"starting"`) })
		} else {
			bustest.Eventually(t, name+": the node says so", func() bool { return strings.Contains(r.logs.String(), "has joined already") })
		}
		raw, err := envelope.ReadCertificate(filepath.Join(l.cfg.DataDir, "node.cert"))
		if err != nil || bytes.Equal(raw, fresh) != c.asks {
			t.Errorf("%s: a new certificate: %t, %v; want %t", name, bytes.Equal(raw, fresh), err, c.asks)
		}
		r.stop()
	}
}

// Such a node goes on serving, as far as it can: it has to be said that its log is not taken.
func TestRun_SaysThatItsCertificateCountsNoLonger(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	l.equipBy(l.certify(envelope.UsageIssuer, "issuer", time.Now().Add(time.Hour)))
	r := l.run()
	bustest.Eventually(t, "the node says so", func() bool { return strings.Contains(r.logs.String(), "start it with a new join token") })
	r.stop()
}

// equipBy puts a node's key and certificate into the data dir, of an issuer that no key set names.
func (l *land) equipBy(issuerKey ed25519.PrivateKey, issuer []byte) {
	l.t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	by := envelope.NewIssuer(issuerKey, issuer)
	limits, err := by.Limits()
	if err != nil {
		l.t.Fatal(err)
	}
	certificate, err := by.Certify(envelope.Certified{
		Fleet: fleet, Usage: envelope.UsageNode, Subject: nodeName, PublicKey: public, NotBefore: limits.NotBefore, NotAfter: limits.NotAfter,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := envelope.WriteKey(filepath.Join(l.cfg.DataDir, "node.key"), key); err != nil {
		l.t.Fatal(err)
	}
	if err := envelope.WriteCertificate(filepath.Join(l.cfg.DataDir, "node.cert"), certificate); err != nil {
		l.t.Fatal(err)
	}
}

// A node that was told no CA trusts the system's: a server in between that offers no TLS must not get its credentials' proof, nor its questions.
func TestRun_SpeaksTLSAloneWithTheServersThatItWasTold(t *testing.T) {
	t.Parallel()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	said := make(chan string, 1)
	go func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"max_payload\":1048576,\"proto\":1,\"headers\":true}\r\n")
			b, _ := io.ReadAll(c) // All that the node says before it hangs up; or nothing.
			_ = c.Close()
			select {
			case said <- string(b):
			default:
			}
		}
	}()
	l := newLand(t)
	l.cfg.NATSURL = ""
	told := fmt.Sprintf(`{"server": "https://127.0.0.1:1", "nats": ["nats://%s"]}`, plain.Addr())
	for file, content := range map[string]string{"joined.json": told, "nats.creds": ""} {
		if err := os.WriteFile(filepath.Join(l.cfg.DataDir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := l.run()
	select {
	case s := <-said:
		if s != "" {
			t.Errorf("the node said %q", s)
		}
	case <-time.After(bustest.Patience):
		t.Error("the node does not hang up")
	}
	r.stop()
}
