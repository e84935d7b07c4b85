package upstream_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/upstream"
)

// get sends a request to the endpoint that is picked.
func get(t *testing.T, p *upstream.Pool, s *decision.Service) (host, body string) {
	t.Helper()
	u, carrier, err := p.Pick(s)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := carrier.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host, string(b)
}

// serve is an upstream that counts its connections.
func serve(t *testing.T) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Accept-Encoding"))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &conns
}

func TestPick_TakesEndpointsInTurn(t *testing.T) {
	t.Parallel()
	a, _ := serve(t)
	b, _ := serve(t)
	p := upstream.NewPool()
	t.Cleanup(p.Close)
	s := &decision.Service{Key: "s", Endpoints: []string{a.URL, b.URL}}
	got := map[string]int{}
	for range 10 {
		host, _ := get(t, p, s)
		got[host]++
	}
	if len(got) != 2 || got[a.Listener.Addr().String()] != 5 {
		t.Errorf("spread %v", got)
	}
}

func TestPick_ChangedRecordTakesEffectAndKeepsConnections(t *testing.T) {
	t.Parallel()
	a, conns := serve(t)
	b, _ := serve(t)
	p := upstream.NewPool()
	t.Cleanup(p.Close)
	get(t, p, &decision.Service{Key: "s", Endpoints: []string{a.URL}})
	for range 3 {
		// Another record with the same content, as a snapshot brings.
		get(t, p, &decision.Service{Key: "s", Endpoints: []string{a.URL}})
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
	if host, _ := get(t, p, &decision.Service{Key: "s", Endpoints: []string{b.URL}}); host != b.Listener.Addr().String() {
		t.Errorf("the request went to %s", host)
	}
}

func TestPick_ChangesNothingOfARequest(t *testing.T) {
	t.Parallel()
	a, _ := serve(t)
	p := upstream.NewPool()
	t.Cleanup(p.Close)
	if _, body := get(t, p, &decision.Service{Key: "s", Endpoints: []string{a.URL}}); body != "" {
		t.Errorf("the transport asked for %q", body)
	}
}

func TestPick_ResponseTimeoutIsTheServices(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	p := upstream.NewPool()
	u, carrier, err := p.Pick(&decision.Service{Key: "s", Endpoints: []string{s.URL}, ResponseTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := carrier.RoundTrip(r)
	if err == nil {
		res.Body.Close()
	}
	var slow net.Error
	if !errors.As(err, &slow) || !slow.Timeout() {
		t.Errorf("error %v", err)
	}
}

func TestPick_RefusesServicesThatCannotBeReached(t *testing.T) {
	t.Parallel()
	p := upstream.NewPool()
	for _, endpoints := range [][]string{nil, {"127.0.0.1:80"}, {"ftp://a"}, {"http://a", "/x"}, {"http://"}} {
		if _, _, err := p.Pick(&decision.Service{Key: "s", Endpoints: endpoints}); err == nil {
			t.Errorf("endpoints %v were taken", endpoints)
		}
	}
}
