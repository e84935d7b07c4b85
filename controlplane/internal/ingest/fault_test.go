package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// storeFunc is a store that does something of its own.
type storeFunc func(context.Context, []metering.Segment) ([]metering.Answer, error)

func (f storeFunc) Commit(ctx context.Context, s []metering.Segment) ([]metering.Answer, error) {
	return f(ctx, s)
}

// TestI4_ExactlyOnceUnderFaults has nodes whose segments arrive twice, late and out of order, at two control planes that lose
// receipts and die between commit and receipt. Every request counts once.
func TestI4_ExactlyOnceUnderFaults(t *testing.T) {
	t.Parallel()
	p := setup(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(seed, 0))
	one := func(in int) bool { mu.Lock(); defer mu.Unlock(); return chance.IntN(in) == 0 }
	var died atomic.Int64
	dies := storeFunc(func(ctx context.Context, s []metering.Segment) ([]metering.Answer, error) {
		answers, err := p.Commit(ctx, s)
		if err == nil && one(6) {
			died.Add(1)
			return nil, errors.New("killed after the commit")
		}
		return answers, err
	})
	lost := func() bool { return one(4) }
	p.run(t, dies, lost)
	p.run(t, dies, lost)

	const segments, requests = 12, 8
	var want atomic.Int64
	var running sync.WaitGroup
	for i := range 3 {
		n := p.node(t, fmt.Sprintf("node-%d", i), bootID(fmt.Sprintf("%dff", i)))
		running.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i+1)))
			var open []*ledgerv1.Record
			for s := range segments {
				var records []*ledgerv1.Record
				for _, o := range open { // Requests of the segment before that end in this one.
					billed := rng.IntN(3) > 0
					if !billed {
						want.Add(-o.GetIntent().GetCharges()[0].GetUnits())
					}
					records = append(records, settled(o.GetIntent().GetId(), o.GetIntent().GetCharges()[0].GetUnits(), billed))
				}
				open = nil
				for r := range requests {
					units := 1 + rng.Int64N(9)
					begun := intent(id(n.boot, s*requests+r), units)
					want.Add(units)
					records = append(records, begun)
					if rng.IntN(2) == 0 {
						open = append(open, begun)
					} else {
						records = append(records, settled(begun.GetIntent().GetId(), units, true))
					}
				}
				n.seal(s == segments-1, records...)
			}
			for _, j := range rng.Perm(2 * segments) {
				if err := n.send(n.sealed[j%segments]); err != nil {
					t.Error(err)
				}
			}
			n.await(segments)
		})
	}
	running.Wait()
	if got := p.usage(t); got != want.Load() {
		t.Errorf("usage %d, want %d", got, want.Load())
	}
	if got := len(p.decisions(t)); got != 3*segments*requests {
		t.Errorf("%d decisions, want %d", got, 3*segments*requests)
	}
	t.Logf("%d commits whose receipts were lost with their control plane", died.Load())
}

func TestI4_SurvivesPostgresKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	must(t, err)
	t.Cleanup(db.Close)
	p := setupOn(t, db)
	p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("1a"))
	must(t, n.send(n.seal(false, intent(id(n.boot, 1), 1))))
	n.await(1)
	server.Kill(t)
	for i := range 5 {
		must(t, n.send(n.seal(false, intent(id(n.boot, 2+i), 1))))
	}
	server.Restart(t)
	n.await(6)
	if got := p.usage(t); got != 6 {
		t.Errorf("usage %d, want 6", got)
	}
}

func TestI4_SurvivesTheNATSStoreWiped(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, p, nil)
	n := p.node(t, "node-1", bootID("2a"))
	must(t, n.send(n.seal(false, intent(id(n.boot, 1), 1))))
	n.await(1)
	n.seal(false, intent(id(n.boot, 2), 1))
	p.nats.Wipe(t)
	n.seal(false, intent(id(n.boot, 3), 1))
	n.await(3)
	if got := p.usage(t); got != 3 {
		t.Errorf("usage %d, want 3", got)
	}
}

// A control plane that stops in the middle of work leaves nothing half done for the next.
func TestI4_AnotherControlPlaneGoesOn(t *testing.T) {
	t.Parallel()
	p := setup(t)
	n := p.node(t, "node-1", bootID("3a"))
	const segments = 20
	for i := range segments {
		must(t, n.send(n.seal(i == segments-1, intent(id(n.boot, i), 1), settled(id(n.boot, i), 1, true))))
	}
	_, stop := p.run(t, p, nil)
	n.hear()
	stop()
	p.run(t, p, nil)
	n.await(segments)
	if got := p.usage(t); got != segments {
		t.Errorf("usage %d, want %d", got, segments)
	}
}
