// Package ops serves a node's operators: /healthz, /readyz, /metrics.
package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server is the ops port.
type Server struct {
	http http.Server
	done chan struct{}
}

// Start serves on l. ready says what keeps the node from serving, in a line each; nothing: it is ready. It is called for each
// request to /readyz and must not block.
func Start(l net.Listener, metrics prometheus.Gatherer, ready func() []string, logger *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := ready(); len(why) > 0 {
			text(w, http.StatusServiceUnavailable, strings.Join(why, "\n"))
			return
		}
		text(w, http.StatusOK, "ready")
	})
	errorLog := slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorLog: errorLog}))
	s := &Server{
		http: http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: errorLog},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("ops port failed", "error", err)
		}
	}()
	return s
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, body)
}

// Stop ends the server, at the latest when ctx is done. It may be called twice.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop the ops port: %w", err), s.http.Close())
	}
	<-s.done
	return nil
}
