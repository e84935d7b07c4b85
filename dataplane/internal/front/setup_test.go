package front_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/front"
	"tollgate/dataplane/internal/identity"
	"tollgate/dataplane/internal/record"
	"tollgate/dataplane/internal/upstream"
)

// house is a front with real rules, accounts, credentials, connections and upstream.
type house struct {
	*testing.T
	rules  *rules
	bank   *bank
	ledger *ledger
	front  *front.Front
	server *front.Server
	addr   string
	reg    *prometheus.Registry
	keys   map[string]string // By licence.
}

const month = 30 * 24 * time.Hour

// setup serves handler as the upstream of service "sample".
func setup(t *testing.T, handler http.HandlerFunc, change ...func(*front.Config)) *house {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }
	}
	up := httptest.NewServer(handler)
	t.Cleanup(up.Close)
	h := &house{
		T: t, rules: &rules{}, ledger: &ledger{settling: make(chan record.Settlement, 1024)},
		bank: &bank{clock: clock.New(clock.System()), accounts: map[string]*decision.Account{}, pools: map[string]int64{}, retry: 300 * time.Millisecond},
		keys: map[string]string{}, reg: prometheus.NewRegistry(),
	}
	h.rules.set(h.state(up.URL), decision.AgeFresh)
	pool := upstream.NewPool()
	logger := slog.New(slog.NewJSONHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := front.Config{
		Rules: h.rules, Limits: h.bank, Log: h.ledger, Identity: identity.Reader{}, Upstreams: pool, Clock: h.bank.clock,
		Registry: h.reg, Logger: logger, Boot: "boot", ColdWait: 2 * time.Second, MaxInFlight: 1000,
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if h.front, err = front.New(cfg); err != nil {
		t.Fatal(err)
	}
	h.server = front.NewServer(h.front, logger)
	h.addr = h.listen()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = h.server.Drain(ctx) // What a test leaves open is ended.
		pool.Close()
	})
	return h
}

// listen serves one more free address.
func (h *house) listen() string {
	h.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.Fatal(err)
	}
	h.server.Serve(l)
	return l.Addr().String()
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

var pepper = []byte("pepper of the tests")

func (h *house) state(upstreamURL string) *decision.State {
	h.Helper()
	e := decision.Edit(nil)
	e.SetSettings(decision.Settings{Env: "live", Pepper: pepper, ErrorBaseURL: "https://admin.example", LoanHorizon: time.Second})
	e.SetService(&decision.Service{Key: "sample", Endpoints: []string{upstreamURL}})
	e.SetService(&decision.Service{Key: "based", Endpoints: []string{upstreamURL + "/ba%20se/"}})
	e.SetService(&decision.Service{Key: "dead", Endpoints: []string{"http://" + deadAddr(h.T)}})
	e.SetService(&decision.Service{Key: "hasty", Endpoints: []string{upstreamURL}, ResponseTimeout: 50 * time.Millisecond})
	route := func(key, path, service string, change func(*decision.Route)) {
		r := &decision.Route{Key: key, Path: path, Service: service, Meter: "requests", Cost: 1, BillOpenIntents: true}
		if change != nil {
			change(r)
		}
		e.SetRoute(r)
	}
	route("hello", "/hello", "sample", func(r *decision.Route) { r.Methods = []string{"GET", "HEAD", "POST"} })
	route("echo", "/echo/*", "sample", nil)
	route("based", "/based/*", "based", nil)
	route("dead", "/dead", "dead", nil)
	route("hasty", "/hasty", "hasty", nil)
	route("lost", "/lost", "none", nil)
	route("reports", "/reports/*", "sample", func(r *decision.Route) { r.Requires = []string{"reports"} })
	route("free-of-charge", "/free", "sample", func(r *decision.Route) { r.Meter = "" })
	e.SetMeter(&decision.Meter{Key: "requests"})
	e.SetFeature(&decision.Feature{Key: "calls", Type: decision.Metered, Meter: "requests"})
	e.SetFeature(&decision.Feature{Key: "reports", Type: decision.Boolean})
	e.SetPlanVersion(&decision.PlanVersion{
		Plan: "free", Version: 1,
		Entitlements: []decision.Entitlement{{Feature: "calls", Quota: &decision.Quota{Limit: 1000, Period: decision.Month, Hard: true}}},
		RateLimits:   []decision.RateLimit{{Key: "free-rate", Limit: 5, Per: time.Second, Burst: 5}},
	})
	e.SetPlanVersion(&decision.PlanVersion{
		Plan: "pro", Version: 3,
		Entitlements: []decision.Entitlement{{Feature: "reports", Enabled: true}, {Feature: "calls", Quota: &decision.Quota{Limit: 2, Period: decision.Month}}},
	})
	e.SetPlanVersion(&decision.PlanVersion{
		Plan: "once", Version: 1,
		Entitlements: []decision.Entitlement{{Feature: "calls", Quota: &decision.Quota{Limit: 3, Period: decision.Lifetime, Hard: true}}},
	})
	e.SetCustomer(&decision.Customer{ID: "cus_1", ExternalID: "acme"})
	now := time.Now()
	license := func(name, plan string, version uint32, change func(*decision.License, *decision.Credential)) {
		key, err := apikey.Generate("live", now, rand.Reader)
		if err != nil {
			h.Fatal(err)
		}
		l := &decision.License{
			ID: "lic_" + name, Customer: "cus_1", Phase: decision.Phase{Plan: plan, PlanVersion: version, CounterGeneration: 1}, Status: decision.Active,
			StartsAt: now.Add(-month), Anchor: now.Add(-month),
		}
		c := &decision.Credential{ID: key.ID, License: l.ID, Hash: apikey.Hash(pepper, key.Whole)}
		if change != nil {
			change(l, c)
		}
		e.SetLicense(l)
		e.SetCredential(c)
		h.keys[name] = key.Whole
	}
	license("free", "free", 1, nil)
	license("pro", "pro", 3, nil)
	license("once", "once", 1, nil)
	license("expired", "pro", 3, func(l *decision.License, _ *decision.Credential) { l.EndsAt = now.Add(-time.Hour) })
	license("suspended", "pro", 3, func(l *decision.License, _ *decision.Credential) { l.Status = decision.Suspended })
	license("revoked", "pro", 3, func(l *decision.License, _ *decision.Credential) { l.Status = decision.Revoked })
	license("canceled", "pro", 3, func(l *decision.License, _ *decision.Credential) { l.Status = decision.Canceled })
	license("future", "pro", 3, func(l *decision.License, _ *decision.Credential) { l.StartsAt = now.Add(time.Hour) })
	license("planless", "gone", 1, nil)
	license("old-key", "pro", 3, func(_ *decision.License, c *decision.Credential) { c.ExpiresAt = now.Add(-time.Minute) })
	license("bad-key", "pro", 3, func(_ *decision.License, c *decision.Credential) { c.Revoked = true })
	for name, c := range map[string]decision.Credential{"imported": {}, "imported-revoked": {Revoked: true}, "imported-old": {ExpiresAt: now.Add(-time.Minute)}} {
		h.keys[name] = "sk_former_" + rand.Text()
		c.ID, c.License, c.Imported = "key_"+name, "lic_pro", true
		c.Hash = apikey.HashImported(pepper, apikey.Sum(h.keys[name]))
		e.SetCredential(&c)
	}
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 7})
	if err != nil {
		h.Fatal(err)
	}
	return s
}

// deadAddr is a loopback address on which nothing listens.
func deadAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// response is an answer read to its end.
type response struct {
	*http.Response
	body []byte
}

func (r response) problem(t *testing.T) map[string]any {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
	return p
}

// get asks with a licence's key ("": none).
func (h *house) get(license, path string, change ...func(*http.Request)) response {
	h.Helper()
	return h.do("GET", license, path, nil, change...)
}

func (h *house) do(method, license, path string, body io.Reader, change ...func(*http.Request)) response {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), method, "http://"+h.addr+path, body)
	if err != nil {
		h.Fatal(err)
	}
	if license != "" {
		r.Header.Set("Authorization", "Bearer "+h.keys[license])
	}
	for _, c := range change {
		c(r)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	return response{res, b}
}

// raw sends bytes and returns all that comes back until the node closes, which the bytes have to ask for.
func (h *house) raw(text string) string {
	h.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		h.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 {
		h.Fatal(err)
	}
	return string(b)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = append(r.Header[name], value) }
}

func trust(cidr string) func(*front.Config) {
	return func(c *front.Config) { c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(cidr)) }
}
