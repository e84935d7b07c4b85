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

// What is shown is what there is to have: the lender lends all of the limit that GetEntitlements says, and not a unit more.
func TestI7_TheLimitShownIsWhatIsLent(t *testing.T) {
	t.Parallel()
	w := setup(t, licensing.Quota{Limit: 10, Period: licensing.Month, Mode: licensing.Hard, Rollover: 6})
	ctx := t.Context()
	api, err := licensing.New(licensing.Config{Store: w.db.Licensing(), Encoder: rulefeed.Encoder{}})
	must(t, err)
	fresh, err := api.GetLicense(ctx, w.license)
	must(t, err)
	now := time.Now()
	l, _, err := api.IssueLicense(ctx, licensing.License{Customer: fresh.Customer, Plan: "free", StartsAt: now.AddDate(0, -3, 0)})
	must(t, err)
	grant, _, err := api.CreateGrant(ctx, licensing.Grant{License: l.ID, Feature: "calls", Units: 7, StartsAt: now.AddDate(0, -2, 0)})
	must(t, err)
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	this := decision.SpanAt(decision.Month, zone, time.Time{}, now)
	last := decision.SpanAt(decision.Month, zone, time.Time{}, this.Start.Add(-time.Nanosecond))
	// Last month 12 were lent, two of them of the grant, and 3 came back: both of the grant, and one of the quota, which is left over.
	boot := bootID("last")
	start, end := last.Unix()
	lent := lending.Ask{
		Ask:    decision.Ask{Key: decision.LoanKey{Kind: decision.QuotaLoan, License: l.ID, Limit: "requests", PeriodStart: start, PeriodEnd: end, Generation: 1}, Want: 12, Waiting: 12},
		Quota:  lending.Quota{Units: 10},
		Grants: []lending.Grant{{Grant: decision.Grant{ID: grant.ID, Feature: "calls", Units: 7}}},
	}
	loans, err := w.db.Lending().Lend(ctx, boot, 1, []lending.Ask{lent})
	if err != nil || loans[0].Granted != 12 {
		t.Fatalf("%+v, %v", loans, err)
	}
	lent.Want, lent.Waiting, lent.Spent, lent.Returned = 0, 0, 9, 3
	_, err = w.db.Lending().Lend(ctx, boot, 1, []lending.Ask{lent})
	must(t, err)

	shown := func() licensing.Entitled {
		t.Helper()
		e, err := api.GetEntitlements(ctx, l.ID, time.Time{})
		if err != nil || len(e.Features) != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
		return e.Features[0]
	}
	before := shown()
	if before.CarriedOver != 1 || before.Limit != 10+1+7 {
		t.Errorf("limit %d, %d of it carried over", before.Limit, before.CarriedOver)
	}
	start, end = this.Unix()
	key := &lendv1.LoanKey{Kind: lendv1.LoanKind_LOAN_KIND_QUOTA, License: l.ID, Limit: "requests", PeriodStart: start, PeriodEnd: end, CounterGeneration: 1}
	got := lend(t, w.lender().Cold, bootID("this"), ask(key, 500, 500))[0]
	if got.GetGranted() != before.Limit {
		t.Errorf("lent %d, shown %d", got.GetGranted(), before.Limit)
	}
	if after := shown(); after.Limit != before.Limit || after.Grants[0].Drawn != 7 {
		t.Errorf("after all is lent: limit %d, %d drawn of the grant", after.Limit, after.Grants[0].Drawn)
	}
}
