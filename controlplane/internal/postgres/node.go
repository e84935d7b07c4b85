package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

// Nodes is fleet.Store.
type Nodes struct{ db *DB }

// Nodes is the port of the fleet service.
func (db *DB) Nodes() *Nodes { return &Nodes{db} }

// SaveNodes takes reports. They come many times a second while rules change, beside the writes that change them, and each node reports again within a
// second: only a node's last word is waited for until it is on disk.
func (s *Nodes) SaveNodes(ctx context.Context, all []fleet.Node) error {
	var r query.SaveNodesParams
	last := false
	for _, n := range all {
		r.Names, r.Boots, r.Versions = append(r.Names, n.Name), append(r.Boots, n.Boot), append(r.Versions, n.Version)
		r.EpochGenerations, r.EpochNumbers = append(r.EpochGenerations, int64(n.Epoch.Generation)), append(r.EpochNumbers, int64(n.Epoch.Number))
		r.States, r.LagsMs, r.Refusals = append(r.States, n.State), append(r.LagsMs, n.Lag.Milliseconds()), append(r.Refusals, n.Refuses)
		r.SpoolsBytes, r.ProxiesRps, r.Reports = append(r.SpoolsBytes, n.SpoolBytes), append(r.ProxiesRps, n.ProxyRPS), append(r.Reports, int64(n.Report))
		r.ProvenGenerations, r.ProvenNumbers = append(r.ProvenGenerations, int64(n.Proven.Generation)), append(r.ProvenNumbers, int64(n.Proven.Number))
		r.ProvenHashes, r.Drained = append(r.ProvenHashes, filledBytes(n.ProvenHash)), append(r.Drained, n.Drained)
		r.KeySets = append(r.KeySets, int64(n.KeySet))
		last = last || n.Drained
	}
	if len(all) == 0 {
		return nil
	}
	p := &pipeline{pool: s.db.pool}
	defer p.end(ctx)
	var err error
	if !last {
		err = p.later("save reports of nodes").CommitWithoutSync(ctx)
	}
	if err == nil {
		err = p.later("save reports of nodes").SaveNodes(ctx, r)
	}
	if err == nil {
		// A report is worth nothing a second later: it is not tried again.
		_, err = p.commit(ctx)
	}
	return err
}

// Nodes are all nodes by name, and how long ago each was seen.
func (s *Nodes) Nodes(ctx context.Context) ([]fleet.Node, []time.Duration, error) {
	var rows []query.NodesRow
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		rows, err = q.Nodes(ctx)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read nodes: %w", err)
	}
	nodes, ages := make([]fleet.Node, len(rows)), make([]time.Duration, len(rows))
	for i, r := range rows {
		nodes[i] = fleet.Node{
			Name: r.Node.Name, Boot: r.Node.Boot, Version: r.Node.Version,
			Epoch: decision.Epoch{Generation: uint64(r.Node.EpochGeneration), Number: uint64(r.Node.EpochNumber)},
			State: r.Node.State, Lag: time.Duration(r.Node.LagMs) * time.Millisecond, SpoolBytes: r.Node.SpoolBytes,
			ProxyRPS: r.Node.ProxyRps, Report: uint64(r.Node.Report), Refuses: r.Node.Refuses, LastSeen: r.Node.LastSeen.UTC(), Drained: r.Node.DrainedAt != nil,
			Proven:     decision.Epoch{Generation: uint64(r.Node.ProvenGeneration), Number: uint64(r.Node.ProvenNumber)},
			ProvenHash: r.Node.ProvenHash, BlockReason: r.BlockReason, BlockTime: instant(r.BlockedAt), NATSUser: r.NatsUser, KeySet: uint64(r.Node.KeySet),
		}
		ages[i] = time.Duration(r.Age * float64(time.Second))
	}
	return nodes, ages, nil
}

// Enforcing says how many of the nodes that may serve enforce an epoch or a later one.
func (s *Nodes) Enforcing(ctx context.Context, epoch decision.Epoch) (enforced, total int, err error) {
	var row query.EnforcingNodesRow
	err = s.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		row, err = q.EnforcingNodes(ctx, query.EnforcingNodesParams{Generation: int64(epoch.Generation), Number: int64(epoch.Number)})
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count nodes: %w", err)
	}
	return int(row.Enforced), int(row.Total), nil
}

// HeadEpoch is the newest epoch that was written; zero before there is a fleet.
func (s *Nodes) HeadEpoch(ctx context.Context) (decision.Epoch, error) {
	e, _, err := s.db.head(ctx)
	return e, err
}

// head is the newest epoch and the hash of its envelope; a zero epoch where there is none.
func (db *DB) head(ctx context.Context) (decision.Epoch, []byte, error) {
	var r query.RuleHead
	err := db.read(ctx, func(ctx context.Context, q *query.Queries) error {
		row, err := q.Head(ctx)
		r.Generation, r.Number, r.Hash = row.Generation, row.Number, row.Hash
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return decision.Epoch{}, nil, nil
	}
	if err != nil {
		return decision.Epoch{}, nil, fmt.Errorf("read the rules' head: %w", err)
	}
	return decision.Epoch{Generation: uint64(r.Generation), Number: uint64(r.Number)}, r.Hash, nil
}
