package controlplane

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/bus"
	"tollgate/controlplane/internal/connectapi"
	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/ingest"
	"tollgate/controlplane/internal/keyring"
	"tollgate/controlplane/internal/lender"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/publisher"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/controlplane/internal/webui"
	"tollgate/web"
)

// foundFleet makes the licensing service, and sees that fleet and first token exist.
func foundFleet(ctx context.Context, cfg Config, k *keyring.Ring, db *postgres.DB, admin string) (*licensing.Service, error) {
	issuer, err := newNodeIssuer(cfg, k)
	if err != nil {
		return nil, err
	}
	api, err := licensing.New(licensing.Config{
		Store: db.Licensing(), Encoder: rulefeed.Encoder{}, KeySets: keyring.OpenKeySet(k.Verifier()), Nodes: issuer,
	})
	if err != nil {
		return nil, err
	}
	founding := licensing.Founding{ID: k.Fleet(), Env: cfg.Env, ErrorBaseURL: cfg.ErrorBaseURL}
	if cfg.ErrorBaseURL == "" {
		// Only a new fleet takes this process's own address: of several control planes each would set another.
		if _, err := api.Fleet(ctx); licensing.CodeOf(err) == licensing.FailedPrecondition {
			founding.ErrorBaseURL = "http://" + admin
		}
	}
	if _, err := api.Bootstrap(ctx, founding); err != nil {
		return nil, fmt.Errorf("found the fleet: %w", err)
	}
	if cfg.BootstrapToken != "" {
		token := licensing.Token{DisplayName: "bootstrap", Role: licensing.Owner}
		if _, err := api.ImportToken(ctx, token, cfg.BootstrapToken); err != nil {
			return nil, fmt.Errorf("bootstrap_token: %w", err)
		}
	}
	return api, nil
}

// adminHandler is the API and the web UI.
func adminHandler(api *licensing.Service, db *postgres.DB, pub *publisher.Publisher, j joining, logger *slog.Logger) (http.Handler, error) {
	ui, err := webui.Handler(web.Dist())
	if err != nil {
		return nil, err
	}
	nats, err := j.nats()
	if err != nil {
		return nil, err
	}
	return connectapi.Handler(connectapi.Config{
		Licensing: api, Metering: metering.NewService(db.Metering()), Fleet: fleet.NewService(db.Nodes()),
		Audit: audit.NewService(db.Audit()), Heads: pub.Heads, Others: ui, Logger: logger,
		AdminURL: j.adminURL(), NATS: nats, Certified: j.certified, Trust: j.trust,
	})
}

// How many messages of a kind are worked on at once. Cold ones mostly wait for other nodes.
const (
	coldWorkers  = 16
	renewWorkers = 4
	fleetWorkers = 2
)

// newPublisher makes what publishes rules, once it runs and leads.
func newPublisher(
	k *keyring.Ring, db *postgres.DB, api *licensing.Service, b *bus.Bus, registry *prometheus.Registry, logger *slog.Logger,
) *publisher.Publisher {
	return publisher.New(publisher.Config{
		Store: rules{db.Outbox(), db, api}, Stream: b, Signer: k.Rules(), Verifier: k.Verifier(),
		Logger: logger.With("part", "publisher"), Metrics: registry,
	})
}

// startWorkers starts what talks to nodes.
func startWorkers(g *group, k *keyring.Ring, db *postgres.DB, b *bus.Bus, pub *publisher.Publisher, registry *prometheus.Registry, logger *slog.Logger) error {
	lend := lender.New(lender.Config{
		Store: db.Lending(), Logger: logger.With("part", "lender"), Metrics: registry,
		Recall: func(data []byte) error { return b.Publish(bus.SubjectRecall, data) },
	})
	ing, err := ingest.New(ingest.Config{
		Store: db.Ledger(), Source: segments{b}, Verifier: k.Verifier(), Signer: k.Receipts(),
		Logger: logger.With("part", "ingest"), Metrics: registry,
	})
	if err != nil {
		return err
	}
	nodes := newReports(fleet.NewService(db.Nodes()), k.Verifier())

	g.run(pub.Run)
	g.run(func(ctx context.Context) error {
		nodes.keep(ctx, func(err error) { logger.Warn("cannot keep what nodes report", "error", err) })
		return nil
	})
	g.run(func(ctx context.Context) error { ing.Run(ctx); return nil })
	g.run(func(ctx context.Context) error {
		return b.Serve(ctx, bus.SubjectLend, "lender", renewWorkers, func(ctx context.Context, r bus.Request) []byte {
			return lend.Renew(ctx, r.Listener, r.Data)
		})
	})
	g.run(func(ctx context.Context) error {
		return b.Serve(ctx, bus.SubjectLendCold, "lender", coldWorkers, func(ctx context.Context, r bus.Request) []byte {
			return lend.Cold(ctx, r.Listener, r.Data)
		})
	})
	g.run(func(ctx context.Context) error {
		return b.Serve(ctx, bus.SubjectFleet, "fleet", fleetWorkers, func(ctx context.Context, r bus.Request) []byte {
			if err := nodes.take(r.Suffix, r.Data, time.Now()); err != nil && ctx.Err() == nil {
				logger.Warn("cannot take a node's report", "node", r.Suffix, "error", err)
			}
			return nil
		})
	})
	return nil
}

// tick is how often it is looked for what time has brought about, and for licences that are still to move.
const tick = time.Second

// startTimekeeper starts what records the work of time, and moves licences to published versions. Any number of control planes may do it at
// once; what fails is tried again.
func startTimekeeper(g *group, api *licensing.Service, logger *slog.Logger) {
	round := func(ctx context.Context) error {
		for more := true; more; {
			var err error
			if _, more, err = api.Elapse(ctx); err != nil {
				return fmt.Errorf("record what time has brought about: %w", err)
			}
		}
		for more := true; more; {
			var err error
			if more, err = api.Migrate(ctx); err != nil {
				return fmt.Errorf("move licences to a published version: %w", err)
			}
		}
		return nil
	}
	g.run(func(ctx context.Context) error {
		every := time.NewTicker(tick)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-every.C:
			}
			if err := round(ctx); err != nil && ctx.Err() == nil {
				logger.Warn("not done now: will be tried again", "error", err)
			}
		}
	})
}

// rules is publisher.Store: the outbox, and the rule state as records.
type rules struct {
	*postgres.Outbox
	db  *postgres.DB
	api *licensing.Service
}

// RuleState calls yield for every record of the rule state, and returns where its head is.
func (r rules) RuleState(ctx context.Context, yield func(at publisher.Head, record []byte) error) (publisher.Head, error) {
	head, err := r.db.RuleState(ctx, func(at licensing.Head, c licensing.Change) error {
		record, err := rulefeed.Encoder{}.Record(c)
		if err != nil {
			return err
		}
		return yield(publisher.Head(at), record)
	})
	return publisher.Head(head), err
}

// Resync makes change sets of what nodes should have been told.
func (r rules) Resync(ctx context.Context) (int, error) { return r.api.Resync(ctx) }

// segments is ingest.Source.
type segments struct{ *bus.Bus }

// Segments are the bus's, as messages.
func (s segments) Segments(ctx context.Context, limit int, wait time.Duration) ([]ingest.Message, error) {
	list, err := s.Bus.Segments(ctx, limit, wait)
	messages := make([]ingest.Message, len(list))
	for i, m := range list {
		messages[i] = m
	}
	return messages, err
}

// explainDatabase says what to do where the database does not answer. The URL's password stays out of it.
func explainDatabase(cfg Config, err error) error {
	where := "the database"
	if u, parseErr := url.Parse(cfg.DatabaseURL); parseErr == nil {
		where = "the database at " + u.Host
	}
	// The driver lists what it tried on lines of their own.
	why := strings.Join(strings.Fields(err.Error()), " ")
	return fmt.Errorf("%s cannot be used: %s: is Postgres running there, and is database_url right?", where, why)
}
