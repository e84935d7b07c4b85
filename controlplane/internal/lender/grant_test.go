package lender_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/internal/lending"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// source is where units come from, in burn order: a grant, or the quota itself.
type source struct {
	grant       string // Empty: the quota.
	units, used int64
}

// burn takes units from the first sources that have some left, and returns what it could take.
func burn(sources []source, units int64) (taken int64) {
	for i := range sources {
		s := &sources[i]
		n := min(units, s.units-s.used)
		s.used += n
		units -= n
		taken += n
	}
	return taken
}

// unburn gives units back to where they came from, last taken first.
func unburn(sources []source, units int64) {
	for i := len(sources) - 1; i >= 0; i-- {
		s := &sources[i]
		n := min(units, s.used)
		s.used -= n
		units -= n
	}
}

// TestGrant_BurnsInItsOrder holds what the database lends against a few lines that say the same: whatever is borrowed and given back, each
// source is used in its order and comes back in the reverse one, nothing is lent twice and nothing is lost.
func TestGrant_BurnsInItsOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	now := time.Now().UTC().Truncate(time.Minute)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		p := period{now.Add(-time.Hour), now.Add(time.Hour), rapid.Int64Range(0, 30).Draw(t, "limit")}
		key := p.key()
		key.License = fmt.Sprint("lic", run)
		var grants []lending.Grant
		var model []source
		before := rapid.IntRange(0, 3).Draw(t, "before")
		after := rapid.IntRange(0, 3).Draw(t, "after")
		for i := range before + after {
			g := lending.Grant{Grant: decision.Grant{ID: fmt.Sprintf("grt%d-%d", run, i), Units: rapid.Int64Range(1, 20).Draw(t, "units")}, Before: i < before}
			grants = append(grants, g)
			model = append(model, source{grant: g.ID, units: g.Units})
		}
		model = slices.Insert(model, before, source{units: p.limit})
		boot := bootID(fmt.Sprint("g", run))
		var granted, spent, returned int64
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			ask := lending.Ask{Ask: decision.Ask{Key: key, Spent: spent}, Quota: lending.Quota{Units: p.limit}, Grants: grants}
			if rapid.Bool().Draw(t, "gives back") {
				back := rapid.Int64Range(0, granted-spent-returned).Draw(t, "back")
				returned += back
				unburn(model, back)
			} else {
				ask.Want = rapid.Int64Range(1, 25).Draw(t, "want")
				ask.Waiting = ask.Want
			}
			ask.Returned = returned
			loans, err := db.Lending().Lend(context.Background(), boot, 1, []lending.Ask{ask})
			if err != nil {
				t.Fatal(err)
			}
			if want := burn(model, ask.Want); loans[0].Grant != want {
				t.Fatalf("granted %d, want %d", loans[0].Grant, want)
			}
			granted = loans[0].Granted
			spent += rapid.Int64Range(0, granted-spent-returned).Draw(t, "spend")
			for _, s := range model {
				if got := drawn(t, db, s.grant); s.grant != "" && got != s.used {
					t.Fatalf("%s: %d of %d are drawn, want %d", s.grant, got, s.units, s.used)
				}
			}
		}
	})
}

type fataler interface{ Fatal(...any) }

func drawn(t fataler, db *postgres.DB, grant string) int64 {
	units, err := db.Licensing().Drawn(context.Background(), []string{grant})
	if err != nil {
		t.Fatal(err)
	}
	return units[grant]
}

// A grant is beside the quota while it lasts, for the lender and for nodes; one that burns first leaves the quota whole.
func TestGrant_IsLentBesideTheQuota(t *testing.T) {
	t.Parallel()
	w := setup(t, licensing.Quota{Limit: 10, Period: licensing.Month, Mode: licensing.Hard})
	api, err := licensing.New(licensing.Config{Store: w.db.Licensing(), Encoder: rulefeed.Encoder{}})
	must(t, err)
	first, _, err := api.CreateGrant(t.Context(), licensing.Grant{License: w.license, Feature: "calls", Units: 4, Priority: -1})
	must(t, err)
	_, _, err = api.CreateGrant(t.Context(), licensing.Grant{License: w.license, Feature: "calls", Units: 100, StartsAt: time.Now().Add(time.Hour)})
	must(t, err)
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	start, end := decision.SpanAt(decision.Month, zone, time.Time{}, time.Now()).Unix()
	key := &lendv1.LoanKey{
		Kind: lendv1.LoanKind_LOAN_KIND_QUOTA, License: w.license, Limit: "requests", PeriodStart: start, PeriodEnd: end, CounterGeneration: 1,
	}
	l := w.lender()
	if got := lend(t, l.Cold, bootID("a"), ask(key, 3, 3))[0]; got.GetGrant() != 3 || drawn(t, w.db, first.ID) != 3 {
		t.Errorf("%v, %d drawn of the grant that burns first", got, drawn(t, w.db, first.ID))
	}
	if got := lend(t, l.Cold, bootID("a"), ask(key, 50, 50))[0]; got.GetGranted() != 14 {
		t.Errorf("%v, want all 14", got)
	}
}
