package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 3 * time.Minute
	maxHeader     = 64 << 10
	// lastRequests is how long connections stay open once the node stops accepting, so that requests which clients are about
	// to send on them are answered, with word to close, rather than cut off.
	lastRequests = time.Second
	// endGrace is how long requests that are ended may take to say so to their clients.
	endGrace = time.Second
)

// Server serves clients' connections with a Front: HTTP/1.1, and HTTP/2 without TLS for clients that begin with it.
type Server struct {
	front  *Front
	http   http.Server
	cancel context.CancelFunc

	open      atomic.Int64 // Connections.
	serving   sync.WaitGroup
	mu        sync.Mutex
	listeners []net.Listener
	failed    chan error
	drain     sync.Once
	drainErr  error
}

// NewServer makes a Server. logger gets what net/http has to say of connections.
func NewServer(f *Front, logger *slog.Logger) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{front: f, cancel: cancel, failed: make(chan error, 1)}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = http.Server{
		Handler:   f,
		Protocols: &protocols,
		// `OPTIONS *` is decided like any other request.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.open.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.open.Add(-1)
			}
		},
	}
	return s
}

// Serve accepts from l until Drain. It returns at once.
func (s *Server) Serve(l net.Listener) {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.serving.Go(func() {
		err := s.http.Serve(l)
		if errors.Is(err, http.ErrServerClosed) || s.front.draining.Load() {
			return
		}
		select {
		case s.failed <- fmt.Errorf("accept on %s: %w", l.Addr(), err):
		default:
		}
	})
}

// Failed yields an error when a listener has failed.
func (s *Server) Failed() <-chan error { return s.failed }

// Drain stops accepting at once, lets open requests finish until ctx is done, and then ends them. When it returns no
// request is being served, and all are settled. It may be called twice.
func (s *Server) Drain(ctx context.Context) error {
	s.drain.Do(func() { s.drainErr = s.stop(ctx) })
	return s.drainErr
}

func (s *Server) stop(ctx context.Context) error {
	s.front.draining.Store(true)
	s.mu.Lock()
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()

	last, cancel := context.WithTimeout(ctx, lastRequests)
	defer cancel()
	until(last, func() bool { return s.open.Load() == 0 && s.front.InFlight() == 0 })
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // What is left is seen below.
	}
	// Upgraded connections are no longer net/http's.
	if !until(ctx, func() bool { return s.front.InFlight() == 0 }) {
		left := s.front.InFlight()
		s.cancel()
		grace, stop := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
		defer stop()
		until(grace, func() bool { return s.front.InFlight() == 0 })
		err = fmt.Errorf("%d requests did not finish in time and were ended", left)
	}
	err = errors.Join(err, s.http.Close())
	s.cancel()
	s.serving.Wait()
	return err
}

// until polls done, and reports whether it became true before ctx was.
func until(ctx context.Context, done func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return done()
		case <-tick.C:
		}
	}
	return true
}
