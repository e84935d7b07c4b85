package connectapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// api is the whole API on a database of its own.
type api struct {
	t   *testing.T
	url string
	db  *postgres.DB
	// licensing is what stands behind it.
	licensing *licensing.Service
	fleet     *fleet.Service
	owner     string
	issuer    *testIssuer
	log       *lockedBuffer
	// database is its URL; empty on another's.
	database string
	// heads is what NATS and nodes have: the epoch above all that the database has written.
	heads fleet.Heads
}

func (a *api) readHeads(context.Context) (fleet.Heads, error) { return a.heads, nil }

// lockedBuffer takes the log of many calls at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func setup(t *testing.T) *api {
	t.Helper()
	url := pgtest.Database(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	a := setupOn(t, db)
	a.database = url
	return a
}

// silentNode is a node that has not reported for long.
func (a *api) silentNode(name string) {
	a.t.Helper()
	if err := a.fleet.Report(a.t.Context(), fleet.Node{Name: name, Boot: "b", Report: 1, State: "fresh"}); err != nil {
		a.t.Fatal(err)
	}
	pgtest.Exec(a.t, a.database, "UPDATE node SET last_seen = now() - interval '1 hour' WHERE name = '"+name+"'")
}

func setupOn(t *testing.T, db *postgres.DB, change ...func(*Config)) *api {
	t.Helper()
	issuer := newTestIssuer(t)
	svc, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}, Nodes: issuer, KeySets: keySetOpener()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Bootstrap(t.Context(), licensing.Founding{ErrorBaseURL: "http://127.0.0.1/errors/"}); err != nil {
		t.Fatal(err)
	}
	a := &api{t: t, db: db, licensing: svc, fleet: fleet.NewService(db.Nodes()), log: &lockedBuffer{}, issuer: issuer}
	_, a.owner, err = svc.CreateToken(t.Context(), licensing.Token{DisplayName: "test", Role: licensing.Owner})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Licensing: svc, Metering: metering.NewService(db.Metering()), Fleet: a.fleet,
		Audit:    audit.NewService(db.Audit()),
		AdminURL: "http://127.0.0.1:9080", NATS: NATS{URLs: []string{"tls://127.0.0.1:4222"}, CA: "the CA"}, Certified: issuer.certified, Trust: func() []byte { return nil },
		Heads:  a.readHeads,
		Others: http.NotFoundHandler(), Logger: slog.New(slog.NewJSONHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	h, err := Handler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// token makes a token that bears a role.
func (a *api) token(role licensing.Role) string {
	a.t.Helper()
	_, secret, err := a.licensing.CreateToken(a.t.Context(), licensing.Token{Role: role})
	if err != nil {
		a.t.Fatal(err)
	}
	return secret
}

// answer is what came back of a plain JSON call.
type answer struct {
	Status int
	Header http.Header
	Body   string
	// Code and Message are an error's.
	Code    string
	Message string
	Details []detail
}

type detail struct{ Type, Value string }

// post makes a call as curl would, with the owner's token where header does not say otherwise.
func (a *api) post(call, body string, header ...string) answer {
	a.t.Helper()
	return a.send("/tollgate.admin.v1."+call, strings.NewReader(body), header...)
}

func (a *api) send(path string, body io.Reader, header ...string) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+a.owner)
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	out := answer{Status: res.StatusCode, Header: res.Header, Body: string(b)}
	if res.StatusCode != http.StatusOK && json.Valid(b) {
		if err := json.Unmarshal(b, &out); err != nil {
			a.t.Fatalf("%s: %s: %v", path, b, err)
		}
	}
	return out
}

// object reads a good answer.
func (a *api) object(call, body string) map[string]any {
	a.t.Helper()
	res := a.post(call, body)
	if res.Status != http.StatusOK {
		a.t.Fatalf("%s %s: %d %s", call, body, res.Status, res.Body)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(res.Body), &out); err != nil {
		a.t.Fatal(err)
	}
	return out
}

// at digs into JSON by keys.
func at(v any, path ...string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// client is one way to call.
type client struct {
	http    *http.Client
	options []connect.ClientOption
}

// protocols are the ways to call, by name.
func (a *api) protocols() map[string]client {
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	a.t.Cleanup(h2.CloseIdleConnections)
	bearing := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+a.owner)
			return next(ctx, req)
		}
	}))
	return map[string]client{
		"Connect":           {http.DefaultClient, []connect.ClientOption{bearing}},
		"Connect with JSON": {http.DefaultClient, []connect.ClientOption{bearing, connect.WithProtoJSON()}},
		"Connect by GET":    {http.DefaultClient, []connect.ClientOption{bearing, connect.WithHTTPGet()}},
		"gRPC":              {&http.Client{Transport: h2}, []connect.ClientOption{bearing, connect.WithGRPC()}},
		"gRPC-Web":          {http.DefaultClient, []connect.ClientOption{bearing, connect.WithGRPCWeb()}},
	}
}
