package licensing_test

import (
	"testing"

	"tollgate/controlplane/internal/licensing"
)

// What a prune archived comes back in the order in which objects refer to each other, as it was, and nodes are told.
func TestUnarchive_BringsBackWhatWasArchived(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	f.apply(sample(2000))
	discarded := f.draft()
	if _, _, err := f.DiscardPlanDraft(ctx, "free", discarded.Version, ""); err != nil {
		t.Fatal(err)
	}
	f.apply(licensing.Catalog{Prune: true})

	before := f.epoch()
	_, _, err := f.UnarchiveFeature(ctx, "calls")
	wantCode(t, err, licensing.FailedPrecondition, "meter", "requests", "archived")
	_, _, err = f.UnarchivePlan(ctx, "free")
	wantCode(t, err, licensing.FailedPrecondition, "entitlements[0].feature", "archived")
	_, _, err = f.UnarchiveMeter(ctx, "none")
	wantCode(t, err, licensing.NotFound)
	if p, err := f.GetPlan(ctx, "free"); err != nil || !p.Archived() || p.PublishedVersion != 0 || f.epoch() != before {
		t.Fatalf("a refused one left %+v, %v", p, err)
	}

	m, epoch, err := f.UnarchiveMeter(ctx, "requests")
	if err != nil || m.Archived() || epoch.Number != before.Number+1 {
		t.Errorf("meter %+v, epoch %v, %v", m, epoch, err)
	}
	if _, again, err := f.UnarchiveMeter(ctx, "requests"); err != nil || again != epoch {
		t.Errorf("again: epoch %v, %v", again, err)
	}
	if v, _, err := f.UnarchiveFeature(ctx, "calls"); err != nil || v.Archived() {
		t.Errorf("feature %+v, %v", v, err)
	}
	p, _, err := f.UnarchivePlan(ctx, "free")
	if err != nil || p.Archived() || p.PublishedVersion != 2 || p.DraftVersion != 0 {
		t.Errorf("plan %+v, %v", p, err)
	}
	all := f.chain()
	var sent []uint32
	for _, r := range all[len(all)-1].GetRecords() {
		sent = append(sent, r.GetPlanVersion().GetVersion())
	}
	if len(sent) != 2 || sent[0] != 1 || sent[1] != 2 {
		t.Errorf("versions sent: %v", sent)
	}
	if l := f.license("a"); l.PlanVersion != 2 {
		t.Errorf("licence %+v", l)
	}
	if v, err := f.GetPlanVersion(ctx, "free", discarded.Version); err != nil || v.State != licensing.VersionArchived {
		t.Errorf("the discarded draft is %s, %v", v.State, err)
	}
}
