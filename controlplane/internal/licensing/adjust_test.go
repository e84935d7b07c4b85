package licensing_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

// What support may grant is bounded for a licence, and not for each call: grants add up.
func TestSupport_GrantsNoMoreThanAQuotaInAll(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(10))
	l := f.license("acme")
	ctx := licensing.WithCall(t.Context(), licensing.Call{Actor: "tok", Role: licensing.Support})
	give := func(units int64) error {
		_, _, err := f.CreateGrant(ctx, licensing.Grant{License: l.ID, Feature: "calls", Units: units, ExpiresAt: f.clock.Now().Add(24 * time.Hour)})
		return err
	}
	for _, units := range []int64{6, 4} {
		if err := give(units); err != nil {
			t.Fatal(err)
		}
	}
	err := give(1)
	wantCode(t, err, licensing.PermissionDenied, "of which 10 were given")
	if field(err) != "units" {
		t.Errorf("the error is at %q", field(err))
	}
	f.clock.Add(25 * time.Hour) // They have expired.
	if err := give(10); err != nil {
		t.Error(err)
	}
}
