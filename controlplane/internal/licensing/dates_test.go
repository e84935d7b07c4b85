package licensing_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

// What follows from dates that callers give can lie behind the last date that can be written, and would fail where it is read.
func TestDates_BeyondTheLastAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := sample(10)
	c.Plans[0].TrialDays = 30
	f.apply(c)
	owner := f.customer("acme").ID
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	l, _, err := f.IssueLicense(ctx, licensing.License{Customer: owner, Plan: "free", StartsAt: f.clock.Now(), EndsAt: last})
	if err != nil {
		t.Fatal(err)
	}

	_, _, err = f.RenewLicense(ctx, l.ID, time.Time{})
	wantCode(t, err, licensing.InvalidArgument, "9999")
	if field(err) != "ends_at" {
		t.Errorf("the error is at %q", field(err))
	}
	_, _, err = f.IssueLicense(ctx, licensing.License{Customer: owner, Plan: "free", StartsAt: last})
	wantCode(t, err, licensing.InvalidArgument, "trial_ends_at")

	draft, _, err := f.CreatePlanDraft(ctx, "free", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = f.PublishPlanVersion(ctx, "free", draft.Version, licensing.Publication{Migration: licensing.MigrationNextPeriod, EffectiveAt: last})
	wantCode(t, err, licensing.InvalidArgument, "effective_at")

	got, err := f.GetEntitlements(ctx, l.ID, last.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got.Features {
		if e.ResetsAt.Year() > 9999 {
			t.Errorf("%s resets at %s", e.Feature.Key, e.ResetsAt)
		}
	}
}
