package dataplane

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/borrow"
	"tollgate/dataplane/internal/bus"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/front"
	"tollgate/dataplane/internal/ops"
	"tollgate/dataplane/internal/ruleset"
	"tollgate/dataplane/internal/spool"
)

// node is a running node's parts.
type node struct {
	settings *settings
	boot     string
	logger   *slog.Logger
	registry *prometheus.Registry
	clock    *clock.Clock
	fatal    chan error

	own, opsListener net.Listener
	shared           []net.Listener

	signer *envelope.Signer
	bus    *bus.Bus
	rules  *ruleset.Follower
	loans  *borrow.Borrower
	log    *spool.Log
	front  *front.Front
	server *front.Server
	ops    *ops.Server

	serving, draining atomic.Bool
	closers           []func()
}

func (n *node) onClose(f func()) { n.closers = append(n.closers, f) }

// close closes what was opened, last first.
func (n *node) close() {
	for i := len(n.closers) - 1; i >= 0; i-- {
		n.closers[i]()
	}
	n.closers = nil
}

// fail makes the node drain and end with err. The first one counts.
func (n *node) fail(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

// notReady says what keeps the node from serving.
func (n *node) notReady() []string {
	var why []string
	if n.draining.Load() {
		return []string{"draining: the node was told to stop"}
	}
	state, age := n.rules.Current()
	switch {
	case state == nil && !n.bus.Connected():
		why = append(why, "no rules yet: NATS cannot be reached")
	case state == nil && n.rules.KeySet() == 0:
		why = append(why, "no rules yet: waiting for the control plane's key set, which `tollgate trust` makes")
	case state == nil:
		why = append(why, "no rules yet: waiting for the control plane's")
	case !state.ServesAt(age):
		why = append(why, "the rules are out of date: no fresh heartbeat of the control plane")
	}
	if !n.serving.Load() {
		why = append(why, "not accepting at all addresses yet")
	}
	return why
}

// run serves until ctx ends or the node cannot go on, and drains.
func (n *node) run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { n.report(background) })
	running.Go(func() { boundMemory(background) })
	running.Go(func() { n.serveShared(background) })
	running.Go(func() { n.keepCertified(background) })
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-n.fatal:
	case failed = <-n.server.Failed():
	}
	if failed != nil {
		n.logger.Error("the node cannot go on", "error", failed)
	}
	n.draining.Store(true)
	// Reports go on while the node drains: it is still there.
	n.drain(context.WithoutCancel(ctx))
	stop()
	running.Wait()
	n.rules.Stop()
	n.stopOps(context.WithoutCancel(ctx))
	n.logger.Info("stopped")
	return failed
}

// serveShared accepts at the shared listeners once the rules are enforced.
func (n *node) serveShared(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if state, age := n.rules.Current(); state != nil && state.ServesAt(age) {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	if n.draining.Load() {
		return
	}
	for _, l := range n.shared {
		n.server.Serve(l)
	}
	n.serving.Store(true)
	e := n.rules.Epoch()
	n.logger.Info("ready", "generation", e.Generation, "epoch", e.Number)
}

// How long the parts of stopping may take, after the requests'.
const (
	returnTimeout = 2 * time.Second
	flushTimeout  = 5 * time.Second
	opsTimeout    = time.Second
)

// drain finishes requests, returns loans and sends the log. What it cannot do in time is logged: nothing of it is lost.
func (n *node) drain(ctx context.Context) {
	n.logger.Info("draining", "in_flight", n.front.InFlight())
	within := func(d time.Duration, doing string, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		if err := f(ctx); err != nil {
			n.logger.Warn("draining is not complete", "doing", doing, "error", err)
		}
	}
	within(n.settings.DrainTimeout, "finish requests", n.server.Drain)
	within(returnTimeout, "return loans", n.loans.Stop)
	// What the log still holds is sent by the next process on this data dir.
	within(flushTimeout, "send the log", n.log.Close)
}

func (n *node) stopOps(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	if err := n.ops.Stop(ctx); err != nil {
		n.logger.Warn("draining is not complete", "doing", "stop the ops port", "error", err)
	}
}
