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
	turn(t, r, key, "/reports/x", at, http.StatusForbidden, http.StatusOK)
	res, err := c.Licenses.GetLicense(ctx, &adminv1.GetLicenseRequest{Id: license})
	if err != nil || res.GetLicense().GetPlanVersion() != 2 || len(res.GetLicense().GetUpcoming()) != 0 {
		t.Errorf("licence %v, %v", res.GetLicense(), err)
	}
}

// turn watches every node answer one status until an instant and another one from it on, by its own clock.
func turn(t *testing.T, r system.Ready, key, path string, at time.Time, before, after int) {
	t.Helper()
	for _, node := range r.Nodes {
		var last time.Time
		system.Eventually(t, time.Until(at)+5*time.Second, fmt.Sprintf("%s answers %d", node.Name, after), func() error {
			asked := time.Now()
			code, body, err := system.Get(node.ProxyURL+path, key)
			switch {
			case err != nil:
				return err
			case code == http.StatusForbidden && !strings.Contains(body, "feature_not_in_plan"), code != before && code != after:
				t.Fatalf("%s answers %d %s", node.Name, code, body)
			case code == after && last.IsZero() && asked.Before(at):
				t.Fatalf("%s answers %d already, %s before its time", node.Name, code, at.Sub(asked))
			case code == before:
				last = asked
				return fmt.Errorf("still %d", code)
			}
			return nil
		})
		if late := last.Sub(at); !last.IsZero() && late > 0 {
			t.Errorf("%s still answered %d %s after its time", node.Name, before, late)
		}
	}
}
