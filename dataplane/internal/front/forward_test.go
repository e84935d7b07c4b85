package front_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// seen hands out the requests that an upstream got.
func seen() (http.HandlerFunc, chan *http.Request) {
	c := make(chan *http.Request, 100)
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c <- r
		w.WriteHeader(http.StatusOK)
	}, c
}

func TestForward_TellsTheUpstreamWhoAsks(t *testing.T) {
	t.Parallel()
	handler, got := seen()
	h := setup(t, handler)
	res := h.get("pro", "/hello?a=1&b;c=%zz")
	if res.StatusCode != 200 {
		t.Fatalf("status %d: %s", res.StatusCode, res.body)
	}
	up := <-got
	id := res.Header.Get("Tollgate-Decision")
	for name, want := range map[string]string{
		"Tollgate-Customer": "cus_1", "Tollgate-License": "lic_pro", "Tollgate-Plan": "pro", "Tollgate-Features": "calls,reports",
		"Tollgate-Decision": id, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": h.addr,
	} {
		if v := up.Header.Values(name); len(v) != 1 || v[0] != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if !strings.HasPrefix(id, "dec_") || len(id) != 30 {
		t.Errorf("decision %q", id)
	}
	if up.RequestURI != "/hello?a=1&b;c=%zz" {
		t.Errorf("the upstream was sent %s", up.RequestURI)
	}
	if a := up.Header.Get("Authorization"); a != "" {
		t.Error("the key reached the upstream")
	}
}

func TestForward_SendsThePathAsItWasMatched(t *testing.T) {
	t.Parallel()
	handler, got := seen()
	h := setup(t, handler)
	for _, path := range []string{"/echo/a%20b", "/echo/%41", "/echo/a+b", "/echo/%C3%BC", "/echo/x;v=1", "/echo/", "/echo/%3F?q", "/echo/a?"} {
		h.raw("GET " + path + " HTTP/1.1\nHost: x\nX-Api-Key: " + h.keys["pro"] + "\nConnection: close\n\n")
		if up := <-got; up.RequestURI != path {
			t.Errorf("%s became %s", path, up.RequestURI)
		}
	}
	h.get("pro", "/based/%41?q=1")
	if up := <-got; up.RequestURI != "/ba%20se/based/%41?q=1" {
		t.Errorf("behind a base path: %s", up.RequestURI)
	}
}

func TestI12_NoKeyAndNoForgedHeaderReachesTheUpstream(t *testing.T) {
	t.Parallel()
	handler, got := seen()
	h := setup(t, handler)
	h.raw("POST /echo/x HTTP/1.1\nHost: x\nAuthorization: Bearer " + h.keys["pro"] + `
Tollgate-Customer: forged
tollgate-plan: forged
TOLLGATE_LICENSE: forged
Tollgate.Features: forged
tollgate_Future-Header: forged
Tollgate-Decision: forged
X_Api_Key: forged
x.forwarded.for: forged
X_Forwarded_Proto: forged
Forwarded: for=forged
X-Forwarded-For: forged
X-Forwarded-Host: forged
Content_Length: forged
Connection: close, Tollgate-License, X-Forwarded-For, Keep
Keep: forged
X-Mine: mine
my_header: mine
Transfer-Encoding: chunked
Trailer: Tollgate-Customer, X-Sum, X-Api-Key

3
abc
0
Tollgate-Customer: forged
X-Api-Key: forged
X-Sum: 1
Undeclared: forged

`)
	up := <-got
	for _, headers := range []http.Header{up.Header, up.Trailer} {
		for name, values := range headers {
			for _, v := range values {
				if strings.Contains(v, "forged") || strings.Contains(v, "tg_") {
					t.Errorf("%s: %s", name, v)
				}
			}
		}
	}
	if up.Header.Get("Tollgate-License") != "lic_pro" || up.Header.Get("X-Mine") != "mine" || len(up.Header["My_header"]) != 1 {
		t.Errorf("header: %v", up.Header)
	}
	if up.Trailer.Get("X-Sum") != "1" {
		t.Errorf("trailer: %v", up.Trailer)
	}
}

func TestForward_PassesOtherCredentialsOn(t *testing.T) {
	t.Parallel()
	handler, got := seen()
	h := setup(t, handler)
	h.get("", "/hello", header("X-Api-Key", h.keys["pro"]), header("Authorization", "Basic dXNlcg=="))
	up := <-got
	if up.Header.Get("Authorization") != "Basic dXNlcg==" || up.Header.Get("X-Api-Key") != "" {
		t.Errorf("header: %v", up.Header)
	}
}

func TestForward_UpstreamCannotSpeakForTollgate(t *testing.T) {
	t.Parallel()
	h := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Tollgate-Decision", "forged")
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("RateLimit", "forged")
		w.Header().Set("Ratelimit-Policy", "forged")
		w.Header().Set("Trailer", "X-Sum, Tollgate-License")
		fmt.Fprint(w, "body")
		w.Header().Set("X-Sum", "1")
		w.Header().Set("Tollgate-License", "forged")
		w.Header().Set(http.TrailerPrefix+"Tollgate-Plan", "forged")
	})
	early := make(chan textproto.MIMEHeader, 1)
	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
		early <- header
		return nil
	}}
	res := h.get("free", "/hello", func(r *http.Request) { *r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace)) })
	if hints := <-early; hints.Get("Tollgate-Decision") != "" || hints.Get("Link") != "</a>" {
		t.Errorf("early hints %v", hints)
	}
	if string(res.body) != "body" || res.Trailer.Get("X-Sum") != "1" {
		t.Errorf("body %q, trailer %v", res.body, res.Trailer)
	}
	for _, headers := range []http.Header{res.Header, res.Trailer} {
		for name, values := range headers {
			if slices.Contains(values, "forged") {
				t.Errorf("%s: %v", name, values)
			}
		}
	}
	if d := res.Header.Values("Tollgate-Decision"); len(d) != 1 {
		t.Errorf("Tollgate-Decision: %v", d)
	}
	if v := res.Header.Values("RateLimit"); len(v) != 1 || !strings.HasPrefix(v[0], `"free-rate";r=`) {
		t.Errorf("RateLimit: %v", v)
	}
}

func TestI4_IntentIsLoggedBeforeTheUpstreamIsAsked(t *testing.T) {
	t.Parallel()
	logged := make(chan bool, 1)
	var h *house
	h = setup(t, func(_ http.ResponseWriter, r *http.Request) {
		_, ok := h.ledger.intent(r.Header.Get("Tollgate-Decision"))
		logged <- ok
	})
	res := h.do("POST", "pro", "/hello", strings.NewReader("12345"), header("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	if res.StatusCode != 200 || !<-logged {
		t.Fatalf("status %d; the upstream was asked before the intent was logged", res.StatusCode)
	}
	intent, _ := h.ledger.intent(res.Header.Get("Tollgate-Decision"))
	if intent.Customer != "cus_1" || intent.License != "lic_pro" || intent.Plan != "pro" || intent.PlanVersion != 3 || intent.Route != "hello" ||
		intent.Method != "POST" || intent.Path != "/hello" || intent.ClientIP != "127.0.0.1" || intent.Code != decision.OK || !intent.BillIfOpen ||
		intent.Charge.Units != 1 || intent.Charge.Meter != "requests" || intent.Epoch.Number != 7 || intent.Credential == "" ||
		intent.TraceID != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("intent %+v", intent)
	}
	s := h.ledger.settlement(t)
	if s.Intent.ID != intent.ID || s.Status != 200 || s.UpstreamStatus != 200 || s.BytesIn != 5 || !s.Billed || s.Code != decision.OK || s.Duration <= 0 || s.Overhead <= 0 || s.Overhead > s.Duration {
		t.Errorf("settlement %+v", s)
	}
}

func TestForward_StreamsUnbuffered(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(http.ResponseWriter){
		"events":         func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/event-stream") },
		"unknown length": func(http.ResponseWriter) {},
		"known length":   func(w http.ResponseWriter) { w.Header().Set("Content-Length", "6") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := make(chan struct{})
			goOn := sync.OnceFunc(func() { close(read) })
			h := setup(t, func(w http.ResponseWriter, _ *http.Request) {
				start(w)
				fmt.Fprint(w, "one")
				_ = http.NewResponseController(w).Flush()
				<-read
				fmt.Fprint(w, "two")
			})
			defer goOn() // Else a failure leaves the upstream waiting.
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.addr+"/hello", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Api-Key", h.keys["pro"])
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			first := make([]byte, 3)
			if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "one" {
				t.Fatalf("first part %q, %v", first, err)
			}
			goOn() // Only now.
			rest, err := io.ReadAll(res.Body)
			if err != nil || string(rest) != "two" {
				t.Errorf("rest %q, %v", rest, err)
			}
			if s := h.ledger.settlement(t); s.BytesOut != 6 {
				t.Errorf("%d bytes out", s.BytesOut)
			}
		})
	}
}

func TestForward_WebSocketPassesBothWaysAndIsSettled(t *testing.T) {
	t.Parallel()
	h := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Tollgate-License") != "lic_pro" {
			t.Errorf("header %v", r.Header)
		}
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTollgate-Plan: forged\r\n\r\n")
		_ = buf.Flush()
		line, err := buf.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(buf, "you said "+line)
		_ = buf.Flush()
	})
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", h.keys["pro"])
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 101 || !strings.HasPrefix(res.Header.Get("Tollgate-Decision"), "dec_") || res.Header.Get("Tollgate-Plan") != "" || res.Header.Get("Connection") != "Upgrade" {
		t.Fatalf("status %d, header %v", res.StatusCode, res.Header)
	}
	fmt.Fprint(conn, "hi\n")
	if line, err := in.ReadString('\n'); err != nil || line != "you said hi\n" {
		t.Fatalf("read %q, %v", line, err)
	}
	conn.Close()
	s := h.ledger.settlement(t)
	if s.Status != 101 || s.UpstreamStatus != 101 || s.BytesIn != 3 || !s.Billed {
		t.Errorf("settlement %+v", s)
	}
}

func TestForward_NoTunnelPassesByTheDecision(t *testing.T) {
	t.Parallel()
	handler, got := seen()
	h := setup(t, handler)
	h.get("pro", "/hello", header("Connection", "Upgrade, HTTP2-Settings"), header("Upgrade", "websocket, h2c"), header("Http2-Settings", "AAMAAABkAAQAAP__"))
	if up := <-got; up.Header.Get("Upgrade") != "" || up.Header.Get("Http2-Settings") != "" {
		t.Errorf("header %v", up.Header)
	}
}

func TestForward_BelievesTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	handler, got := seen()
	claims := []func(*http.Request){
		header("X-Forwarded-For", "6.6.6.6"), header("X-Forwarded-For", "203.0.113.9:1234, 127.0.0.2"),
		header("X-Forwarded-Proto", "https"), header("X-Forwarded-Host", "api.example"),
	}
	for name, c := range map[string]struct {
		cidr                  string
		ip, chain, proto, hst string
	}{
		"trusted": {"127.0.0.0/8", "203.0.113.9", "6.6.6.6, 203.0.113.9:1234, 127.0.0.2, 127.0.0.1", "https", "api.example"},
		"others":  {"10.0.0.0/8", "127.0.0.1", "127.0.0.1", "http", ""},
	} {
		h := setup(t, handler, trust(c.cidr))
		if c.hst == "" {
			c.hst = h.addr
		}
		res := h.get("pro", "/hello", claims...)
		up := <-got
		intent, _ := h.ledger.intent(res.Header.Get("Tollgate-Decision"))
		if intent.ClientIP != c.ip || up.Header.Get("X-Forwarded-For") != c.chain || up.Header.Get("X-Forwarded-Proto") != c.proto || up.Header.Get("X-Forwarded-Host") != c.hst {
			t.Errorf("%s: client %s, header %v", name, intent.ClientIP, up.Header)
		}
	}
}

func TestForward_HTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	handler, got := seen()
	h := setup(t, handler)
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	c := http.Client{Transport: &http.Transport{Protocols: &p}, Timeout: 10 * time.Second}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+h.addr+"/hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", h.keys["pro"])
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if up := <-got; res.ProtoMajor != 2 || res.StatusCode != 200 || up.ProtoMajor != 1 {
		t.Errorf("client spoke %s, got %d; upstream spoke %s", res.Proto, res.StatusCode, up.Proto)
	}
}
