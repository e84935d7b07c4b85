package licensing_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

// A cancellation that time brought about ends a licence as one by hand does: what the licence was on can be archived.
func TestArchive_GoesByCancellationsThatCame(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := sample(10)
	c.Plans[0].Entitlements = append(c.Plans[0].Entitlements, licensing.Entitlement{Feature: "reports", Enabled: true})
	c.Routes = nil
	f.apply(c)
	l := f.license("acme")
	if _, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, Feature: "reports", Value: licensing.Value{Kind: licensing.BoolValue, Bool: true}, Reason: "pilot"}); err != nil {
		t.Fatal(err)
	}
	canceled, _, err := f.CancelLicense(ctx, l.ID, licensing.PeriodEnd)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = f.ArchivePlan(ctx, "free")
	wantCode(t, err, licensing.FailedPrecondition, l.ID)
	f.clock.Add(canceled.CancelsAt.Sub(f.clock.Now()) + time.Second)
	if _, _, err := f.ArchivePlan(ctx, "free"); err != nil {
		t.Error(err)
	}
	if _, _, err := f.ArchiveFeature(ctx, "reports"); err != nil {
		t.Error(err)
	}
	if _, _, err := f.ArchiveCustomer(ctx, l.Customer); err != nil {
		t.Error(err)
	}
}
