package join

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/jointoken"
	joinv1 "tollgate/gen/go/tollgate/join/v1"
)

// plane is a control plane that takes one pair of keys in, as often as it asks.
type plane struct {
	t      *testing.T
	root   ed25519.PublicKey
	issuer *envelope.Issuer
	trust  []byte
	revoke []byte // A key set without the issuer.
	url    string

	mu sync.Mutex
	// before is done with a call before it is looked at; true: it has answered.
	before func(http.ResponseWriter) bool
	// change is done with an answer.
	change func(*joinv1.JoinResponse)
	holder ed25519.PublicKey
	user   string
	calls  int
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	root, rootKey, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	public, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	issuer := envelope.Certified{
		Fleet: "f", Usage: envelope.UsageIssuer, PublicKey: public, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	certificate, err := envelope.IssueCertificate(rootKey, issuer)
	must(t, err)
	p := &plane{t: t, root: root, issuer: envelope.NewIssuer(key, certificate)}
	p.trust, err = envelope.SignTrust(rootKey, envelope.KeySet{Fleet: "f", Version: 1, Keys: []envelope.Certified{issuer}}, nil)
	must(t, err)
	p.revoke, err = envelope.SignTrust(rootKey, envelope.KeySet{Fleet: "f", Version: 2}, nil)
	must(t, err)
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":%q,"message":%q}`, code, message)
}

func (p *plane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.before != nil && p.before(w) {
		return
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_argument", err.Error())
		return
	}
	var res proto.Message
	if strings.HasSuffix(r.URL.Path, "/Renew") {
		res, err = p.renew(raw)
	} else {
		res, err = p.join(raw)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "failed_precondition", err.Error())
		return
	}
	out, err := proto.Marshal(res)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "internal", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/proto")
	_, _ = w.Write(out) // Who is gone asks again.
}

func (p *plane) join(raw []byte) (*joinv1.JoinResponse, error) {
	var req joinv1.JoinRequest
	if err := proto.Unmarshal(raw, &req); err != nil {
		return nil, err
	}
	token, err := jointoken.Parse(req.GetToken())
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(req.GetPublicKey(), jointoken.Challenge(token.ID, req.GetNode(), req.GetNatsUser()), req.GetProof()) {
		return nil, errors.New("no proof")
	}
	if p.holder != nil && (!p.holder.Equal(ed25519.PublicKey(req.GetPublicKey())) || p.user != req.GetNatsUser()) {
		return nil, errors.New("the token is used up")
	}
	p.holder, p.user = req.GetPublicKey(), req.GetNatsUser()
	certificate, err := p.certify(p.holder, time.Now().Add(100*time.Hour))
	if err != nil {
		return nil, err
	}
	res := &joinv1.JoinResponse{Fleet: "f", Certificate: certificate, NatsUrls: []string{"tls://127.0.0.1:1", "tls://127.0.0.1:2"}, NatsJwt: jwtOf(p.user), NatsCa: "PEM", Trust: p.trust}
	if p.change != nil {
		p.change(res)
	}
	return res, nil
}

func (p *plane) renew(raw []byte) (*joinv1.RenewResponse, error) {
	var req joinv1.RenewRequest
	if err := proto.Unmarshal(raw, &req); err != nil {
		return nil, err
	}
	if !ed25519.Verify(p.holder, jointoken.RenewChallenge(req.GetCertificate(), req.GetNatsUser()), req.GetProof()) {
		return nil, errors.New("no proof")
	}
	certificate, err := p.certify(p.holder, time.Now().Add(200*time.Hour))
	return &joinv1.RenewResponse{Certificate: certificate, NatsJwt: jwtOf(req.GetNatsUser())}, err
}

func (p *plane) certify(key ed25519.PublicKey, until time.Time) ([]byte, error) {
	return p.issuer.Certify(envelope.Certified{
		Fleet: "f", Usage: envelope.UsageNode, Subject: "node-1", PublicKey: key, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
	})
}

func jwtOf(user string) string {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"` + user + `"}`))
	return "e30." + claims + ".c2ln"
}

func (p *plane) config(dir string) Config {
	p.t.Helper()
	token, err := jointoken.Token{ID: "jtk_1", Secret: "s", Server: p.url}.Encode()
	must(p.t, err)
	return Config{Dir: dir, Token: token, Node: "node-1", Root: p.root, TrustFile: "key_set", Logger: slog.New(slog.DiscardHandler)}
}

func TestJoin_KeepsAnIdentityThatOnlyItsOwnerReads(t *testing.T) {
	t.Parallel()
	p, dir := newPlane(t), t.TempDir()
	must(t, Join(t.Context(), p.config(dir)))
	j, err := Read(dir)
	must(t, err)
	if j.Server != p.url || len(j.NATS) != 2 || j.Creds != filepath.Join(dir, "nats.creds") || j.CA != filepath.Join(dir, "nats-ca.pem") {
		t.Errorf("%+v", j)
	}
	creds, err := os.ReadFile(j.Creds)
	must(t, err)
	seed, err := os.ReadFile(filepath.Join(dir, seedFile))
	must(t, err)
	if !bytes.Contains(creds, []byte(jwtOf(p.user))) || !bytes.Contains(creds, seed) {
		t.Error("the credentials lack JWT or seed")
	}
	for _, f := range []string{KeyFile, seedFile, credsFile, joinedFile, caFile} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want 0600", f, st, err)
		}
	}
	if raw, err := os.ReadFile(filepath.Join(dir, joinedFile)); err != nil || bytes.Contains(raw, []byte("tgj_")) {
		t.Errorf("the token is kept: %s, %v", raw, err)
	}
}

// A process that is killed leaves some of the files, in the order in which they are written. From each of these states the
// same token leads to the same identity, though the control plane takes one pair of keys alone.
func TestJoin_GoesOnFromWhereverItWasKilled(t *testing.T) {
	t.Parallel()
	order := []string{KeyFile, seedFile, caFile, credsFile, joinedFile, CertificateFile}
	whole := t.TempDir()
	p := newPlane(t)
	must(t, Join(t.Context(), p.config(whole)))
	for kept := 2; kept < len(order); kept++ {
		dir := t.TempDir()
		for _, f := range order[:kept] {
			b, err := os.ReadFile(filepath.Join(whole, f))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, f), b, 0o600))
		}
		// And half a file of the next step, under the name that is never read.
		must(t, os.WriteFile(filepath.Join(dir, ".join-1"), []byte("half"), 0o600))
		if err := Join(t.Context(), p.config(dir)); err != nil {
			t.Errorf("killed after %s: %v", order[kept-1], err)
			continue
		}
		for _, f := range order {
			if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
				t.Errorf("killed after %s: %v", order[kept-1], err)
			}
		}
	}
	// Before anything was asked, keys may be made anew.
	early := newPlane(t)
	dir := t.TempDir()
	b, err := os.ReadFile(filepath.Join(whole, KeyFile))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, KeyFile), b, 0o600))
	must(t, Join(t.Context(), early.config(dir)))
}

func TestJoin_TriesAgainWhatMayPass(t *testing.T) {
	t.Parallel()
	p, dir := newPlane(t), t.TempDir()
	p.before = func(w http.ResponseWriter) bool {
		switch p.calls {
		case 1:
			panic(http.ErrAbortHandler) // The connection breaks.
		case 2:
			refuse(w, http.StatusServiceUnavailable, "unavailable", "the database is away")
		case 3:
			http.Error(w, "bad gateway", http.StatusBadGateway)
		case 4:
			refuse(w, http.StatusTooManyRequests, "resource_exhausted", "too many")
		default:
			return false
		}
		return true
	}
	must(t, Join(t.Context(), p.config(dir)))
	if p.calls != 5 {
		t.Errorf("%d calls", p.calls)
	}
}

func TestJoin_GivesUpWhatStays(t *testing.T) {
	t.Parallel()
	for code, status := range map[string]int{
		"unauthenticated": 401, "permission_denied": 403, "failed_precondition": 400, "already_exists": 409, "invalid_argument": 400, "unimplemented": 501,
	} {
		p, dir := newPlane(t), t.TempDir()
		p.before = func(w http.ResponseWriter) bool {
			refuse(w, status, code, "the join token is so and so")
			return true
		}
		err := Join(t.Context(), p.config(dir))
		if err == nil || !strings.Contains(err.Error(), "so and so") || strings.Contains(err.Error(), "\n") || p.calls != 1 {
			t.Errorf("%s: %v after %d calls", code, err, p.calls)
		}
		if _, err := os.Stat(filepath.Join(dir, CertificateFile)); err == nil {
			t.Errorf("%s: there is a certificate", code)
		}
	}
}

func TestJoin_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.before = func(w http.ResponseWriter) bool {
		cancel()
		refuse(w, http.StatusServiceUnavailable, "unavailable", "away")
		return true
	}
	if err := Join(ctx, p.config(t.TempDir())); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Whoever answers in the control plane's place cannot have the node keep what its own root did not say.
func TestJoin_KeepsNothingThatTheRootDidNotSay(t *testing.T) {
	t.Parallel()
	stranger := newPlane(t)
	for name, change := range map[string]func(*plane, *joinv1.JoinResponse){
		"another root's": func(p *plane, r *joinv1.JoinResponse) {
			c, err := stranger.certify(p.holder, time.Now().Add(time.Hour))
			if err == nil {
				r.Certificate = c
			}
		},
		"another key's": func(p *plane, r *joinv1.JoinResponse) {
			c, err := p.certify(stranger.root, time.Now().Add(time.Hour))
			if err == nil {
				r.Certificate = c
			}
		},
		"another fleet's": func(_ *plane, r *joinv1.JoinResponse) { r.Fleet = "g" },
		"no certificate":  func(_ *plane, r *joinv1.JoinResponse) { r.Certificate = nil },
		"ended": func(p *plane, r *joinv1.JoinResponse) {
			r.Certificate, _ = p.certify(p.holder, time.Now().Add(-time.Minute))
		},
		"a changed byte":   func(_ *plane, r *joinv1.JoinResponse) { r.Certificate[len(r.Certificate)/2] ^= 1 },
		"a false key set":  func(_ *plane, r *joinv1.JoinResponse) { r.Trust = []byte("junk") },
		"another's JWT":    func(_ *plane, r *joinv1.JoinResponse) { r.NatsJwt = jwtOf("UX") },
		"a JWT that is no": func(_ *plane, r *joinv1.JoinResponse) { r.NatsJwt = "x" },
	} {
		p, dir := newPlane(t), t.TempDir()
		p.change = func(r *joinv1.JoinResponse) { change(p, r) }
		if err := Join(t.Context(), p.config(dir)); err == nil {
			t.Errorf("%s is kept", name)
		}
		for _, f := range []string{CertificateFile, credsFile, joinedFile} {
			if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
				t.Errorf("%s: %s is there", name, f)
			}
		}
		if raw, err := envelope.TrustFile(filepath.Join(dir, "key_set")).LoadTrust(); err != nil || raw != nil && !bytes.Equal(raw, p.trust) {
			t.Errorf("%s: a key set is kept that is not the root's, %v", name, err)
		}
		// The true answer is taken afterwards.
		p.change = nil
		if err := Join(t.Context(), p.config(dir)); err != nil {
			t.Errorf("%s, and then the true one: %v", name, err)
		}
	}
	c := newPlane(t).config(t.TempDir())
	c.Node = "node-2"
	if err := Join(t.Context(), c); err == nil || !strings.Contains(err.Error(), "node-2") {
		t.Errorf("a certificate for another name: %v", err)
	}
}

// A revoked issuer's certificate is as good as none, and an answer without a key set shows none that counts.
func TestJoin_TakesNoCertificateOfAnIssuerThatDoesNotCount(t *testing.T) {
	t.Parallel()
	for name, trust := range map[string]func(*plane) []byte{
		"revoked":    func(p *plane) []byte { return p.revoke },
		"no key set": func(*plane) []byte { return nil },
	} {
		p, dir := newPlane(t), t.TempDir()
		p.change = func(r *joinv1.JoinResponse) { r.Trust = trust(p) }
		if err := Join(t.Context(), p.config(dir)); !errors.Is(err, envelope.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, CertificateFile)); err == nil {
			t.Errorf("%s: the certificate is kept", name)
		}
	}
}

func TestJoin_SaysWhatIsWrongWithTheToken(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	c := p.config(t.TempDir())
	for _, bad := range []string{"", "tga_x", c.Token[:len(c.Token)-1]} {
		c.Token = bad
		if err := Join(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "join_token ") || p.calls > 0 {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRenew_ReplacesCertificateAndCredentials(t *testing.T) {
	t.Parallel()
	p, dir := newPlane(t), t.TempDir()
	must(t, Join(t.Context(), p.config(dir)))
	key, err := envelope.ReadKey(filepath.Join(dir, KeyFile))
	must(t, err)
	old, err := envelope.ReadCertificate(filepath.Join(dir, CertificateFile))
	must(t, err)
	v := envelope.NewVerifier("f", p.root)
	_, err = v.Adopt(p.trust)
	must(t, err)
	raw, c, err := Renew(t.Context(), dir, v, key, old)
	must(t, err)
	kept, err := envelope.ReadCertificate(filepath.Join(dir, CertificateFile))
	must(t, err)
	if bytes.Equal(raw, old) || !bytes.Equal(kept, raw) || time.Until(c.NotAfter) < 150*time.Hour {
		t.Errorf("renewed until %s", c.NotAfter)
	}
	if _, _, err := Renew(t.Context(), t.TempDir(), v, key, old); err == nil || !strings.Contains(err.Error(), "did not join") {
		t.Errorf("a node that did not join: %v", err)
	}
	from := time.Unix(0, 0)
	span := envelope.Certified{NotBefore: from, NotAfter: from.Add(9 * time.Hour)}
	if Due(span, from.Add(5*time.Hour)) || !Due(span, from.Add(7*time.Hour)) {
		t.Error("due at another time than two thirds")
	}
}

func TestRead_NothingIsThereBeforeJoining(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if j, err := Read(dir); err != nil || j.Server != "" || j.Creds != "" {
		t.Errorf("%+v, %v", j, err)
	}
	raw, err := json.Marshal("no object")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, joinedFile), raw, 0o600))
	if _, err := Read(dir); err == nil {
		t.Error("a file that is none is read")
	}
}
