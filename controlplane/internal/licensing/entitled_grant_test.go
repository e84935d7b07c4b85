package licensing_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/lending"
	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
)

// limit is what a licence is shown of a feature.
func (f *fixture) limit(license, feature string, at time.Time) int64 {
	f.t.Helper()
	e, err := f.GetEntitlements(f.t.Context(), license, at)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, x := range e.Features {
		if x.Feature.Key == feature {
			return x.Limit
		}
	}
	f.t.Fatalf("%s is not there", feature)
	return 0
}

// What a grant lent in one period is gone in the next: the lender has no such units, so they must not be shown.
func TestI7_EntitlementsShowWhatGrantsHaveLeft(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(10))
	l := f.license("acme")
	g, _, err := f.CreateGrant(ctx, licensing.Grant{License: l.ID, Feature: "calls", Units: 7})
	if err != nil {
		t.Fatal(err)
	}
	now := f.clock.Now()
	span := decision.SpanAt(decision.Month, nil, l.Anchor, now)
	start, end := span.Unix()
	key := decision.LoanKey{License: l.ID, Kind: decision.QuotaLoan, Limit: "requests", PeriodStart: start, PeriodEnd: end, Generation: 1}
	loans, err := f.db.Lending().Lend(ctx, "boot", 1, []lending.Ask{{
		Ask: decision.Ask{Key: key, Waiting: 14, Want: 14}, Quota: lending.Quota{Units: 10}, Grants: []lending.Grant{{Grant: g.Rule()}},
	}})
	if err != nil || loans[0].Granted != 14 {
		t.Fatalf("lent %+v: %v", loans, err)
	}
	if got := f.limit(l.ID, "calls", now); got != 17 {
		t.Errorf("in the period in which 4 of 7 granted units were lent, the limit is %d: want 17", got)
	}
	if got := f.limit(l.ID, "calls", span.End); got != 13 {
		t.Errorf("in the next period the limit is %d: want 13, with the 3 that are left", got)
	}
}

// Nodes and the lender spend grants by meter, whichever feature they are for; a soft quota has no use for them.
func TestI7_EntitlementsShowGrantsWhereTheyAreSpent(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := sample(10)
	c.Features = append(c.Features, licensing.Feature{Key: "bulk-calls", Type: licensing.Metered, Meter: "requests"})
	f.apply(c)
	l := f.license("acme")
	if _, _, err := f.CreateGrant(ctx, licensing.Grant{License: l.ID, Feature: "bulk-calls", Units: 7}); err != nil {
		t.Fatal(err)
	}
	if got := f.limit(l.ID, "calls", time.Time{}); got != 17 {
		t.Errorf("the limit is %d: want 17", got)
	}
	soft := licensing.Override{License: l.ID, Feature: "calls", Quota: &licensing.Quota{Limit: 5, Period: licensing.Month, Mode: licensing.Soft}, Reason: "soft"}
	if _, _, err := f.CreateOverride(ctx, soft); err != nil {
		t.Fatal(err)
	}
	if got := f.limit(l.ID, "calls", time.Time{}); got != 5 {
		t.Errorf("the soft limit is %d: want 5", got)
	}
}

// What the period before left is lent as well, so it is part of what is shown.
func TestI7_EntitlementsShowWhatWasCarriedOver(t *testing.T) {
	t.Parallel()
	f := setup(t)
	c := sample(10)
	c.Plans[0].Entitlements[0].Quota.Rollover = 4
	f.apply(c)
	l := f.license("acme")
	was := decision.SpanAt(decision.Month, nil, l.Anchor, f.clock.Now())
	is := decision.SpanAt(decision.Month, nil, l.Anchor, was.End)
	start, end := is.Unix()
	before, until := was.Unix()
	key := decision.LoanKey{License: l.ID, Kind: decision.QuotaLoan, Limit: "requests", PeriodStart: start, PeriodEnd: end, Generation: 1}
	_, err := f.db.Lending().Lend(t.Context(), "boot", 1, []lending.Ask{{
		Ask:   decision.Ask{Key: key, Waiting: 1, Want: 1},
		Quota: lending.Quota{Units: 10, Rollover: 4, Before: lending.Before{PeriodStart: before, PeriodEnd: until, Units: 10}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.limit(l.ID, "calls", is.Start); got != 14 {
		t.Errorf("the limit is %d: want 10 and the 4 that were carried over", got)
	}
	if got := f.limit(l.ID, "calls", was.Start); got != 10 {
		t.Errorf("the limit of the period before is %d: want 10", got)
	}
}
