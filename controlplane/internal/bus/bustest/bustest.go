// Package bustest runs tests against a real NATS server with JetStream, inside the test's process.
package bustest

import (
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tollgate/controlplane/internal/bus"
)

// Server is a NATS server that a test may stop, start again, and rob of its store.
type Server struct {
	// URL stays the same when the server is started again.
	URL string

	dir  string
	port int
	srv  *server.Server
}

// startWithin is how long a server may take to listen.
const startWithin = 20 * time.Second

// Start runs a server until the test ends.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{dir: tb.TempDir(), port: server.RANDOM_PORT}
	s.Again(tb)
	tb.Cleanup(s.Stop)
	return s
}

// Again starts a stopped server, with what is left of its store.
func (s *Server) Again(tb testing.TB) {
	tb.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: s.port, JetStream: true, StoreDir: s.dir, NoLog: true, NoSigs: true,
	})
	if err != nil {
		tb.Fatalf("bustest: %v", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(startWithin) {
		tb.Fatal("bustest: the server does not listen")
	}
	s.srv = srv
	s.port = srv.Addr().(*net.TCPAddr).Port
	s.URL = srv.ClientURL()
}

// Stop stops the server; its store stays.
func (s *Server) Stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// Wipe stops the server, removes its store, and starts it again.
func (s *Server) Wipe(tb testing.TB) {
	tb.Helper()
	s.Stop()
	if err := os.RemoveAll(s.dir); err != nil {
		tb.Fatalf("bustest: %v", err)
	}
	s.Again(tb)
}

// Connect is a Bus to the server that is ready, closed when the test ends.
func (s *Server) Connect(tb testing.TB) *bus.Bus {
	tb.Helper()
	b, err := bus.Connect(bus.Config{URL: s.URL, Name: tb.Name()}, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("bustest: %v", err)
	}
	tb.Cleanup(b.Close)
	select {
	case <-b.Ready():
	case <-tb.Context().Done():
		tb.Fatal("bustest: the bus is not ready")
	case <-time.After(startWithin):
		tb.Fatal("bustest: the bus is not ready")
	}
	return b
}
