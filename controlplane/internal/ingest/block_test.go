package ingest_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
)

func update(t *testing.T, db *postgres.DB, f func(ctx context.Context, tx licensing.Tx) error) {
	t.Helper()
	must(t, db.Licensing().Update(t.Context(), func(tx licensing.Tx) error { return f(t.Context(), tx) }))
}

// holds has a key hold a name, as a node's that joined.
func holds(t *testing.T, db *postgres.DB, name string, key []byte) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx licensing.Tx) error {
		token := licensing.JoinToken{ID: "jtk_" + hex.EncodeToString(key), Node: name, Replace: true, Uses: 1, ExpireTime: time.Now(), CreateTime: time.Now()}
		copy(token.Hash[:], key)
		if _, err := tx.InsertJoinToken(ctx, token); err != nil {
			return err
		}
		return tx.SaveNodeIdentity(ctx, licensing.NodeIdentity{
			Node: name, PublicKey: key, NATSUser: "U" + hex.EncodeToString(key), Token: token.ID, Certificate: []byte{}, JoinTime: time.Now(), ExpireTime: time.Now(),
		})
	})
}

func blockOf(name string, key []byte) licensing.NodeBlock {
	return licensing.NodeBlock{Node: name, PublicKey: key, Reason: "stolen", BlockTime: time.Now()}
}

func (n *node) blockedBy() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.blocked
}

// What a blocked node sends waits on its disk, and counts once when it is taken back.
func TestI4_ABlockedNodesSegmentsWaitUntilItIsUnblocked(t *testing.T) {
	t.Parallel()
	p := setup(t)
	metrics, _ := p.run(t, p, nil)
	n, other := p.node(t, "node-1", bootID("b1")), p.node(t, "node-2", bootID("b2"))
	must(t, n.send(n.seal(false, intent(id(n.boot, 1), 1))))
	n.await(1)
	block := blockOf("node-1", nil) // It never joined by a token.
	update(t, p.db, func(ctx context.Context, tx licensing.Tx) error { return tx.InsertNodeBlock(ctx, block) })
	n.forget()
	must(t, n.send(n.sealed[0])) // A receipt that was lost is no exception.
	must(t, n.send(n.seal(false, intent(id(n.boot, 2), 10))))
	must(t, n.send(n.seal(true, intent(id(n.boot, 3), 100))))
	must(t, other.send(other.seal(false, intent(id(other.boot, 1), 1000))))
	other.await(1)
	// One that is delivered twice, as where an answer took long, counts twice.
	until(t, "all of it to be quarantined", func() bool { return count(t, metrics, "blocked") >= 3 })
	for n.blockedBy() == "" {
		n.hear()
	}
	if n.last() != 1 || n.blockedBy() != "stolen" {
		t.Errorf("a receipt of segment %d, blocked by %q; want to be told why there is none", n.last(), n.blockedBy())
	}
	if got := p.usage(t); got != 1001 {
		t.Errorf("usage %d, want 1,001", got)
	}
	update(t, p.db, func(ctx context.Context, tx licensing.Tx) error { return tx.DeleteNodeBlock(ctx, block) })
	n.await(3)
	if got := p.usage(t); got != 1111 {
		t.Errorf("usage %d, want 1,111", got)
	}
}

// It is the key that is blocked: who takes the name over by another one is not, and the stolen one stays so.
func TestIngest_ABlockIsOfTheKeyAndNotOfWhoHoldsTheNameNext(t *testing.T) {
	t.Parallel()
	for name, joined := range map[string]bool{"joined": true, "certified elsewhere": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setup(t)
			metrics, _ := p.run(t, p, nil)
			thief, heir := p.node(t, "node-1", bootID("c1")), p.node(t, "node-1", bootID("c2"))
			key := func(n *node) []byte {
				c, err := n.signer.Certified()
				must(t, err)
				return c.PublicKey
			}
			block := blockOf("node-1", nil)
			if joined {
				block.PublicKey = key(thief)
				holds(t, p.db, "node-1", key(thief))
			}
			update(t, p.db, func(ctx context.Context, tx licensing.Tx) error { return tx.InsertNodeBlock(ctx, block) })
			holds(t, p.db, "node-1", key(heir))
			must(t, thief.send(thief.seal(false, intent(id(thief.boot, 1), 100))))
			must(t, heir.send(heir.seal(false, intent(id(heir.boot, 1), 1))))
			heir.await(1)
			until(t, "the stolen key's segment to be quarantined", func() bool { return count(t, metrics, "blocked") >= 1 })
			if got := p.usage(t); got != 1 {
				t.Errorf("usage %d, want 1", got)
			}
		})
	}
}

// A segment is decided by the blocks that are committed: one whose transaction begins while a block is being made waits for it.
func TestIngest_NoSegmentIsCommittedAfterItsNodesBlock(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	must(t, err)
	t.Cleanup(db.Close)
	segment := metering.Segment{
		Place:   metering.Place{Node: "node-1", Boot: bootID("d1"), Signer: []byte("key"), Number: 1, Hash: []byte("h"), SealedAt: time.Now()},
		Entries: metering.NewEntries(0),
	}
	var answers []metering.Answer
	done := make(chan error, 1)
	update(t, db, func(ctx context.Context, tx licensing.Tx) error {
		if err := tx.InsertNodeBlock(ctx, blockOf("node-1", []byte("key"))); err != nil {
			return err
		}
		go func() {
			var err error
			answers, err = db.Ledger().Commit(context.WithoutCancel(ctx), []metering.Segment{segment})
			done <- err
		}()
		until(t, "the commit to wait, or to end", func() bool {
			return len(done) > 0 || pgtest.Waiting(t, url) > 0
		})
		return nil
	})
	must(t, <-done)
	if len(answers) != 1 || answers[0].Admission != metering.Blocked || answers[0].Reason != "stolen" {
		t.Errorf("%+v, want it to be refused", answers)
	}
}
