package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

// Proven is the newest epoch that a node has proved to enforce, with its envelope's hash, and how many nodes are known.
func (o *Outbox) Proven(ctx context.Context) (decision.Epoch, []byte, int, error) {
	var row query.ProvenHeadRow
	err := o.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		row, err = q.ProvenHead(ctx)
		return err
	})
	if err != nil {
		return decision.Epoch{}, nil, 0, fmt.Errorf("read what nodes enforce: %w", err)
	}
	return decision.Epoch{Generation: uint64(row.Generation), Number: uint64(row.Number)}, row.Hash, int(row.Nodes), nil
}

// Astray says whether change sets lead a node to another state than the one that was meant.
func (o *Outbox) Astray(ctx context.Context) (astray bool, err error) {
	err = o.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		astray, err = q.NodeAstray(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("read what nodes refuse: %w", err)
	}
	return astray, nil
}

// Instance is which Postgres this is, and which one was kept last.
func (o *Outbox) Instance(ctx context.Context) (now, kept string, err error) {
	err = o.db.read(ctx, func(ctx context.Context, q *query.Queries) error {
		state, err := q.PublisherState(ctx)
		if err != nil {
			return err
		}
		timeline, err := q.Timeline(ctx)
		if err != nil {
			return err
		}
		system, err := q.SystemIdentifier(ctx)
		var denied *pgconn.PgError
		if errors.As(err, &denied) && denied.Code == "42501" {
			// A hardened server keeps it from this role. The timeline tells most.
			system, err = "", nil
		}
		now, kept = system+"/"+timeline, state.Instance
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("ask which Postgres this is: %w", err)
	}
	return now, kept, nil
}

// KeepState keeps why nothing is published, empty where it is, and the instance.
func (o *Outbox) KeepState(ctx context.Context, stopped, instance string) error {
	err := o.db.read(ctx, func(ctx context.Context, q *query.Queries) error {
		return q.KeepPublisherState(ctx, query.KeepPublisherStateParams{Stopped: stopped, Instance: instance})
	})
	if err != nil {
		return fmt.Errorf("keep the publisher's state: %w", err)
	}
	return nil
}

// PublishingStopped is why no control plane publishes; empty: nothing is in the way.
func (s *Nodes) PublishingStopped(ctx context.Context) (string, error) {
	var row query.PublisherStateRow
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		row, err = q.PublisherState(ctx)
		return err
	})
	return row.Stopped, err
}

func (t *licensingTx) OpenGeneration(ctx context.Context, at licensing.Epoch) error {
	n, err := t.q.OpenGeneration(ctx, query.OpenGenerationParams{Generation: int64(at.Generation), Number: int64(at.Number)})
	if err == nil && n != 1 {
		err = errors.New("the head's generation is not below it")
	}
	if err != nil {
		return fmt.Errorf("open generation %d: %w", at.Generation, err)
	}
	return nil
}

func (t *licensingTx) Node(ctx context.Context, name string) (licensing.Node, error) {
	row, err := t.q.DrainedNode(ctx, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.Node{}, licensing.Missing(licensing.KindNode, name)
	}
	if err != nil {
		return licensing.Node{}, fmt.Errorf("read node %s: %w", name, err)
	}
	out := licensing.Node{Name: row.Name, Silent: time.Duration(row.Age * float64(time.Second))}
	if row.DrainedAt != nil {
		out.DrainTime = row.DrainedAt.UTC()
	}
	return out, nil
}

func (t *licensingTx) DrainNode(ctx context.Context, n licensing.Node) (licensing.Node, error) {
	if err := t.q.DrainNode(ctx, query.DrainNodeParams{Name: n.Name, DrainedAt: nullable(n.DrainTime)}); err != nil {
		return n, fmt.Errorf("drain node %s: %w", n.Name, err)
	}
	return n, nil
}
