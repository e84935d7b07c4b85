package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// A version that was published ahead of its time takes effect at that time on nodes whose NATS has gone meanwhile: the time is
// in the licence's record, and nothing has to be sent then.
func TestI8_APublishedVersionTakesEffectOnNodesThatAreCutOff(t *testing.T) {
	s := system.Start(t, system.Dir(t), "--no-respawn")
	r, c := s.Ready(t), s.Client(t)
	ctx := t.Context()
	if _, err := c.Catalog.CreatePlan(ctx, &adminv1.CreatePlanRequest{Plan: &adminv1.Plan{Key: "dated"}}); err != nil {
		t.Fatal(err)
	}
	publish := func(at time.Time, features ...*adminv1.Entitlement) *adminv1.Epoch {
		t.Helper()
		draft, err := c.Catalog.CreatePlanDraft(ctx, &adminv1.CreatePlanDraftRequest{Plan: "dated"})
		if err != nil {
			t.Fatal(err)
		}
		v := draft.GetPlanVersion()
		v.Entitlements = features
		if _, err := c.Catalog.UpdatePlanDraft(ctx, &adminv1.UpdatePlanDraftRequest{PlanVersion: v}); err != nil {
			t.Fatal(err)
		}
		res, err := c.Catalog.PublishPlanVersion(ctx, &adminv1.PublishPlanVersionRequest{
			Plan: "dated", Version: v.GetVersion(), Migration: adminv1.Migration_MIGRATION_NOW, EffectiveAt: timestamppb.New(at),
		})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetEpoch()
	}
	calls, reports := &adminv1.Entitlement{Feature: "calls"}, &adminv1.Entitlement{Feature: "reports", Enabled: true}
	publish(time.Now(), calls)
	license, key := newLicense(t, c, "dated-co", "dated")
	expect(t, r, key, "/reports/x", http.StatusForbidden)

	published := time.Now()
	at := published.Add(20 * time.Second).Truncate(time.Second)
	epoch := publish(at, calls, reports)
	if _, err := c.Fleet.WaitForEpoch(ctx, &adminv1.WaitForEpochRequest{Epoch: epoch}); err != nil {
		t.Fatal(err)
	}
	system.Eventually(t, 10*time.Second, "five seconds pass", func() error {
		if d := time.Since(published); d < 5*time.Second {
			return fmt.Errorf("%s", d)
		}
		return nil
	})
	s.Kill(t, "nats")
	for _, node := range r.Nodes {
		var last time.Time
		var code int
		system.Eventually(t, time.Until(at)+5*time.Second, node.Name+" forwards", func() error {
			asked := time.Now()
			var body string
			var err error
			code, body, err = system.Get(node.ProxyURL+"/reports/x", key)
			switch {
			case err != nil:
				return err
			case code == http.StatusOK && last.IsZero() && asked.Before(at):
				t.Fatalf("%s forwards %s before the version is in effect", node.Name, at.Sub(asked))
			case code != http.StatusOK && !strings.Contains(body, "feature_not_in_plan"):
				t.Fatalf("%s answers %d %s", node.Name, code, body)
			case code != http.StatusOK:
				last = asked
				return fmt.Errorf("still %d", code)
			}
			return nil
		})
		if late := last.Sub(at); !last.IsZero() && late > 0 {
			t.Errorf("%s still denied %s after the version was in effect", node.Name, late)
		}
	}
	res, err := c.Licenses.GetLicense(ctx, &adminv1.GetLicenseRequest{Id: license})
	if err != nil || res.GetLicense().GetPlanVersion() != 2 || len(res.GetLicense().GetUpcoming()) != 0 {
		t.Errorf("licence %v, %v", res.GetLicense(), err)
	}
}
