package front_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/front"
)

func TestDeny_EachReasonToTheLetter(t *testing.T) {
	t.Parallel()
	h := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("a denied request reached the upstream") })
	free, pro := h.keys["free"], h.keys["pro"]
	for _, c := range []struct {
		code    decision.Code
		status  int
		license string
		path    string
		header  []func(*http.Request)
	}{
		{decision.CredentialMissing, 401, "", "/hello", nil},
		{decision.CredentialMissing, 401, "", "/hello", []func(*http.Request){header("Authorization", "Basic eA==")}},
		{decision.CredentialInvalid, 401, "", "/hello", []func(*http.Request){header("Authorization", "Bearer tg_live_junk")}},
		{decision.CredentialInvalid, 401, "", "/hello", []func(*http.Request){header("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")}},
		{decision.CredentialInvalid, 401, "", "/hello", []func(*http.Request){header("X-Api-Key", "other")}},
		{decision.CredentialRevoked, 401, "bad-key", "/hello", nil},
		{decision.CredentialExpired, 401, "old-key", "/hello", nil},
		{decision.CredentialInvalid, 401, "", "/hello", []func(*http.Request){header("Authorization", "Bearer sk_former_unknown")}},
		{decision.CredentialRevoked, 401, "imported-revoked", "/hello", nil},
		{decision.CredentialExpired, 401, "imported-old", "/hello", nil},
		{decision.CredentialAmbiguous, 401, "imported", "/hello", []func(*http.Request){header("X-Api-Key", pro)}},
		{decision.CredentialAmbiguous, 401, "imported", "/hello", []func(*http.Request){header("X-Api-Key", h.keys["imported"])}},
		{decision.CredentialAmbiguous, 401, "", "/hello", []func(*http.Request){header("Authorization", "Bearer "+free), header("X-Api-Key", pro)}},
		{decision.CredentialAmbiguous, 401, "", "/hello", []func(*http.Request){header("Authorization", "Bearer "+free), header("X-Api-Key", free)}},
		{decision.LicenseMissing, 403, "planless", "/hello", nil},
		{decision.LicenseExpired, 403, "expired", "/hello", nil},
		{decision.LicenseSuspended, 403, "suspended", "/hello", nil},
		{decision.LicenseRevoked, 403, "revoked", "/hello", nil},
		{decision.LicenseCanceled, 403, "canceled", "/hello", nil},
		{decision.LicenseNotStarted, 403, "future", "/hello", nil},
		{decision.FeatureNotInPlan, 403, "free", "/reports/x", nil},
		{decision.RouteUnknown, 404, "pro", "/nowhere", nil},
		{decision.RequestMalformed, 400, "pro", "/hello/%2e%2e/x", nil},
	} {
		res := h.get(c.license, c.path, c.header...)
		p := res.problem(t)
		name := fmt.Sprintf("%s %s", c.code, c.path)
		if res.StatusCode != c.status || p["code"] != string(c.code) {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.body)
			continue
		}
		if p["type"] != "https://admin.example/errors/"+string(c.code) || p["status"] != float64(c.status) || p["source"] != "tollgate" ||
			p["title"] == "" || len(p["detail"].(string)) < 10 || p["decision_id"] != res.Header.Get("Tollgate-Decision") {
			t.Errorf("%s: body %s", name, res.body)
		}
		if res.Header.Get("Content-Type") != "application/problem+json" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: header %v", name, res.Header)
		}
		if got := strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer "); got != (c.status == 401) {
			t.Errorf("%s: WWW-Authenticate %q", name, res.Header.Get("WWW-Authenticate"))
		}
		d := h.ledger.lastDenial(t)
		if d.ID != p["decision_id"] || d.Code != c.code || d.Outcome != decision.Block || d.Status != c.status || d.Charge.Units != 0 {
			t.Errorf("%s: logged %+v", name, d)
		}
	}
	if n := testutil.CollectAndCount(h.reg, "tollgate_request_duration_seconds"); n != 0 {
		t.Errorf("%d durations of requests that were not forwarded", n)
	}
}

func TestDeny_RateLimitFieldsAndRetryAfterAgree(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	h.bank.mu.Lock()
	h.bank.pools["free-rate"] = 2
	h.bank.retry = 1300 * time.Millisecond
	h.bank.mu.Unlock()
	res := h.get("free", "/hello")
	if res.StatusCode != 200 {
		t.Fatalf("status %d: %s", res.StatusCode, res.body)
	}
	policy := `"free-rate";q=5;w=1, "calls";q=1000;w=`
	if v := res.Header.Get("RateLimit-Policy"); !strings.HasPrefix(v, policy) {
		t.Errorf("RateLimit-Policy: %s, want %s…", v, policy)
	}
	state := regexp.MustCompile(`^"free-rate";r=(\d+);t=1, "calls";r=(\d+);t=\d+$`)
	m := state.FindStringSubmatch(res.Header.Get("RateLimit"))
	if m == nil {
		t.Fatalf("RateLimit: %s", res.Header.Get("RateLimit"))
	}
	if r, _ := strconv.Atoi(m[1]); r > 1 {
		t.Errorf("r = %d is more than what is left of 2 after one", r)
	}
	for res.StatusCode == 200 {
		res = h.get("free", "/hello")
	}
	p := res.problem(t)
	if res.StatusCode != 429 || p["code"] != "rate_limited" || p["policy"] != "free-rate" || p["limit"] != 5.0 || p["remaining"] != 0.0 {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	if res.Header.Get("Retry-After") != "2" || !strings.Contains(res.Header.Get("RateLimit"), `"free-rate";r=0;t=2`) {
		t.Errorf("Retry-After %s, RateLimit %s", res.Header.Get("Retry-After"), res.Header.Get("RateLimit"))
	}
	at, err := time.Parse(time.RFC3339, p["reset_at"].(string))
	if err != nil || time.Until(at) > 2*time.Second {
		t.Errorf("reset_at %v", p["reset_at"])
	}
	if d := h.ledger.lastDenial(t); d.Outcome != decision.Throttle || d.Policy != "free-rate" || d.Status != 429 {
		t.Errorf("logged %+v", d)
	}
}

func TestDeny_QuotaThatResetsThrottlesAndOneThatDoesNotBlocks(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	h.bank.mu.Lock()
	h.bank.pools["requests"] = 0
	h.bank.mu.Unlock()
	res := h.get("free", "/hello")
	p := res.problem(t)
	retry, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if res.StatusCode != 429 || p["code"] != "quota_exhausted" || p["policy"] != "calls" || p["limit"] != 1000.0 || err != nil || retry < 1 || retry > 32*86400 {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, res.body)
	}
	res = h.get("once", "/hello")
	p = res.problem(t)
	if res.StatusCode != 403 || p["code"] != "quota_exhausted" || p["status"] != 403.0 || res.Header.Get("Retry-After") != "" || p["reset_at"] != nil {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, res.body)
	}
	if v := res.Header.Get("RateLimit-Policy"); v != `"calls";q=3` {
		t.Errorf("RateLimit-Policy of a lifetime: %s", v)
	}
	if d := h.ledger.lastDenial(t); d.Status != 403 || d.Outcome != decision.Block {
		t.Errorf("logged %+v", d)
	}
}

func TestDecide_SoftQuotaForwardsOverage(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	for i, want := range []decision.Code{decision.OK, decision.OK, decision.OKOverage} {
		if res := h.get("pro", "/hello"); res.StatusCode != 200 {
			t.Fatalf("request %d: %d", i, res.StatusCode)
		}
		if s := h.ledger.settlement(t); s.Code != want || !s.Billed {
			t.Errorf("request %d settled as %s", i, s.Code)
		}
	}
}

func TestI8_UnreachableLenderDeniesOnlyWhatNeedsIt(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	h.bank.mu.Lock()
	h.bank.err = errDisk
	h.bank.mu.Unlock()
	res := h.get("free", "/hello")
	if p := res.problem(t); res.StatusCode != 503 || p["code"] != "limits_unavailable" || res.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	if res := h.get("pro", "/hello"); res.StatusCode != 200 {
		t.Errorf("a licence without shared limits got %d", res.StatusCode)
	}
}

func TestDecide_ColdRequestWaitsBoundedForTheLender(t *testing.T) {
	t.Parallel()
	h := setup(t, nil, func(c *front.Config) { c.ColdWait = 150 * time.Millisecond })
	hold := make(chan struct{})
	h.bank.mu.Lock()
	h.bank.hold = hold
	h.bank.mu.Unlock()
	start := time.Now()
	res := h.get("free", "/hello")
	if p := res.problem(t); p["code"] != "limits_unavailable" || time.Since(start) < 150*time.Millisecond {
		t.Errorf("after %s: %s", time.Since(start), res.body)
	}
	close(hold)
	if res := h.get("free", "/hello"); res.StatusCode != 200 {
		t.Errorf("with a lender that answers: %d", res.StatusCode)
	}
}

func TestI5_WhatCannotBeLoggedIsNotForwarded(t *testing.T) {
	t.Parallel()
	h := setup(t, func(http.ResponseWriter, *http.Request) {
		t.Error("a request that was not logged reached the upstream")
	})
	h.ledger.fail(errDisk)
	ids := map[string]bool{}
	for _, path := range []string{"/hello", "/nowhere", "/hello"} {
		res := h.get("free", path)
		p := res.problem(t)
		if res.StatusCode != 503 || p["code"] != "log_unavailable" || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, res.StatusCode, res.body)
		}
		ids[res.Header.Get("Tollgate-Decision")] = true
	}
	if len(ids) != 3 || ids[""] {
		t.Errorf("decision ids %v", ids)
	}
	h.bank.mu.Lock()
	defer h.bank.mu.Unlock()
	if len(h.bank.unspent) != 2 {
		t.Errorf("I11: %d charges given back, want 2", len(h.bank.unspent))
	}
}

func TestI1_NoRulesOrStaleRulesForwardNothing(t *testing.T) {
	t.Parallel()
	h := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("forwarded") })
	state, _ := h.rules.Current()
	for _, s := range []*decision.State{nil, state} {
		h.rules.set(s, decision.AgeBlock)
		res := h.get("pro", "/hello")
		if p := res.problem(t); res.StatusCode != 503 || p["code"] != "rules_unavailable" || !strings.HasSuffix(p["type"].(string), "/errors/rules_unavailable") {
			t.Errorf("%d %s", res.StatusCode, res.body)
		}
	}
}

// In grace a request does not wait for units that are not lent; it is served by those that are.
func TestI8_InGraceNobodyWaitsForUnits(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	if res := h.get("once", "/hello"); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	state, _ := h.rules.Current()
	h.rules.set(state, decision.AgeGrace)
	for range 5 {
		res := h.get("once", "/hello")
		if res.StatusCode == 200 {
			continue
		}
		if p := res.problem(t); res.StatusCode != 503 || p["code"] != "limits_unavailable" {
			t.Errorf("%d %s", res.StatusCode, res.body)
		}
	}
	h.bank.mu.Lock()
	defer h.bank.mu.Unlock()
	if h.bank.asked != 1 {
		t.Errorf("the lender was asked %d times, want once before grace", h.bank.asked)
	}
}

func TestDeny_OverloadedAtTheBound(t *testing.T) {
	t.Parallel()
	release, inside := make(chan struct{}), make(chan struct{})
	h := setup(t, func(http.ResponseWriter, *http.Request) { inside <- struct{}{}; <-release }, func(c *front.Config) { c.MaxInFlight = 1 })
	done := make(chan response)
	go func() { done <- h.get("pro", "/hello") }()
	<-inside
	res := h.get("pro", "/hello")
	if p := res.problem(t); res.StatusCode != 503 || p["code"] != "overloaded" || res.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	close(release)
	if res := <-done; res.StatusCode != 200 {
		t.Errorf("the request inside the bound got %d", res.StatusCode)
	}
}

func TestDeny_MalformedRequests(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	_, port, _ := strings.Cut(h.addr, ":")
	for target, malformed := range map[string]bool{
		"/hello":                              false,
		"/hello?x=../..//":                    false,
		"http://" + h.addr + "/hello":         false,
		"http://localhost:" + port + "/hello": false,
		"http://evil.example/hello":           true,
		"http://127.0.0.1:1/hello":            true,
		"ftp://" + h.addr + "/hello":          true,
		"//hello":                             true,
		"/hello//":                            true,
		"/./hello":                            true,
		"/x/../hello":                         true,
		"/x/..;a=b/hello":                     true,
		"/x/%2e%2E/hello":                     true,
		"/x%2fhello":                          true,
		"/x%5chello":                          true,
		`/x\hello`:                            true,
		"/hello%00":                           true,
		"/hello#frag":                         true,
		"/h\xc3\xa9llo":                       true,
		"*":                                   true,
	} {
		answer := h.raw("GET " + target + " HTTP/1.1\nHost: x\nX-Api-Key: " + h.keys["pro"] + "\nConnection: close\n\n")
		if got := strings.Contains(answer, `"code":"request_malformed"`); got != malformed {
			t.Errorf("%q: %.200q", target, answer)
		}
	}
	for _, host := range []string{"a b", "a/b", "a@b", "[::1", "a:b", ":80", "[fe80::1%25eth0]"} {
		answer := h.raw("GET /hello HTTP/1.1\nHost: " + host + "\nX-Api-Key: " + h.keys["pro"] + "\nConnection: close\n\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("host %q: %.80q", host, answer)
		}
	}
	if answer := h.raw("CONNECT x:1 HTTP/1.1\nHost: x:1\n\n"); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("CONNECT: %q", answer)
	}
}

func TestDeny_GRPCGetsItsStatusInTheHeaders(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	c := http.Client{Transport: &http.Transport{Protocols: &p}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+h.addr+"/hello", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc+proto")
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || res.Header.Get("Grpc-Status") != "16" || len(b) != 0 || !strings.HasPrefix(res.Header.Get("Grpc-Message"), "credential_missing: ") || res.Header.Get("Tollgate-Decision") == "" {
		t.Errorf("%d %v %q", res.StatusCode, res.Header, b)
	}
}

func TestMetrics_CountOutcomesByRouteAndNeverByCustomer(t *testing.T) {
	t.Parallel()
	h := setup(t, nil)
	h.get("pro", "/hello")
	h.get("pro", "/nowhere")
	h.ledger.settlement(t)
	const want = `
# HELP tollgate_decisions_total Requests decided, by outcome and final reason code.
# TYPE tollgate_decisions_total counter
tollgate_decisions_total{code="ok",outcome="forward",route="hello"} 1
tollgate_decisions_total{code="route_unknown",outcome="block",route="none"} 1
`
	deadline := time.Now().Add(5 * time.Second)
	var err error
	// The client may read its answer a moment before the node counts it.
	for err = errDisk; err != nil && time.Now().Before(deadline); {
		err = testutil.GatherAndCompare(h.reg, strings.NewReader(want), "tollgate_decisions_total")
	}
	if err != nil {
		t.Error(err)
	}
}
