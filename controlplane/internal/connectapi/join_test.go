package connectapi

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/jointoken"
	joinv1 "tollgate/gen/go/tollgate/join/v1"
	"tollgate/gen/go/tollgate/join/v1/joinv1connect"
)

// testIssuer certifies nodes of a fleet that tests make up.
type testIssuer struct {
	root   ed25519.PublicKey
	issuer *envelope.Issuer
	// missing is what the control plane lacks; nil: nothing.
	missing error
}

func newTestIssuer(t *testing.T) *testIssuer {
	t.Helper()
	root, rootKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := envelope.IssueCertificate(rootKey, envelope.Certified{
		Fleet: "f", Usage: envelope.UsageIssuer, PublicKey: public, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &testIssuer{root: root, issuer: envelope.NewIssuer(key, certificate)}
}

func (i *testIssuer) Issue(node string, key []byte, user string, now time.Time) (licensing.Issued, error) {
	if i.missing != nil {
		return licensing.Issued{}, i.missing
	}
	until := now.Add(100 * time.Hour)
	certificate, err := i.issuer.Certify(envelope.Certified{
		Fleet: "f", Usage: envelope.UsageNode, Subject: node, PublicKey: key, NotBefore: now, NotAfter: until,
	})
	return licensing.Issued{Certificate: certificate, NATSJWT: "jwt of " + user, ExpireTime: until}, err
}

func (i *testIssuer) certified(raw []byte) (string, ed25519.PublicKey, error) {
	c, err := envelope.OpenCertificate(i.root, raw)
	return c.Subject, c.PublicKey, err
}

// joiningNode is a node's keys.
type joiningNode struct {
	key  ed25519.PrivateKey
	user string
}

func newNode(t *testing.T) joiningNode {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return joiningNode{key, "U" + strings.Repeat(rand.Text(), 3)[:55]}
}

// asks is what the node sends to join.
func (n joiningNode) asks(t *testing.T, token, name string) *joinv1.JoinRequest {
	t.Helper()
	parsed, err := jointoken.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	return &joinv1.JoinRequest{
		Token: token, Node: name, PublicKey: n.key.Public().(ed25519.PublicKey), NatsUser: n.user,
		Proof: ed25519.Sign(n.key, jointoken.Challenge(parsed.ID, name, n.user)),
	}
}

func (a *api) joins() joinv1connect.JoinServiceClient {
	return joinv1connect.NewJoinServiceClient(http.DefaultClient, a.url)
}

// joinToken makes a token, and returns its id and the whole of it.
func (a *api) joinToken(body string) (id, secret string) {
	a.t.Helper()
	res := a.object("FleetService/CreateJoinToken", body)
	id, _ = at(res, "joinToken", "id").(string)
	secret, _ = res["secret"].(string)
	return id, secret
}

// expiredToken is one that was made two hours ago, for one.
func (a *api) expiredToken() string {
	a.t.Helper()
	past := func() time.Time { return time.Now().Add(-2 * time.Hour) }
	svc, err := licensing.New(licensing.Config{Store: a.db.Licensing(), Encoder: rulefeed.Encoder{}, Now: past})
	if err != nil {
		a.t.Fatal(err)
	}
	made, secret, err := svc.CreateJoinToken(a.t.Context(), licensing.JoinToken{}, time.Hour)
	if err != nil {
		a.t.Fatal(err)
	}
	whole, err := (jointoken.Token{ID: made.ID, Secret: secret, Server: a.url}).Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	return whole
}

func (a *api) events() uint64 {
	a.t.Helper()
	_, _, head, err := audit.NewService(a.db.Audit()).Events(a.t.Context(), audit.List{Limit: 1})
	if err != nil {
		a.t.Fatal(err)
	}
	return head.Sequence
}

func wantCode(t *testing.T, what string, err error, code connect.Code, text string) {
	t.Helper()
	if connect.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%s: %v, want %s with %q", what, err, code, text)
	}
}

func TestJoin_ANodeIsTakenInOnceAndAnsweredAgain(t *testing.T) {
	t.Parallel()
	a := setup(t)
	id, token := a.joinToken(`{"node": "node-3"}`)
	node := newNode(t)
	before := a.events()
	first, err := a.joins().Join(t.Context(), node.asks(t, token, ""))
	if err != nil {
		t.Fatal(err)
	}
	c, err := envelope.OpenCertificate(a.issuer.root, first.GetCertificate())
	if err != nil || c.Subject != "node-3" || !c.PublicKey.Equal(node.key.Public()) {
		t.Errorf("certificate %+v, %v", c, err)
	}
	if first.GetNatsJwt() != "jwt of "+node.user || first.GetNatsCa() != "the CA" || len(first.GetNatsUrls()) != 1 || first.GetFleet() == "" {
		t.Errorf("answer %v", first)
	}
	// The answer was lost. The name may be said or not.
	for _, name := range []string{"", "node-3"} {
		again, err := a.joins().Join(t.Context(), node.asks(t, token, name))
		if err != nil || !bytes.Equal(again.GetCertificate(), first.GetCertificate()) || again.GetNatsJwt() != first.GetNatsJwt() {
			t.Errorf("again as %q: %v, %v", name, again, err)
		}
	}
	if got := a.events(); got != before+1 {
		t.Errorf("%d events for one join", got-before)
	}
	events, _, _, err := audit.NewService(a.db.Audit()).Events(t.Context(), audit.List{Limit: 1})
	if err != nil || events[0].Actor != id || events[0].Kind != "node" || events[0].ID != "node-3" || strings.Contains(events[0].After, "jwt of") {
		t.Errorf("event %+v, %v", events, err)
	}
	_, err = a.joins().Join(t.Context(), newNode(t).asks(t, token, ""))
	wantCode(t, "another node by a used token", err, connect.CodeFailedPrecondition, "used up")
	res := a.object("FleetService/ListJoinTokens", `{}`)
	if b, _ := json.Marshal(res); strings.Contains(string(b), token[10:40]) || !strings.Contains(string(b), `"used":1`) {
		t.Errorf("list %s", b)
	}
}

func TestJoin_ParallelNodesNeverUseATokenMoreThanItAllows(t *testing.T) {
	t.Parallel()
	a := setup(t)
	_, token := a.joinToken(`{"uses": 3}`)
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		joined int
	)
	for i := range 12 {
		req := newNode(t).asks(t, token, fmt.Sprintf("node-%d", i))
		all.Go(func() {
			_, err := a.joins().Join(context.WithoutCancel(t.Context()), req)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				joined++
			case connect.CodeOf(err) != connect.CodeFailedPrecondition:
				t.Errorf("refused by %v", err)
			}
		})
	}
	all.Wait()
	if joined != 3 {
		t.Errorf("%d nodes joined by a token for 3", joined)
	}
}

func TestJoin_AStolenTokenTakesNoNameThatIsHeld(t *testing.T) {
	t.Parallel()
	a := setup(t)
	_, token := a.joinToken(`{"uses": 5}`)
	holder := newNode(t)
	if _, err := a.joins().Join(t.Context(), holder.asks(t, token, "node-1")); err != nil {
		t.Fatal(err)
	}
	if err := a.fleet.Report(t.Context(), fleet.Node{Name: "hand-made", Boot: "b", State: "fresh"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node-1", "hand-made"} {
		_, err := a.joins().Join(t.Context(), newNode(t).asks(t, token, name))
		wantCode(t, name, err, connect.CodeAlreadyExists, "another node is called "+name)
	}
	// One's own keys under another name would make two nodes of one.
	_, err := a.joins().Join(t.Context(), holder.asks(t, token, "node-2"))
	wantCode(t, "the same keys as node-2", err, connect.CodeAlreadyExists, "these keys")
	// The same key with a new NATS user is the same node, whose disk lost a part.
	again := joiningNode{holder.key, newNode(t).user}
	if _, err := a.joins().Join(t.Context(), again.asks(t, token, "node-1")); err != nil {
		t.Errorf("the same key: %v", err)
	}
	_, replace := a.joinToken(`{"node": "node-1", "replace": true}`)
	heir := newNode(t)
	res, err := a.joins().Join(t.Context(), heir.asks(t, replace, ""))
	if err != nil {
		t.Fatal(err)
	}
	// The former holder is out of the books, the heir is in them.
	old, err := a.issuer.Issue("node-1", holder.key.Public().(ed25519.PublicKey), holder.user, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.joins().Renew(t.Context(), again.renews(old.Certificate))
	wantCode(t, "the former holder renews", err, connect.CodePermissionDenied, "another key holds")
	renewed, err := a.joins().Renew(t.Context(), heir.renews(res.GetCertificate()))
	if err != nil || bytes.Equal(renewed.GetCertificate(), res.GetCertificate()) || renewed.GetNatsJwt() != "jwt of "+heir.user {
		t.Errorf("the heir renews: %v, %v", renewed, err)
	}
}

func (n joiningNode) renews(certificate []byte) *joinv1.RenewRequest {
	return &joinv1.RenewRequest{
		Certificate: certificate, NatsUser: n.user, Proof: ed25519.Sign(n.key, jointoken.RenewChallenge(certificate, n.user)),
	}
}

// Each row is refused by the right code with its field, and nothing of it is kept.
func TestJoin_RefusesBadInput(t *testing.T) {
	t.Parallel()
	a := setup(t)
	_, token := a.joinToken(`{"uses": 9}`)
	_, named := a.joinToken(`{"node": "node-7"}`)
	revokedID, revoked := a.joinToken(`{}`)
	a.object("FleetService/RevokeJoinToken", `{"id": "`+revokedID+`"}`)
	expired := a.expiredToken()
	parsed, err := jointoken.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(change func(*jointoken.Token)) string {
		forged := parsed
		change(&forged)
		s, err := forged.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	node, other := newNode(t), newNode(t)
	before := a.events()
	sign := func(r *joinv1.JoinRequest) {
		p, err := jointoken.Parse(r.GetToken())
		if err == nil {
			r.Proof = ed25519.Sign(node.key, jointoken.Challenge(p.ID, r.GetNode(), r.GetNatsUser()))
		}
	}
	for name, c := range map[string]struct {
		change func(*joinv1.JoinRequest)
		code   connect.Code
		field  string
	}{
		"no token":            {func(r *joinv1.JoinRequest) { r.Token = "" }, connect.CodeUnauthenticated, "token"},
		"an API token":        {func(r *joinv1.JoinRequest) { r.Token = a.owner }, connect.CodeUnauthenticated, "token"},
		"a changed character": {func(r *joinv1.JoinRequest) { r.Token = r.Token[:20] + "x" + r.Token[21:] }, connect.CodeUnauthenticated, "token"},
		"another secret": {func(r *joinv1.JoinRequest) {
			r.Token = forge(func(t *jointoken.Token) { t.Secret = strings.Repeat("a", 40) })
			sign(r)
		}, connect.CodeUnauthenticated, "token"},
		"an unknown id": {func(r *joinv1.JoinRequest) {
			r.Token = forge(func(t *jointoken.Token) { t.ID = "jtk_01K0000000000000000000000" })
			sign(r)
		}, connect.CodeUnauthenticated, "token"},
		"an id with a NUL": {func(r *joinv1.JoinRequest) {
			r.Token = forge(func(t *jointoken.Token) { t.ID = "jtk_\x00" })
			sign(r)
		}, connect.CodeUnauthenticated, "token"},
		"revoked":            {func(r *joinv1.JoinRequest) { r.Token = revoked; sign(r) }, connect.CodeUnauthenticated, "token"},
		"expired":            {func(r *joinv1.JoinRequest) { r.Token = expired; sign(r) }, connect.CodeUnauthenticated, "token"},
		"another's name":     {func(r *joinv1.JoinRequest) { r.Token = named; sign(r) }, connect.CodePermissionDenied, "node"},
		"no name":            {func(r *joinv1.JoinRequest) { r.Node = ""; sign(r) }, connect.CodeInvalidArgument, "node"},
		"a wildcard":         {func(r *joinv1.JoinRequest) { r.Node = "*"; sign(r) }, connect.CodeInvalidArgument, "node"},
		"all subjects":       {func(r *joinv1.JoinRequest) { r.Node = ">"; sign(r) }, connect.CodeInvalidArgument, "node"},
		"two subjects":       {func(r *joinv1.JoinRequest) { r.Node = "a.b"; sign(r) }, connect.CodeInvalidArgument, "node"},
		"a path":             {func(r *joinv1.JoinRequest) { r.Node = "../x"; sign(r) }, connect.CodeInvalidArgument, "node"},
		"a line":             {func(r *joinv1.JoinRequest) { r.Node = "a\n"; sign(r) }, connect.CodeInvalidArgument, "node"},
		"a long name":        {func(r *joinv1.JoinRequest) { r.Node = strings.Repeat("n", 65); sign(r) }, connect.CodeInvalidArgument, "node"},
		"no key":             {func(r *joinv1.JoinRequest) { r.PublicKey = nil }, connect.CodeInvalidArgument, "public_key"},
		"a short key":        {func(r *joinv1.JoinRequest) { r.PublicKey = r.PublicKey[1:] }, connect.CodeInvalidArgument, "public_key"},
		"another's key":      {func(r *joinv1.JoinRequest) { r.PublicKey = other.key.Public().(ed25519.PublicKey) }, connect.CodeInvalidArgument, "proof"},
		"no proof":           {func(r *joinv1.JoinRequest) { r.Proof = nil }, connect.CodeInvalidArgument, "proof"},
		"a proof of a name":  {func(r *joinv1.JoinRequest) { r.Node = "node-8" }, connect.CodeInvalidArgument, "proof"},
		"a proof of a user":  {func(r *joinv1.JoinRequest) { r.NatsUser = other.user }, connect.CodeInvalidArgument, "proof"},
		"a proof of a token": {func(r *joinv1.JoinRequest) { r.Token = named }, connect.CodeInvalidArgument, "proof"},
		"no NATS user":       {func(r *joinv1.JoinRequest) { r.NatsUser = ""; sign(r) }, connect.CodeInvalidArgument, "nats_user"},
		"a NATS account":     {func(r *joinv1.JoinRequest) { r.NatsUser = "A" + r.NatsUser[1:]; sign(r) }, connect.CodeInvalidArgument, "nats_user"},
	} {
		req := node.asks(t, token, "node-1")
		c.change(req)
		_, err := a.joins().Join(t.Context(), req)
		wantCode(t, name, err, c.code, c.field)
		if got := a.events(); got != before {
			t.Fatalf("%s: something is kept", name)
		}
	}
	if _, err := a.joins().Join(t.Context(), node.asks(t, token, "node-1")); err != nil {
		t.Errorf("without a fault: %v", err)
	}
}

func TestJoin_RenewRefusesBadInput(t *testing.T) {
	t.Parallel()
	a := setup(t)
	_, token := a.joinToken(`{}`)
	node, other := newNode(t), newNode(t)
	joined, err := a.joins().Join(t.Context(), node.asks(t, token, "node-1"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newTestIssuer(t).Issue("node-1", node.key.Public().(ed25519.PublicKey), node.user, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	unjoined, err := a.issuer.Issue("node-2", node.key.Public().(ed25519.PublicKey), node.user, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	before := a.events()
	for name, c := range map[string]struct {
		req  *joinv1.RenewRequest
		code connect.Code
		text string
	}{
		"nothing":              {&joinv1.RenewRequest{}, connect.CodeUnauthenticated, "certificate"},
		"another root's":       {node.renews(stranger.Certificate), connect.CodeUnauthenticated, "certificate"},
		"another key's":        {other.renews(joined.GetCertificate()), connect.CodeInvalidArgument, "proof"},
		"a node not in a book": {node.renews(unjoined.Certificate), connect.CodeFailedPrecondition, "did not join"},
		"no NATS user":         {joiningNode{node.key, "x"}.renews(joined.GetCertificate()), connect.CodeInvalidArgument, "nats_user"},
	} {
		_, err := a.joins().Renew(t.Context(), c.req)
		wantCode(t, name, err, c.code, c.text)
	}
	if got := a.events(); got != before {
		t.Errorf("%d events of what was refused", got-before)
	}
}

func TestJoin_SaysWhatTheControlPlaneLacks(t *testing.T) {
	t.Parallel()
	a := setup(t)
	_, token := a.joinToken(`{}`)
	a.issuer.missing = &licensing.Error{Code: licensing.FailedPrecondition, Message: "set nats_account_seed"}
	node := newNode(t)
	_, err := a.joins().Join(t.Context(), node.asks(t, token, "node-1"))
	wantCode(t, "without an account", err, connect.CodeFailedPrecondition, "nats_account_seed")
	a.issuer.missing = nil
	if _, err := a.joins().Join(t.Context(), node.asks(t, token, "node-1")); err != nil {
		t.Errorf("the refused attempt was a use: %v", err)
	}
}

func TestCreateJoinToken_RefusesBadInput(t *testing.T) {
	t.Parallel()
	a := setup(t)
	before := a.events()
	for body, field := range map[string]string{
		`{"node": "a.b"}`: "node",
		`{"node": "*"}`:   "node",
		`{"node": "` + strings.Repeat("n", 65) + `"}`: "node",
		`{"uses": -1}`:        "uses",
		`{"uses": 10001}`:     "uses",
		`{"ttl": "0s"}`:       "ttl",
		`{"ttl": "-1s"}`:      "ttl",
		`{"ttl": "2592001s"}`: "ttl",
		`{"replace": true}`:   "replace",
	} {
		res := a.post("FleetService/CreateJoinToken", body)
		if res.Code != "invalid_argument" || !strings.Contains(res.Body, field) {
			t.Errorf("%s: %d %s, want %s", body, res.Status, res.Body, field)
		}
	}
	if res := a.post("FleetService/RevokeJoinToken", `{"id": "jtk_none"}`); res.Code != "not_found" {
		t.Errorf("revoke what is not there: %s", res.Body)
	}
	if got := a.events(); got != before {
		t.Errorf("%d events of what was refused", got-before)
	}
	res := a.object("FleetService/CreateJoinToken", `{"validateOnly": true}`)
	if res["secret"] != nil {
		t.Errorf("only checked, and yet a secret: %v", res)
	}
}

func TestCreateJoinToken_NeedsToKnowWhereNodesAsk(t *testing.T) {
	t.Parallel()
	a := setupOn(t, pgtest.Open(t), func(c *Config) { c.AdminURL = "" })
	if res := a.post("FleetService/CreateJoinToken", `{}`); res.Code != "failed_precondition" || !strings.Contains(res.Message, "admin_url") {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}

func TestJoin_TakesNoLargeBodyAndNoOtherCall(t *testing.T) {
	t.Parallel()
	a := setup(t)
	large := `{"token": "` + strings.Repeat("x", maxJoin) + `"}`
	if res := a.send(joinPath+"Join", strings.NewReader(large), "Authorization", ""); res.Status == http.StatusOK || res.Code == "unauthenticated" {
		t.Errorf("a body of %d bytes: %d %s", len(large), res.Status, res.Body)
	}
	if res := a.send(joinPath+"Leave", strings.NewReader("{}"), "Authorization", ""); res.Status != http.StatusNotFound {
		t.Errorf("no such call: %d %s", res.Status, res.Body)
	}
	junk := base64.StdEncoding.EncodeToString([]byte("junk"))
	if res := a.send(joinPath+"Join", strings.NewReader(`{"token": "tgj_x", "proof": "`+junk+`"}`), "Authorization", ""); res.Code != "unauthenticated" {
		t.Errorf("junk: %d %s", res.Status, res.Body)
	}
}

func TestStrangers_AreLimitedByAddress(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	s := &strangers{now: func() time.Time { return now }, seen: map[netip.Prefix]allowance{}}
	one, two := sourceOf("192.0.2.1:1"), sourceOf("192.0.2.2:1")
	admitted := func(p netip.Prefix) (n int) {
		for range 3 * joinBurst {
			if s.take(p) == 0 {
				n++
			}
		}
		return n
	}
	if got := admitted(one); got != joinBurst {
		t.Errorf("%d at once, want %d", got, joinBurst)
	}
	if got := admitted(two); got != joinBurst {
		t.Errorf("%d for another address, want %d", got, joinBurst)
	}
	now = now.Add(5 * joinEvery)
	if got := admitted(one); got != 5 {
		t.Errorf("%d after 5 intervals", got)
	}
	if a, b := sourceOf("[2001:db8::1]:1"), sourceOf("[2001:db8::2]:9"); a != b {
		t.Errorf("%s and %s are one subscriber's", a, b)
	}
	if a, b := sourceOf("[::ffff:192.0.2.1]:1"), one; a != b {
		t.Errorf("%s and %s are one address", a, b)
	}
}
