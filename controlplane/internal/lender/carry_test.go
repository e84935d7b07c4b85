package lender_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/internal/lending"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/dataplane/decision"
)

// period is a quota of a plan that the licence of these tests may be on.
type period struct {
	start, end time.Time
	limit      int64
}

func (p period) key() decision.LoanKey {
	return decision.LoanKey{
		Kind: decision.QuotaLoan, License: "lic", Limit: "requests", PeriodStart: p.start.Unix(), PeriodEnd: p.end.Unix(), Generation: 1,
	}
}

// segments commits a boot's segments: what it used, and whether of loans.
type segments struct {
	db     *postgres.DB
	boot   string
	number uint64
}

func (s *segments) commit(ctx context.Context, at time.Time, units int64, of *period, final bool) error {
	s.number++
	e := metering.NewEntries(0)
	use := metering.UsageKey{License: "lic", Meter: "requests", Generation: 1, Minute: at.Truncate(time.Minute).Unix()}
	e.Movement.Usage[use] = units
	if of == nil {
		e.Movement.Free[use] = units
	} else {
		k := of.key()
		e.Movement.Loans[metering.LoanKey{License: k.License, Meter: k.Limit, PeriodStart: k.PeriodStart, PeriodEnd: k.PeriodEnd, Generation: 1}] = units
	}
	_, err := s.db.Ledger().Commit(ctx, []metering.Segment{{
		Place: metering.Place{
			Node: "n", Boot: s.boot, Number: s.number, Hash: fmt.Append(nil, s.boot, s.number), Previous: fmt.Append(nil, s.boot, s.number-1),
			SealedAt: time.Now(), Final: final,
		},
		Entries: e,
	}})
	return err
}

func borrow(ctx context.Context, db *postgres.DB, boot string, p period, want, spent, returned int64) (granted, added int64, err error) {
	loans, err := db.Lending().Lend(ctx, boot, 4, []lending.Ask{{
		Ask: decision.Ask{Key: p.key(), Spent: spent, Returned: returned, Waiting: want, Want: want}, Quota: lending.Quota{Units: p.limit},
	}})
	if err != nil {
		return 0, 0, err
	}
	return loans[0].Granted, loans[0].Grant, nil
}

// TestI2_WhatWasUsedIsCarriedOverAPlanChange has boots that borrow from a day's quota or a month's at random, as a licence would whose plan
// changes over and over, and that die with what they have not spent. Every unit counts in both: together they never spend more than the
// month's limit, nothing is granted from the day's once that is reached, and in the end what is left is exactly the rest.
func TestI2_WhatWasUsedIsCarriedOverAPlanChange(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	now := time.Now().UTC().Truncate(time.Minute)
	day := period{now.Add(-6 * time.Hour), now.Add(18 * time.Hour), 3000}
	month := period{now.AddDate(0, 0, -9), now.AddDate(0, 0, 21), 5000}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var total atomic.Int64
	var running sync.WaitGroup
	for i := range 6 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		running.Go(func() {
			for life := range 25 {
				boot := bootID(fmt.Sprintf("%db%d", i, life))
				p := month
				if rng.IntN(2) == 0 {
					p = day
				}
				before := total.Load()
				granted, added, err := borrow(t.Context(), db, boot, p, rng.Int64N(60)+1, 0, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if before+added > p.limit {
					t.Errorf("%d were spent, and %d of %d are lent", before, added, p.limit)
				}
				spent := rng.Int64N(granted + 1)
				total.Add(spent)
				if rng.IntN(3) == 0 {
					if _, _, err := borrow(t.Context(), db, boot, p, 0, spent, granted-spent); err != nil {
						t.Error(err)
						return
					}
				}
				if err := (&segments{db: db, boot: boot}).commit(t.Context(), now, spent, &p, true); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	used := total.Load()
	for _, p := range []period{month, day} {
		boot := bootID(fmt.Sprintf("last%d", p.limit))
		granted, _, err := borrow(t.Context(), db, boot, p, 10_000, 0, 0)
		must(t, err)
		if want := max(0, p.limit-used); granted != want {
			t.Errorf("%d used: %d were left of %d, want %d", used, granted, p.limit, want)
		}
		must(t, (&segments{db: db, boot: boot}).commit(t.Context(), now, 0, &p, true))
	}
}

// TestCarry_AQuotaThatTurnsHardKnowsWhatWasUsed: units that a soft quota counted are used of the hard one that follows, whether its pool is
// there already or not.
func TestCarry_AQuotaThatTurnsHardKnowsWhatWasUsed(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	now := time.Now().UTC().Truncate(time.Minute)
	month := period{now.AddDate(0, 0, -9), now.AddDate(0, 0, 21), 100}
	soft := &segments{db: db, boot: bootID("soft")}
	must(t, soft.commit(t.Context(), now, 30, nil, false))
	must(t, soft.commit(t.Context(), now.AddDate(0, 0, -10), 500, nil, false)) // Before the period.
	granted, _, err := borrow(t.Context(), db, bootID("a"), month, 20, 0, 0)
	must(t, err)
	if granted != 20 {
		t.Errorf("granted %d of 20", granted)
	}
	must(t, soft.commit(t.Context(), now, 15, nil, false))
	must(t, soft.commit(t.Context(), now, -5, nil, false)) // Taken back: not billed.
	granted, _, err = borrow(t.Context(), db, bootID("b"), month, 1000, 0, 0)
	must(t, err)
	if want := int64(100 - 30 - 20 - 10); granted != want {
		t.Errorf("%d were left, want %d", granted, want)
	}
}

// TestCarry_ANewGenerationStartsAnew: a plan change that resets usage begins with all of the limit.
func TestCarry_ANewGenerationStartsAnew(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	now := time.Now().UTC().Truncate(time.Minute)
	month := period{now.AddDate(0, 0, -9), now.AddDate(0, 0, 21), 100}
	if granted, _, err := borrow(t.Context(), db, bootID("a"), month, 80, 0, 0); err != nil || granted != 80 {
		t.Fatal(granted, err)
	}
	ask := lending.Ask{Ask: decision.Ask{Key: month.key(), Waiting: 100, Want: 100}, Quota: lending.Quota{Units: 100}}
	ask.Key.Generation = 2
	loans, err := db.Lending().Lend(t.Context(), bootID("a"), 1, []lending.Ask{ask})
	if err != nil || loans[0].Granted != 100 {
		t.Errorf("%+v, %v", loans, err)
	}
}

// TestRollover_WhatIsLeftIsCarriedOverOnce: up to the cap, when it has come back, on top of the limit, and it rolls on.
func TestRollover_WhatIsLeftIsCarriedOverOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	now := time.Now().UTC().Truncate(time.Minute)
	periods := make([]period, 4)
	for i := range periods {
		periods[i] = period{now.AddDate(0, 0, i), now.AddDate(0, 0, i+1), 100}
	}
	lend := func(boot string, i int, want, spent, returned int64) int64 {
		t.Helper()
		a := lending.Ask{
			Ask:   decision.Ask{Key: periods[i].key(), Spent: spent, Returned: returned, Waiting: want, Want: want},
			Quota: lending.Quota{Units: 100, Rollover: 60},
		}
		if i > 0 {
			k := periods[i-1].key()
			a.Before = lending.Before{PeriodStart: k.PeriodStart, PeriodEnd: k.PeriodEnd, Units: 100}
		}
		loans, err := db.Lending().Lend(t.Context(), bootID(boot), 1, []lending.Ask{a})
		must(t, err)
		return loans[0].Grant
	}
	// 90 are lent and 30 spent: 10 are left for sure, and 70 when the others come back.
	if got := lend("a", 0, 90, 0, 0); got != 90 {
		t.Fatalf("granted %d of 90", got)
	}
	if got := lend("b", 1, 500, 0, 0); got != 110 {
		t.Errorf("granted %d, want 100 and the 10 that are surely left", got)
	}
	lend("a", 0, 0, 30, 60)
	if got := lend("b", 1, 500, 0, 0); got != 50 {
		t.Errorf("granted %d more, want what came back, up to the cap of 60", got)
	}
	// All 160 of the second period are gone. Of a third that nobody used, 100 are left, and 60 of them may roll on.
	if got := lend("b", 3, 500, 0, 0); got != 160 {
		t.Errorf("granted %d after a period without use, want 100 and 60", got)
	}
}

// TestRollover_IsTheDomains: what the database carries from period to period is what licensing.Rollover says.
func TestRollover_IsTheDomains(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	now := time.Now().UTC().Truncate(time.Minute)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		limit, most := rapid.Int64Range(0, 50).Draw(t, "limit"), rapid.Int64Range(1, 80).Draw(t, "cap")
		var rolled int64
		for i := range rapid.IntRange(1, 5).Draw(t, "periods") {
			p := period{now.AddDate(0, 0, i), now.AddDate(0, 0, i+1), limit}
			a := lending.Ask{Ask: decision.Ask{Key: p.key()}, Quota: lending.Quota{Units: limit, Rollover: most}}
			a.Key.License = fmt.Sprint("rolls", run)
			if i > 0 {
				a.Before = lending.Before{PeriodStart: now.AddDate(0, 0, i-1).Unix(), PeriodEnd: p.start.Unix(), Units: limit}
			}
			a.Want = rapid.Int64Range(1, 150).Draw(t, "want")
			a.Waiting = a.Want
			loans, err := db.Lending().Lend(context.Background(), bootID(fmt.Sprintf("r%d.%d", run, i)), 1, []lending.Ask{a})
			if err != nil {
				t.Fatal(err)
			}
			if want := min(a.Want, limit+rolled); loans[0].Grant != want {
				t.Fatalf("period %d of limit %d, with %d carried over: granted %d of %d, want %d", i, limit, rolled, loans[0].Grant, a.Want, want)
			}
			rolled = licensing.Rollover(limit, most, rolled, loans[0].Grant)
		}
	})
}
