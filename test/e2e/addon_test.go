package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// An add-on gives access on every node as soon as it is attached, and takes it as soon as it is detached; and its end, which is in the
// licence's record, acts on nodes that are cut off.
func TestI8_AnAddOnGivesAndItsEndActsOnNodesThatAreCutOff(t *testing.T) {
	s := system.Start(t, system.Dir(t), "--no-respawn")
	r, c := s.Ready(t), s.Client(t)
	ctx := t.Context()
	enforced := func(epoch *adminv1.Epoch, err error) {
		t.Helper()
		if err == nil {
			_, err = c.Fleet.WaitForEpoch(ctx, &adminv1.WaitForEpochRequest{Epoch: epoch})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	newPlan(t, c, "bare", 100_000)
	license, key := newLicense(t, c, "bare-co", "bare")
	made, err := c.Catalog.CreateAddOn(ctx, &adminv1.CreateAddOnRequest{AddOn: &adminv1.AddOn{
		Key: "reporting", Entitlements: []*adminv1.Entitlement{{Feature: "reports", Enabled: true}, {Feature: "calls"}},
	}})
	enforced(made.GetEpoch(), err)
	expect(t, r, key, "/reports/x", http.StatusForbidden)

	attached, err := c.Licenses.AttachAddOn(ctx, &adminv1.AttachAddOnRequest{Id: license, AddOn: "reporting"})
	enforced(attached.GetEpoch(), err)
	expect(t, r, key, "/reports/x", http.StatusOK)
	if _, body, err := system.Get(r.ProxyURL+"/echo/x", key); err != nil || !strings.Contains(body, "calls,reports") {
		t.Errorf("the upstream was told of %s, %v", body, err)
	}
	detached, err := c.Licenses.DetachAddOn(ctx, &adminv1.DetachAddOnRequest{Id: license, AddOn: "reporting"})
	enforced(detached.GetEpoch(), err)
	expect(t, r, key, "/reports/x", http.StatusForbidden)

	end := time.Now().Add(12 * time.Second).Truncate(time.Second)
	attached, err = c.Licenses.AttachAddOn(ctx, &adminv1.AttachAddOnRequest{Id: license, AddOn: "reporting", EndsAt: timestamppb.New(end)})
	enforced(attached.GetEpoch(), err)
	expect(t, r, key, "/reports/x", http.StatusOK)
	s.Kill(t, "nats")
	turn(t, r, key, "/reports/x", end, http.StatusOK, http.StatusForbidden)
}
