// Package fleet knows the nodes: what they last said of themselves, and which epoch they enforce.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/dataplane/decision"
)

// SilentAfter is how long a node may say nothing before it is shown as silent.
const SilentAfter = 5 * time.Second

// States that a node does not say of itself.
const (
	// Silent is that of a node that has not reported for SilentAfter.
	Silent = "silent"
	// Drained is that of a node that has stopped as it was told, or that an operator said is gone.
	Drained = "drained"
	// Blocked is that of a node that an operator has stopped, whatever it says.
	Blocked = "blocked"
)

// ErrInvalid is wrapped where the caller is at fault.
var ErrInvalid = errors.New("invalid request")

// Node is a node as it last reported itself.
type Node struct {
	Name, Boot, Version string
	// Epoch is what it enforces.
	Epoch decision.Epoch
	// Proven is the newest epoch of which it has shown a signed heartbeat, and ProvenHash that of its envelope; zero: it showed none.
	Proven     decision.Epoch
	ProvenHash []byte
	// Drained: it serves no more, by its own last word or an operator's.
	Drained bool
	// State is fresh, stale, grace, block, Silent, or Drained. Shown says what it is with a block.
	State string
	// BlockReason is why an operator has blocked it, and BlockTime when; zero: it is not blocked.
	BlockReason string
	BlockTime   time.Time
	// NATSUser is that of a blocked node's key: it is to be revoked in NATS. Empty: it did not join by a token.
	NATSUser string
	// Lag is the age of the last fresh heartbeat; negative where there was none.
	Lag        time.Duration
	SpoolBytes int64
	ProxyRPS   float64
	// Refuses is why it does not enforce rules that it was sent; empty where it has none left to take.
	Refuses string
	// KeySet is the version of the key set that it goes by; 0: it has none, or does not say.
	KeySet uint64
	// Report orders the reports of one boot.
	Report   uint64
	LastSeen time.Time
}

// Shown is the state that people are shown.
func (n *Node) Shown() string {
	if !n.BlockTime.IsZero() {
		return Blocked
	}
	return n.State
}

// Store keeps the nodes. Its methods block on the database.
type Store interface {
	// SaveNodes takes reports, each of another node; the time is the database's. A report that is not newer than the stored one of the
	// same boot is dropped.
	SaveNodes(ctx context.Context, all []Node) error
	// Nodes are all nodes in order of name, with how long ago each was seen by the database's clock.
	Nodes(ctx context.Context) ([]Node, []time.Duration, error)
	// Enforcing says how many of those nodes that may serve enforce an epoch or a later one: all but the drained, the blocked, and those that have been silent
	// for so long that their rules are too old to serve by.
	Enforcing(ctx context.Context, epoch decision.Epoch) (enforced, total int, err error)
	// PublishingStopped is why no control plane publishes; empty: nothing is in the way.
	PublishingStopped(ctx context.Context) (string, error)
	// HeadEpoch is the newest epoch that was written.
	HeadEpoch(ctx context.Context) (decision.Epoch, error)
}

// Service answers questions about the fleet. Safe for concurrent use.
type Service struct{ store Store }

// NewService reads from and writes to store.
func NewService(store Store) *Service { return &Service{store: store} }

// Report takes what nodes say of themselves: of each its newest word.
func (s *Service) Report(ctx context.Context, all ...Node) error {
	for i := range all {
		if all[i].Name == "" || all[i].Boot == "" {
			return fmt.Errorf("%w: a report names its node and boot", ErrInvalid)
		}
	}
	return s.store.SaveNodes(ctx, all)
}

// List is every node that ever reported, in order of name; State is Silent for those that stopped without a word.
func (s *Service) List(ctx context.Context) ([]Node, error) {
	nodes, ages, err := s.store.Nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	for i := range nodes {
		switch {
		case nodes[i].Drained:
			nodes[i].State = Drained
		case ages[i] > SilentAfter:
			nodes[i].State = Silent
		}
	}
	return nodes, nil
}

// waitPoll is how often WaitForEpoch looks: an epoch takes a few tens of milliseconds to spread.
const waitPoll = 20 * time.Millisecond

// Node is a node of any name; one that never reported is silent.
func (s *Service) Node(ctx context.Context, name string) (Node, error) {
	nodes, err := s.List(ctx)
	if err != nil {
		return Node{}, err
	}
	for i := range nodes {
		if nodes[i].Name == name {
			return nodes[i], nil
		}
	}
	return Node{Name: name, State: Silent}, nil
}

// WaitForEpoch waits until every node enforces epoch or a later one, or timeout has passed, and says how many of
// how many do. A node that fell silent may enforce old rules: it is in the total and, unless it had reported the epoch, not among those that enforce
// it, until it is drained or blocked, or has been silent for so long that it blocks by itself. A zero epoch is the newest one written. With no
// node at all it waits until the timeout: 0 of 0 is nothing to be sure of.
func (s *Service) WaitForEpoch(ctx context.Context, epoch decision.Epoch, timeout time.Duration) (enforced, total int, err error) {
	if epoch == (decision.Epoch{}) {
		if epoch, err = s.store.HeadEpoch(ctx); err != nil {
			return 0, 0, fmt.Errorf("wait for the current epoch: %w", err)
		}
	}
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(waitPoll)
	defer tick.Stop()
	for {
		if enforced, total, err = s.store.Enforcing(ctx, epoch); err != nil {
			err = fmt.Errorf("wait for epoch %d.%d: %w", epoch.Generation, epoch.Number, err)
		}
		if err != nil || total > 0 && enforced == total {
			return enforced, total, err
		}
		select {
		case <-ctx.Done():
			return enforced, total, ctx.Err()
		case <-deadline.C:
			return enforced, total, nil
		case <-tick.C:
		}
	}
}
