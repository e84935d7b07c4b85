package lender_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"tollgate/controlplane/internal/lending"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/dataplane/decision"
)

// spends are the instants at which tokens were spent, by the one clock of this machine, which is Postgres's, too.
type spends struct {
	mu sync.Mutex
	at []time.Time
}

func (s *spends) add(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for range n {
		s.at = append(s.at, now)
	}
}

// exceeded finds a window in which more than burst + rate * t were spent.
func (s *spends) exceeded(burst int64, rate float64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(s.at, time.Time.Compare)
	for i := range s.at {
		for j := i; j < len(s.at); j++ {
			t := s.at[j].Sub(s.at[i]).Seconds()
			if n := float64(j - i + 1); n > float64(burst)+rate*t+1e-6 {
				return fmt.Sprintf("%d spent within %.3f s on %g/s burst %d", j-i+1, t, rate, burst)
			}
		}
	}
	return ""
}

// rateNode holds tokens as a node does: they end, and what an answer that never arrived granted has ended.
type rateNode struct {
	store                    *postgres.Lending
	boot                     string
	granted, spent, returned int64
	until                    time.Time
}

func (n *rateNode) balance(now time.Time) int64 {
	if !now.Before(n.until) {
		n.returned = n.granted - n.spent
	}
	return n.granted - n.spent - n.returned
}

func (n *rateNode) ask(ctx context.Context, rate float64, burst, waiting, want int64) (time.Duration, error) {
	now := time.Now()
	n.balance(now)
	loans, err := n.store.Lend(ctx, n.boot, 6, []lending.Ask{{
		Ask: decision.Ask{
			Key:   decision.LoanKey{Kind: decision.RateLoan, License: "lic", Limit: "rate"},
			Spent: n.spent, Returned: n.returned, Waiting: waiting, Want: want,
		},
		PerSecond: rate, Burst: burst,
	}})
	if err != nil {
		return 0, err
	}
	l := loans[0]
	if lost := l.Granted - l.Grant - n.granted; lost > 0 {
		n.returned += lost
	}
	n.granted = max(n.granted, l.Granted)
	if l.Grant > 0 {
		n.until = now.Add(lending.Lives)
	}
	return l.RetryAfter, nil
}

// spend takes tokens that are good at the very moment.
func (n *rateNode) spend(units int64, into *spends) int64 {
	units = min(units, n.balance(time.Now()))
	if units > 0 {
		into.add(units)
		n.spent += units
	}
	return units
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// TestI3_NoWindowHoldsMoreThanTheRate has nodes that borrow, hoard, spend late, report late and die. Spending times never show
// more than burst + rate * t.
func TestI3_NoWindowHoldsMoreThanTheRate(t *testing.T) {
	t.Parallel()
	const rate, burst = 40.0, 25
	db := pgtest.Open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var all spends
	var running sync.WaitGroup
	for i := range 6 {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			n := &rateNode{store: db.Lending(), boot: bootID(fmt.Sprintf("f%d", i))}
			for life := 0; ctx.Err() == nil; {
				retry, err := n.ask(ctx, rate, burst, rng.Int64N(4), 1+rng.Int64N(burst))
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				switch rng.IntN(12) {
				case 0: // Spends at the last moment, and asks at once.
					pause(ctx, time.Until(n.until)-5*time.Millisecond)
					n.spend(burst, &all)
				case 1: // Forgets what it has.
					pause(ctx, time.Until(n.until))
				case 2: // Dies without a word.
					life++
					n = &rateNode{store: n.store, boot: bootID(fmt.Sprintf("f%de%d", i, life))}
				default:
					for n.spend(1+rng.Int64N(3), &all) > 0 {
						pause(ctx, time.Duration(rng.Int64N(int64(15*time.Millisecond))))
					}
					pause(ctx, retry)
				}
			}
		})
	}
	running.Wait()
	if why := all.exceeded(burst, rate); why != "" {
		t.Error(why)
	}
	if n := len(all.at); n < burst {
		t.Errorf("only %d spent: the limit was not tried", n)
	}
}

// TestI3_LateReportFindsNoFullPool: a burst that was held, spent at the last moment and reported then must not be
// followed by another.
func TestI3_LateReportFindsNoFullPool(t *testing.T) {
	t.Parallel()
	const rate, burst = 20.0, 10
	n := &rateNode{store: pgtest.Open(t).Lending(), boot: bootID("aa")}
	var all spends
	for range 3 {
		_, err := n.ask(t.Context(), rate, burst, burst, burst)
		must(t, err)
		pause(t.Context(), time.Until(n.until)-20*time.Millisecond)
		n.spend(burst, &all)
		_, err = n.ask(t.Context(), rate, burst, burst, burst)
		must(t, err)
		n.spend(burst, &all)
	}
	if why := all.exceeded(burst, rate); why != "" {
		t.Error(why)
	}
}

// TestRate_PoolIsUsedUp: what the rate makes can be spent; a limit that denies everything would be right, too.
func TestRate_PoolIsUsedUp(t *testing.T) {
	t.Parallel()
	const rate, burst = 50.0, 5
	db := pgtest.Open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var all spends
	var running sync.WaitGroup
	for i := range 2 {
		running.Go(func() {
			n := &rateNode{store: db.Lending(), boot: bootID(fmt.Sprintf("bb%d", i))}
			for ctx.Err() == nil {
				retry, err := n.ask(ctx, rate, burst, 1, 3)
				if err != nil {
					return
				}
				n.spend(burst, &all)
				pause(ctx, retry)
			}
		})
	}
	running.Wait()
	if why := all.exceeded(burst, rate); why != "" {
		t.Error(why)
	}
	first, last := all.at[0], all.at[len(all.at)-1]
	could := burst + rate*last.Sub(first).Seconds()
	if got := float64(len(all.at)); got < 0.6*could {
		t.Errorf("%.0f spent of %.0f that the limit allows", got, could)
	}
}
