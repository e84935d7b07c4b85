package natsserver

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// A client that speaks no TLS gets no further than the server's greeting, whatever it says next.
func TestStart_RefusesPlainText(t *testing.T) {
	t.Parallel()
	_, s := start(t, t.TempDir())
	conn, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimPrefix(s.URL(), "tls://"), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	greeting, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		Required bool `json:"tls_required"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(greeting, "INFO ")), &info); err != nil || !info.Required {
		t.Errorf("greeting %s, %v", greeting, err)
	}
	fmt.Fprint(conn, "CONNECT {\"verbose\":true}\r\nPING\r\n")
	if answer, err := r.ReadString('\n'); err == nil && strings.HasPrefix(answer, "PONG") || strings.HasPrefix(answer, "+OK") {
		t.Errorf("plain text is answered: %q", answer)
	}
}

func TestStart_IsVerifiedByItsOwnCAAlone(t *testing.T) {
	t.Parallel()
	creds, s := start(t, t.TempDir())
	other, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := nats.Connect(s.URL(), nats.UserCredentials(creds), nats.RootCAs(other.CA())); !errors.As(err, &unknown) {
		t.Errorf("by another CA: %v", err)
	}
	if _, err := nats.Connect(s.URL(), nats.UserCredentials(creds)); !errors.As(err, &unknown) {
		t.Errorf("by the system's: %v", err)
	}
	old := nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12})
	if _, err := nats.Connect(s.URL(), nats.UserCredentials(creds), old, nats.RootCAs(s.id.CA())); err == nil {
		t.Error("TLS 1.2 is taken")
	}
	connect(t, s, creds)
}

// Whoever strips TLS from the greeting gets no credentials: a client with a CA wants TLS.
func TestClient_WithACASpeaksNoPlainText(t *testing.T) {
	t.Parallel()
	id, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			heard <- err.Error()
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.15.0\",\"proto\":1,\"max_payload\":1048576}\r\n")
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // A read that fails is heard as nothing.
		line, _ := bufio.NewReader(conn).ReadString('\n')
		heard <- line
	}()
	creds, err := id.Credentials("admin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nats.Connect("nats://"+l.Addr().String(), nats.UserCredentials(creds), nats.RootCAs(id.CA())); !errors.Is(err, nats.ErrSecureConnWanted) {
		t.Errorf("connect: %v", err)
	}
	if got := <-heard; got != "" {
		t.Errorf("the server heard %q", got)
	}
}

func TestOpen_RenewsTheServersCertificateAndKeepsTheCA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.MkdirAll(dir, 0o700))
	now := time.Now()
	must(t, ensureTLS(dir, nil, now))
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		return string(b)
	}
	ca, first := read(caFile), read(serverFile)
	must(t, ensureTLS(dir, nil, now.Add(serverLifetime/3)))
	if read(serverFile) != first {
		t.Error("made anew long before its end")
	}
	must(t, ensureTLS(dir, nil, now.Add(serverLifetime*2/3)))
	second := read(serverFile)
	if second == first {
		t.Error("not made anew near its end")
	}
	must(t, ensureTLS(dir, []string{"nats.example", "192.0.2.7"}, now.Add(serverLifetime*2/3)))
	c, _, err := readPair(dir, serverFile, serverKeyFile)
	must(t, err)
	for _, host := range []string{"nats.example", "192.0.2.7", "localhost", "127.0.0.1", "::1"} {
		if err := c.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	// A start that was killed between key and certificate.
	must(t, os.WriteFile(filepath.Join(dir, serverFile), []byte(first), 0o600))
	must(t, ensureTLS(dir, nil, now))
	if _, err := serverTLS(dir); err != nil {
		t.Error(err)
	}
	if read(caFile) != ca {
		t.Error("the CA changed, so clients would be cut off")
	}
	for _, f := range []string{caKeyFile, serverKeyFile} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
}

func TestNodeUser_IsAdmittedUntilItEnds(t *testing.T) {
	t.Parallel()
	_, s := start(t, t.TempDir())
	seed, err := os.ReadFile(s.id.AccountSeed())
	must(t, err)
	account, err := NewAccount(string(seed))
	must(t, err)
	user, err := nkeys.CreateUser()
	must(t, err)
	public, err := user.PublicKey()
	must(t, err)
	dial := func(until time.Time) error {
		text, err := account.NodeUser("node-1", public, until)
		must(t, err)
		c, err := nats.Connect(s.URL(), nats.RootCAs(s.id.CA()), nats.UserJWT(
			func() (string, error) { return text, nil }, user.Sign))
		if err == nil {
			c.Close()
		}
		return err
	}
	text, err := account.NodeUser("node-1", public, time.Now().Add(time.Hour))
	must(t, err)
	claims, err := jwt.DecodeUserClaims(text)
	must(t, err)
	if got := describe(claims.Permissions); got != describe(nodePermissions("node-1")) || claims.Issuer != s.id.nodes.claims.Subject {
		t.Errorf("may %s, by %s", got, claims.Issuer)
	}
	if err := dial(time.Now().Add(time.Hour)); err != nil {
		t.Errorf("in time: %v", err)
	}
	if err := dial(time.Now().Add(-time.Hour)); err == nil {
		t.Error("admitted after its end")
	}
	for _, bad := range []string{"", "U", "node-1", strings.Replace(public, "U", "A", 1), public[:55] + "A"} {
		if _, err := account.NodeUser("node-1", bad, time.Now()); bad != public && !errors.Is(err, ErrUser) {
			t.Errorf("user %q: %v", bad, err)
		}
	}
	operator, err := os.ReadFile(filepath.Join(s.id.dir, "operator.nk"))
	must(t, err)
	for _, bad := range []string{"", "SA", string(operator)} {
		if _, err := NewAccount(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) && len(bad) > 10 {
			t.Errorf("seed: %v", err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
