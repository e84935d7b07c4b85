package lender_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/controlplane/internal/lending"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/dataplane/decision"
)

// A node of the simulation: its boot, and what it was lent.
type quotaNode struct {
	store     *postgres.Lending
	key       decision.LoanKey
	rng       *rand.Rand
	boot      string
	boots     int
	name      string
	granted   int64
	spent     int64
	returned  int64
	spentEver int64
	exhausted bool
}

const quotaLimit = 5000

func (n *quotaNode) start() {
	n.boots++
	n.boot = bootID(fmt.Sprintf("%sb%d", n.name, n.boots))
	n.granted, n.spent, n.returned = 0, 0, 0
}

func (n *quotaNode) ask(ctx context.Context, waiting, want int64) error {
	loans, err := n.store.Lend(ctx, n.boot, 8, []lending.Ask{{
		Ask:   decision.Ask{Key: n.key, Spent: n.spent, Returned: n.returned, Waiting: waiting, Want: want},
		Quota: lending.Quota{Units: quotaLimit},
	}})
	if err != nil {
		return err
	}
	l := loans[0]
	if l.Closed {
		return fmt.Errorf("boot %s is closed", n.boot)
	}
	n.granted = max(n.granted, l.Granted)
	n.exhausted = want > 0 && l.Grant == 0
	return nil
}

// TestI2_LentNeverExceedsTheLimit has nodes that borrow, spend, give back and die at random, and start anew with their
// log recovered. What all of them spent is at most the limit, at any time, and in the end exactly it.
func TestI2_LentNeverExceedsTheLimit(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	key := decision.LoanKey{Kind: decision.QuotaLoan, License: "lic", Limit: "requests", PeriodStart: 1, PeriodEnd: 2, Generation: 1}
	loan := metering.LoanKey{License: "lic", Meter: "requests", PeriodStart: 1, PeriodEnd: 2, Generation: 1}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var total atomic.Int64
	var running sync.WaitGroup
	nodes := make([]*quotaNode, 8)
	for i := range nodes {
		n := &quotaNode{store: db.Lending(), key: key, rng: rand.New(rand.NewPCG(seed, uint64(i))), name: fmt.Sprintf("a%d", i)}
		nodes[i] = n
		n.start()
		running.Go(func() {
			for step := 0; !n.exhausted && step < 2000; step++ {
				var err error
				switch n.rng.IntN(10) {
				case 0: // Gives back all that is idle; the message repeats an older one sometimes.
					n.returned = n.granted - n.spent
					err = n.ask(t.Context(), 0, 0)
				case 1: // Dies; what it had not spent comes back with its last segment.
					err = closeBoot(t.Context(), db, n.boot, loan, n.spent)
					n.start()
				case 2, 3, 4:
					want := n.rng.Int64N(40) + 1
					err = n.ask(t.Context(), n.rng.Int64N(want+1), want)
				default:
					if idle := n.granted - n.spent - n.returned; idle > 0 {
						units := n.rng.Int64N(idle) + 1
						n.spent += units
						n.spentEver += units
						if sum := total.Add(units); sum > quotaLimit {
							t.Errorf("%d units spent of %d", sum, quotaLimit)
							return
						}
					}
				}
				if err != nil {
					t.Errorf("node %d: %v", i, err)
					return
				}
			}
		})
	}
	running.Wait()
	// Everyone gives back; then one takes what is left, and it is exactly what was not spent.
	for _, n := range nodes {
		n.returned = n.granted - n.spent
		must(t, n.ask(t.Context(), 0, 0))
	}
	last := nodes[0]
	last.start()
	must(t, last.ask(t.Context(), quotaLimit, quotaLimit))
	if want := quotaLimit - total.Load(); last.granted != want {
		t.Errorf("%d units were left, want %d: the pool and the loans do not add up", last.granted, want)
	}
}

// TestI2_ClosedBootIsLentNothing: what is granted after a boot's loans came back would never come back.
func TestI2_ClosedBootIsLentNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	loan := metering.LoanKey{License: "lic", Meter: "requests", PeriodStart: 1, PeriodEnd: 2, Generation: 1}
	n := &quotaNode{store: db.Lending(), key: decision.LoanKey{Kind: decision.QuotaLoan, License: "lic", Limit: "requests", PeriodStart: 1, PeriodEnd: 2, Generation: 1}, name: "c"}
	n.start()
	must(t, n.ask(t.Context(), 10, 10))
	must(t, closeBoot(t.Context(), db, n.boot, loan, 3))
	if err := n.ask(t.Context(), 10, 10); err == nil {
		t.Error("a closed boot was lent units")
	}
	n.start()
	must(t, n.ask(t.Context(), quotaLimit, quotaLimit))
	if n.granted != quotaLimit-3 {
		t.Errorf("%d units left after 3 were spent, want %d", n.granted, quotaLimit-3)
	}
}

// TestI2_ClosingRacesWithLending closes a boot while it borrows: a grant is either refused or comes back.
func TestI2_ClosingRacesWithLending(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	loan := metering.LoanKey{License: "lic", Meter: "requests", PeriodStart: 1, PeriodEnd: 2, Generation: 1}
	key := decision.LoanKey{Kind: decision.QuotaLoan, License: "lic", Limit: "requests", PeriodStart: 1, PeriodEnd: 2, Generation: 1}
	for i := range 40 {
		boot := bootID(fmt.Sprintf("d%d", i))
		var race sync.WaitGroup
		for range 4 {
			race.Go(func() {
				_, err := db.Lending().Lend(t.Context(), boot, 1, []lending.Ask{{Ask: decision.Ask{Key: key, Waiting: 5, Want: 5}, Quota: lending.Quota{Units: quotaLimit}}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		race.Go(func() {
			if err := closeBoot(t.Context(), db, boot, loan, 0); err != nil {
				t.Error(err)
			}
		})
		race.Wait()
	}
	n := &quotaNode{store: db.Lending(), key: key, name: "e"}
	n.start()
	must(t, n.ask(t.Context(), quotaLimit, quotaLimit))
	if n.granted != quotaLimit {
		t.Errorf("%d units left of %d: some were lent to a closed boot", n.granted, quotaLimit)
	}
}
