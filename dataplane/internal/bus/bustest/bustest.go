// Package bustest runs a real NATS server with JetStream inside a test's process, and plays the control plane's part
// there.
package bustest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tollgate/dataplane/internal/bus"
)

// Patience is how long something may take that has to happen: a busy machine is slow.
const Patience = 20 * time.Second

// Server is a NATS server that a test may stop, start again, and rob of its store.
type Server struct {
	// URL stays the same when the server is started again.
	URL string

	dir  string
	port int
	srv  *server.Server
}

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
	if !srv.ReadyForConnections(Patience) {
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

// Node is a node's connection, closed when the test ends.
func (s *Server) Node(tb testing.TB, name string) *bus.Bus {
	tb.Helper()
	b, err := bus.Connect(bus.Config{URL: s.URL, Name: name, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatalf("bustest: %v", err)
	}
	tb.Cleanup(b.Close)
	Eventually(tb, "the node is connected", b.Connected)
	return b
}

// Control is the control plane's connection.
type Control struct {
	tb testing.TB
	NC *nats.Conn
	js jetstream.JetStream
}

// Control connects, and closes when the test ends. Its methods wait for a server that is away.
func (s *Server) Control(tb testing.TB) *Control {
	tb.Helper()
	nc, err := nats.Connect(s.URL, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		tb.Fatalf("bustest: %v", err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatalf("bustest: %v", err)
	}
	return &Control{tb: tb, NC: nc, js: js}
}

// do calls f until it succeeds.
func (c *Control) do(doing string, f func(ctx context.Context) error) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), Patience)
	defer cancel()
	for {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			return f(ctx)
		}()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.tb.Fatalf("bustest: %s: %v", doing, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// MakeStreams makes what a control plane makes sure of.
func (c *Control) MakeStreams() {
	c.tb.Helper()
	c.do("make the streams", func(ctx context.Context) error {
		_, err1 := c.js.CreateOrUpdateStream(ctx, rulesStream(true))
		_, err2 := c.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: "TOLLGATE_SEGMENTS", Subjects: []string{"tollgate.segments.*"}, Retention: jetstream.WorkQueuePolicy,
		})
		_, err3 := c.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: "TOLLGATE_SNAPSHOTS"})
		return errors.Join(err1, err2, err3)
	})
}

func rulesStream(told bool) jetstream.StreamConfig {
	c := jetstream.StreamConfig{Name: "TOLLGATE_RULES", Subjects: []string{"tollgate.rules"}, AllowDirect: true}
	if told {
		c.RePublish = &jetstream.RePublish{Source: "tollgate.rules", Destination: "tollgate.rules.stored"}
	}
	return c
}

// Untold has nodes told of nothing more that is stored on the rules stream.
func (c *Control) Untold() {
	c.tb.Helper()
	c.do("have nodes told of nothing", func(ctx context.Context) error {
		_, err := c.js.UpdateStream(ctx, rulesStream(false))
		return err
	})
}

// DeleteRules removes the rules stream, while nodes follow it.
func (c *Control) DeleteRules() {
	c.tb.Helper()
	c.do("delete the rules stream", func(ctx context.Context) error { return c.js.DeleteStream(ctx, "TOLLGATE_RULES") })
}

// PurgeRules removes all messages of the rules stream.
func (c *Control) PurgeRules() {
	c.tb.Helper()
	c.do("purge the rules stream", func(ctx context.Context) error {
		s, err := c.js.Stream(ctx, "TOLLGATE_RULES")
		if err != nil {
			return err
		}
		return s.Purge(ctx)
	})
}

// Rules publishes on the rules stream.
func (c *Control) Rules(raw []byte) {
	c.tb.Helper()
	c.do("publish rules", func(ctx context.Context) error {
		_, err := c.js.Publish(ctx, "tollgate.rules", raw)
		return err
	})
}

// Snapshot stores an object of a snapshot.
func (c *Control) Snapshot(name string, raw []byte) {
	c.tb.Helper()
	c.do("store a snapshot", func(ctx context.Context) error {
		store, err := c.js.ObjectStore(ctx, "TOLLGATE_SNAPSHOTS")
		if err != nil {
			return err
		}
		_, err = store.PutBytes(ctx, name, raw)
		return err
	})
}

// Publish publishes on a subject, and returns when the server has it.
func (c *Control) Publish(subject string, raw []byte) {
	c.tb.Helper()
	c.do("publish on "+subject, func(ctx context.Context) error {
		return errors.Join(c.NC.Publish(subject, raw), c.NC.FlushWithContext(ctx))
	})
}

// Segments are the messages on the segments stream.
func (c *Control) Segments() (n uint64, last *jetstream.RawStreamMsg) {
	c.tb.Helper()
	c.do("look at the segments", func(ctx context.Context) error {
		s, err := c.js.Stream(ctx, "TOLLGATE_SEGMENTS")
		if err != nil {
			return err
		}
		state := s.CachedInfo().State
		if n = state.Msgs; n == 0 {
			return nil
		}
		last, err = s.GetMsg(ctx, state.LastSeq)
		return err
	})
	return n, last
}

// Eventually waits until something holds.
func Eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	over := time.After(Patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-over:
			tb.Fatalf("it never came to be that %s", what)
		}
	}
}
