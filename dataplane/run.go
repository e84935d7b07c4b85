package dataplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/borrow"
	"tollgate/dataplane/internal/bus"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/front"
	"tollgate/dataplane/internal/identity"
	"tollgate/dataplane/internal/ops"
	"tollgate/dataplane/internal/rulefile"
	"tollgate/dataplane/internal/ruleset"
	"tollgate/dataplane/internal/spool"
	"tollgate/dataplane/internal/upstream"
)

// firstShared is the descriptor of the first shared listener: those before it are standard input, output and error.
const firstShared = 3

// The folders of the log and the rules in the data dir.
const (
	spoolDir = "spool"
	rulesDir = "rules"
	// trustFile is the newest key set.
	trustFile = "key_set"
)

// Run runs a node until ctx ends, and then drains it: it stops accepting, lets requests finish, gives loans back, seals its log and
// waits for the log's receipts, all within the drain timeout and a few seconds. It returns nil after that, and an error
// of one line, which says what to do, where the node cannot start or go on.
func Run(ctx context.Context, cfg Config, logger *slog.Logger) error {
	s, err := cfg.check(ctx, time.Now(), logger)
	if err != nil && ctx.Err() != nil {
		logger.Info("stopped before the node had joined", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	boot, err := newBoot()
	if err != nil {
		return err
	}
	logger = logger.With("node", s.NodeName)
	if s.forgotten != nil {
		logger.Error("the key set on disk cannot be used: waiting for the control plane's", "error", s.forgotten)
	}
	logger.Info("starting", "boot", boot, "version", s.Version, "fleet", s.certified.Fleet)
	n := &node{settings: s, boot: boot, logger: logger, fatal: make(chan error, 1), registry: prometheus.NewRegistry(), clock: clock.New(clock.System())}
	defer n.close()
	if err := n.listen(); err != nil {
		return err
	}
	if err := n.build(); err != nil {
		return err
	}
	if err := n.start(ctx); err != nil {
		return err
	}
	return n.run(ctx)
}

// newBoot names one life of a process: 128 random bits.
func newBoot() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("draw a boot id: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// listen takes the addresses first: that one is taken is what goes wrong most.
func (n *node) listen() error {
	s := n.settings
	var err error
	if s.ProxyAddr != "" {
		if n.own, err = listen("proxy_addr", s.ProxyAddr); err != nil {
			return err
		}
		n.onClose(func() { n.own.Close() })
	}
	if n.opsListener, err = listen("ops_addr", s.OpsAddr); err != nil {
		return err
	}
	n.onClose(func() { n.opsListener.Close() })
	if s.SharedListeners > 0 {
		if n.shared, err = front.Shared(firstShared, s.SharedListeners, s.SharedIndex); err != nil {
			return fmt.Errorf("shared_listeners: %w", err)
		}
		n.onClose(func() {
			for _, l := range n.shared {
				l.Close()
			}
		})
	}
	return nil
}

func listen(key, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is taken by another process: stop that one, or choose another address %s", key, addr, where(key))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: not allowed to listen on %s: choose a port above 1023 %s", key, addr, where(key))
	}
	return nil, fmt.Errorf("%s: cannot listen on %s: %w; choose another address %s", key, addr, err, where(key))
}

// build makes the adapters and wires them. Nothing runs yet but the connection to NATS.
func (n *node) build() error {
	s := n.settings
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	fleet := s.certified.Fleet
	verifier := s.verifier
	var err error
	n.bus, err = bus.Connect(bus.Config{URL: s.NATSURL, CredsFile: s.NATSCreds, CAFile: s.NATSCA, Name: s.NodeName, Logger: n.logger})
	if err != nil {
		return fmt.Errorf("nats_url: %w; set it, nats_creds and nats_ca %s", err, where("nats_url"))
	}
	n.onClose(n.bus.Close)
	n.signer = envelope.NewSigner(s.key, s.certificate)
	// First: it holds the data dir for this process.
	n.log, err = spool.Open(spool.Config{
		Dir: filepath.Join(s.DataDir, spoolDir), Node: s.NodeName, Boot: n.boot, Fleet: fleet,
		Signer: n.signer, Verifier: verifier, Sender: n.bus, Logger: n.logger, Now: n.clock.Date,
	})
	if err != nil {
		return err
	}
	disk, err := rulefile.Open(rulefile.Config{Dir: filepath.Join(s.DataDir, rulesDir), Key: s.stateKey})
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	n.rules, err = ruleset.New(ruleset.Config{Source: n.bus, Verifier: verifier, Disk: disk, Clock: n.clock, Confirmed: s.confirmed, Logger: n.logger, Metrics: n.registry})
	if err != nil {
		return err
	}
	if err := n.registry.Register(n.log); err != nil {
		return fmt.Errorf("register the log's metrics: %w", err)
	}
	n.loans, err = borrow.New(borrow.Config{
		Node: s.NodeName, Boot: n.boot, Lender: n.bus, Clock: n.clock, Logger: n.logger, Metrics: n.registry,
		Horizon: func() time.Duration {
			state, age := n.rules.Current()
			switch {
			case state == nil:
				return 0
			case age >= decision.AgeGrace:
				return -1 // Units that were lent, and no others.
			}
			return state.Settings().LoanHorizon
		},
		Fatal: n.fail,
	})
	if err != nil {
		return err
	}
	pool := upstream.NewPool()
	n.onClose(pool.Close)
	n.front, err = front.New(front.Config{
		Rules: n.rules, Limits: n.loans, Log: n.log, Identity: identity.Reader{}, Upstreams: pool, Clock: n.clock,
		Registry: n.registry, Logger: n.logger, Boot: n.boot,
		ColdWait: s.ColdWait, MaxInFlight: s.MaxInFlight, TrustedProxies: s.trusted,
	})
	if err != nil {
		return err
	}
	n.server = front.NewServer(n.front, n.logger)
	return nil
}

// start begins to follow, borrow, log and serve. Clients of the shared listeners are accepted only when rules are enforced: until
// then the machine's other nodes serve them. Those of the node's own address are told that there are no rules.
func (n *node) start(ctx context.Context) error {
	if err := errors.Join(n.bus.OnTrust(n.rules.Trust), n.bus.OnHeartbeat(n.rules.Heartbeat), n.bus.OnReceipt(n.log.Receipt), n.bus.OnRecall(n.loans.Recalled)); err != nil {
		return err
	}
	n.log.Start(ctx)
	n.rules.Start()
	n.loans.Start()
	n.ops = ops.Start(n.opsListener, n.registry, n.notReady, n.logger)
	if n.own != nil {
		n.server.Serve(n.own)
		n.logger.Info("listening", "proxy", n.own.Addr().String(), "ops", n.opsListener.Addr().String())
	}
	return nil
}
