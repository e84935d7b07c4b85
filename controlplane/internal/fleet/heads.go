package fleet

import (
	"context"
	"fmt"

	"tollgate/dataplane/decision"
)

// Heads are the newest epochs of all places that know of rules. In order: none is ahead of the database's, but after Postgres was restored to an
// earlier point. Zero: the place knows of none.
type Heads struct {
	Database decision.Epoch
	// Stream and Snapshot are on NATS, Nodes is what nodes have proved to enforce.
	Stream, Snapshot, Nodes decision.Epoch
	// Ahead says what is ahead of the database, or differs from it; empty: nothing.
	Ahead string
	// Lost is how many epochs are known that the database has not, and Changes what they changed, newest first, as far as the stream has them.
	Lost    int64
	Changes []LostChange
}

// LostChange is an object that a lost epoch changed.
type LostChange struct {
	Kind, ID string
	Epoch    decision.Epoch
	// What it was: removed, revoked; empty: any other change.
	What string
}

// Highest is above no epoch that is known anywhere.
func (h *Heads) Highest() decision.Epoch {
	out := h.Database
	for _, e := range []decision.Epoch{h.Stream, h.Snapshot, h.Nodes} {
		out.Generation, out.Number = max(out.Generation, e.Generation), max(out.Number, e.Number)
	}
	return out
}

// PublishingStopped is why no control plane publishes rules; empty where nothing is in the way.
func (s *Service) PublishingStopped(ctx context.Context) (string, error) {
	why, err := s.store.PublishingStopped(ctx)
	if err != nil {
		return "", fmt.Errorf("read whether rules are published: %w", err)
	}
	return why, nil
}
