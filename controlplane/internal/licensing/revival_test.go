package licensing_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

// Nodes have neither an archived plan nor an archived customer: a licence that was renewed on one would be shown as active, and denied.
func TestI7_RenewedLicensesAreOnWhatNodesHave(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(10))
	l, _, err := f.IssueLicense(ctx, licensing.License{Customer: f.customer("acme").ID, Plan: "free", EndsAt: f.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.Add(2 * time.Hour)
	end := f.clock.Now().Add(time.Hour)

	if _, _, err := f.ArchivePlan(ctx, "free"); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.RenewLicense(ctx, l.ID, end)
	wantCode(t, err, licensing.FailedPrecondition, `the plan "free" is archived`)
	if _, _, err := f.UnarchivePlan(ctx, "free"); err != nil {
		t.Fatal(err)
	}

	if _, _, err := f.ArchiveCustomer(ctx, l.Customer); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.RenewLicense(ctx, l.ID, end)
	wantCode(t, err, licensing.FailedPrecondition, "is archived")
	if got, err := f.GetLicense(ctx, l.ID); err != nil || got.Status != licensing.Expired {
		t.Errorf("the licence is %s: %v", got.Status, err)
	}
}
