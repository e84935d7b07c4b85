package licensing_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// A file that takes a feature from most customers is refused until its author says from how many; and nothing is stored before.
func TestGuard_ManyLoseAFeatureOnlyByTheirNumber(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	with := func(entitlements ...licensing.Entitlement) licensing.Catalog {
		c := sample(1000)
		c.Plans[0].Entitlements = entitlements
		return c
	}
	calls, reports := licensing.Entitlement{Feature: "calls"}, licensing.Entitlement{Feature: "reports", Enabled: true}
	f.apply(with(calls, reports))
	c := f.customer("many")
	issue := func(n int) {
		for range n {
			if _, _, err := f.IssueLicense(ctx, licensing.License{Customer: c.ID, Plan: "free"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	issue(101)
	before := f.epoch()
	less := with(calls)
	_, _, err := f.ApplyCatalog(ctx, less, false, licensing.MigrationNow)
	wantCode(t, err, licensing.FailedPrecondition, "101 of 101 licences")
	if field(err) != "confirm_affected" || f.epoch() != before {
		t.Errorf("field %q, epoch %v", field(err), f.epoch())
	}
	less.Affected = 100
	_, _, err = f.ApplyCatalog(ctx, less, false, licensing.MigrationNow)
	wantCode(t, err, licensing.FailedPrecondition, "is 100, and 101")
	// To say what would change, and to move nobody, needs no number.
	less.Affected = 0
	if _, _, err := f.ApplyCatalog(ctx, less, true, licensing.MigrationNow); err != nil {
		t.Errorf("a dry run: %v", err)
	}
	draft, _, err := f.CreatePlanDraft(ctx, "free", 0)
	if err != nil {
		t.Fatal(err)
	}
	draft.Entitlements = []licensing.Entitlement{calls}
	if _, _, err := f.UpdatePlanDraft(ctx, draft, []string{"entitlements"}); err != nil {
		t.Fatal(err)
	}
	p, err := f.PreviewPublish(ctx, "free", draft.Version)
	if err != nil || p.Affected != 101 || fmt.Sprint(p.Lost) != "[reports]" {
		t.Errorf("preview %+v, %v", p, err)
	}
	now := licensing.Publication{Migration: licensing.MigrationNow}
	_, _, _, err = f.PublishPlanVersion(ctx, "free", draft.Version, now)
	wantCode(t, err, licensing.FailedPrecondition, "101 of 101")
	now.Affected = p.Affected
	head := f.epoch()
	if _, moved, _, err := f.PublishPlanVersion(ctx, "free", draft.Version, now); err != nil || moved != 101 {
		t.Errorf("moved %d, %v", moved, err)
	}
	// Nodes are told that it is meant, in each change set for as many as it moves.
	var confirmed, moved int64
	err = f.db.Outbox().Envelopes(ctx, head, 64, func(_ decision.Epoch, payload []byte, _ time.Time) error {
		e := &rulesv1.Envelope{}
		if err := proto.Unmarshal(payload, e); err != nil {
			return err
		}
		confirmed += e.GetConfirmedAffected()
		for _, r := range e.GetRecords() {
			if r.GetLicense() != nil {
				moved++
			}
		}
		return nil
	})
	if err != nil || confirmed != 101 || moved != 101 {
		t.Errorf("%d licences moved, %d are confirmed, %v", moved, confirmed, err)
	}
	// What a write does to one licence nobody had to confirm.
	head = f.epoch()
	issue(1)
	err = f.db.Outbox().Envelopes(ctx, head, 64, func(_ decision.Epoch, payload []byte, _ time.Time) error {
		e := &rulesv1.Envelope{}
		if err := proto.Unmarshal(payload, e); err != nil {
			return err
		}
		if e.GetConfirmedAffected() != 0 {
			t.Errorf("%d are confirmed", e.GetConfirmedAffected())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// What gives, and what takes from few, needs no number.
	f.apply(with(calls, reports))
	_, _, _, err = f.RollbackPlan(ctx, "free", licensing.Publication{Migration: licensing.MigrationNow})
	wantCode(t, err, licensing.FailedPrecondition, "102 of 102")
	if _, _, _, err := f.RollbackPlan(ctx, "free", licensing.Publication{}); err != nil {
		t.Errorf("a rollback for new licences: %v", err)
	}
	few := sample(1000).Plans[0]
	few.Key, few.Entitlements = "few", []licensing.Entitlement{calls, reports}
	both := licensing.Catalog{Plans: []licensing.CatalogPlan{few}}
	f.apply(both)
	if _, _, err := f.IssueLicense(ctx, licensing.License{Customer: c.ID, Plan: "few"}); err != nil {
		t.Fatal(err)
	}
	both.Plans[0].Entitlements = []licensing.Entitlement{calls}
	f.apply(both)
}
