package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tollgate/controlplane/internal/bus"
	"tollgate/controlplane/internal/keyring"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/publisher"
	"tollgate/dataplane/envelope"
)

// Run runs a control plane until ctx ends; then it stops within a few seconds and returns nil. Where it cannot start,
// the error says in one line what to do. Postgres and NATS may go and come back while it runs.
func Run(ctx context.Context, cfg Config, logger *slog.Logger) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	root, err := envelope.ParseRoot(cfg.TrustRoot)
	if err != nil {
		return fmt.Errorf("trust_root: %w", err)
	}
	registry := prometheus.NewRegistry()
	k, err := keyring.Open(keyring.Config{Dir: cfg.DataDir, Root: root, Logger: logger.With("part", "keys"), Metrics: registry}, time.Now())
	if err != nil {
		return err
	}
	admin, err := listen(ctx, "admin_addr", cfg.AdminAddr)
	if err != nil {
		return err
	}
	defer admin.Close()
	ops, err := listen(ctx, "ops_addr", cfg.OpsAddr)
	if err != nil {
		return err
	}
	defer ops.Close()

	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g := newGroup(ctx)
	var ready atomic.Bool
	var leads atomic.Pointer[publisher.Publisher]
	warnings := func() []string {
		all := k.Warnings()
		if p := leads.Load(); p != nil && p.Stopped() != "" {
			all = append(all, "no rules are published: "+p.Stopped())
		}
		return all
	}
	g.run(func(ctx context.Context) error {
		return serve(ctx, ops, opsHandler(&ready, warnings, registry), logger)
	})
	err = run(g, cfg, k, admin, &ready, &leads, registry, logger)
	return errors.Join(err, g.stop())
}

// run starts everything that needs Postgres, and waits until the group ends.
func run(
	g *group, cfg Config, k *keyring.Ring, admin net.Listener, ready *atomic.Bool, leads *atomic.Pointer[publisher.Publisher],
	registry *prometheus.Registry, logger *slog.Logger,
) error {
	db, err := openDatabase(g.ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer db.Close()
	b, err := bus.Connect(bus.Config{URL: cfg.NATSURL, Creds: cfg.NATSCreds, CA: cfg.NATSCA, Name: cfg.Name}, logger)
	if err != nil {
		return err
	}
	defer b.Close()
	// What runs in the group uses both: it ends before they do.
	defer func() { _ = g.stop() }() // Why it ended is returned by whoever waited.

	api, err := foundFleet(g.ctx, cfg, k, db, admin.Addr().String())
	if err != nil {
		return err
	}
	pub := newPublisher(k, db, api, b, registry, logger)
	leads.Store(pub)
	handler, err := adminHandler(api, db, pub, cfg.joining(k, admin.Addr().String()), logger)
	if err != nil {
		return err
	}
	g.run(func(ctx context.Context) error {
		k.Run(ctx, keySets{api}, func(signed []byte) error { return b.Publish(bus.SubjectTrust, signed) })
		return nil
	})
	if err := startWorkers(g, k, db, b, pub, registry, logger); err != nil {
		return err
	}
	startTimekeeper(g, api, logger.With("part", "timekeeper"))
	g.run(func(ctx context.Context) error { return serve(ctx, admin, handler, logger) })
	g.run(func(ctx context.Context) error {
		select {
		case <-b.Ready():
			ready.Store(true)
			logger.Info("ready", "admin", "http://"+admin.Addr().String(), "fleet", k.Fleet())
		case <-ctx.Done():
		}
		return nil
	})
	<-g.ctx.Done()
	return nil
}

// openDatabase brings the schema up to date and opens the pool.
func openDatabase(ctx context.Context, cfg Config, logger *slog.Logger) (*postgres.DB, error) {
	steps, err := postgres.Migrate(ctx, cfg.DatabaseURL)
	if err != nil {
		return nil, explainDatabase(cfg, err)
	}
	if steps > 0 {
		logger.Info("brought the database to this version's schema", "steps", steps)
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: cfg.DatabaseURL, MaxConns: databaseConns})
	if err != nil {
		return nil, explainDatabase(cfg, err)
	}
	return db, nil
}

// databaseConns is enough for all workers at once, and for some calls of the API beside them.
const databaseConns = coldWorkers + renewWorkers + 8
