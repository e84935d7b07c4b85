package natsserver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	// startTimeout bounds recovery of the store and the first accept.
	startTimeout = 60 * time.Second
	// maxPayload leaves room for a segment of the largest size.
	maxPayload = 8 << 20
	// tlsTimeout is generous: a machine that has just started has much to do.
	tlsTimeout = 10 * time.Second
)

// Server is a running NATS server.
type Server struct {
	server *server.Server
	id     *Identity
}

// Start runs a server for id at addr (host:port; port 0: a free one), by TLS alone, its streams under the identity's folder. It returns
// once the server takes connections. What JetStream has acknowledged was handed to the operating system before, so killing
// the process loses none of it; the disk is synced at JetStream's own interval.
func Start(id *Identity, addr string, logger *slog.Logger) (*Server, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("NATS's address: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("NATS's address %q: the port is not a number", addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	transport, err := serverTLS(id.dir)
	if err != nil {
		return nil, err
	}
	resolver := &server.MemAccResolver{}
	for _, a := range []account{id.system, id.control, id.nodes} {
		if err := resolver.Store(a.claims.Subject, a.text); err != nil {
			return nil, fmt.Errorf("load NATS's accounts: %w", err)
		}
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "tollgate", Host: host, Port: port, MaxPayload: maxPayload,
		JetStream: true, StoreDir: filepath.Join(id.dir, "store"), DisableJetStreamBanner: true,
		TrustedOperators: []*jwt.OperatorClaims{id.operator}, SystemAccount: id.system.claims.Subject, AccountResolver: resolver,
		NoSigs: true,
		// Without AllowNonTLS the server takes nothing from a client before TLS, its credentials least of all.
		TLS: true, TLSConfig: transport, TLSTimeout: tlsTimeout.Seconds(),
	})
	if err != nil {
		return nil, fmt.Errorf("configure NATS: %w", err)
	}
	log := newServerLog(logger)
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	for deadline := time.Now().Add(startTimeout); !s.ReadyForConnections(100 * time.Millisecond); {
		select {
		case reason := <-log.fatal:
			s.Shutdown()
			return nil, fmt.Errorf("NATS cannot start: %s", reason)
		default:
		}
		if time.Now().After(deadline) {
			s.Shutdown()
			return nil, fmt.Errorf("NATS takes no connections after %s", startTimeout)
		}
	}
	return &Server{server: s, id: id}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.server.ClientURL() }

// Stop writes out what streams hold and ends the server. It may be called more than once.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// Run runs a server until ctx ends.
func Run(ctx context.Context, dir, addr string, logger *slog.Logger) error {
	id, err := Load(dir)
	if err != nil {
		return err
	}
	s, err := Start(id, addr, logger)
	if err != nil {
		return err
	}
	<-ctx.Done()
	s.Stop()
	return nil
}
