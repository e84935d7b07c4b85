package ops_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/internal/ops"
)

func TestServer_TellsHealthReadinessAndMetrics(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "tollgate_test_total", Help: "A test's."})
	reg.MustRegister(c)
	c.Inc()
	var ready atomic.Bool
	s := ops.Start(l, reg, func() []string {
		if ready.Load() {
			return nil
		}
		return []string{"no rules yet", "not listening"}
	}, slog.New(slog.DiscardHandler))
	url := "http://" + l.Addr().String()
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if status, _ := get("/healthz"); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	if status, body := get("/readyz"); status != 503 || body != "no rules yet\nnot listening\n" {
		t.Errorf("/readyz: %d %q", status, body)
	}
	ready.Store(true)
	if status, _ := get("/readyz"); status != 200 {
		t.Errorf("/readyz when ready: %d", status)
	}
	if _, body := get("/metrics"); !strings.Contains(body, "tollgate_test_total 1") {
		t.Errorf("/metrics: %s", body)
	}
	if status, _ := get("/other"); status != 404 {
		t.Errorf("/other: %d", status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 2 {
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("listens after Stop")
	}
}
