package licensing_test

import (
	"slices"
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

// draft opens a draft of plan free that also grants reports.
func (f *fixture) draft() licensing.PlanVersion {
	f.t.Helper()
	d, _, err := f.CreatePlanDraft(f.t.Context(), "free", 0)
	if err != nil {
		f.t.Fatal(err)
	}
	d.Entitlements = append(d.Entitlements, licensing.Entitlement{Feature: "reports", Enabled: true})
	d, _, err = f.UpdatePlanDraft(f.t.Context(), d, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

func TestDraft_BeginsAsNewestAndTouchesNoRules(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	before := f.epoch()
	d := f.draft()
	if d.Version != 2 || d.State != licensing.Draft || len(d.Entitlements) != 2 || len(d.RateLimits) != 1 || d.RateLimits[0].Burst != 5 {
		t.Errorf("draft is %+v", d)
	}
	if f.epoch() != before {
		t.Errorf("a draft took epoch %v", f.epoch())
	}
	p, err := f.GetPlan(ctx, "free")
	if err != nil || p.PublishedVersion != 1 || p.DraftVersion != 2 {
		t.Errorf("plan is %+v, %v", p, err)
	}
	_, _, err = f.CreatePlanDraft(ctx, "free", 0)
	wantCode(t, err, licensing.AlreadyExists, "version 2")
	_, _, err = f.UpdatePlanDraft(ctx, licensing.PlanVersion{Plan: "free", Version: 1}, nil)
	wantCode(t, err, licensing.FailedPrecondition, "published")
	_, _, err = f.UpdatePlanDraft(ctx, licensing.PlanVersion{Plan: "free", Version: 2, Etag: "1"}, nil)
	wantCode(t, err, licensing.Aborted)
	_, _, err = f.UpdatePlanDraft(ctx, d, []string{"entitlements", "colour"})
	wantCode(t, err, licensing.InvalidArgument, "colour")
	got, err := f.GetPlanVersion(ctx, "free", 0)
	if err != nil || got.Version != 1 {
		t.Errorf("newest is version %d, %v", got.Version, err)
	}
}

func TestDraft_RefusesWhatItsFeaturesDoNotTake(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	if _, _, err := f.CreateFeature(ctx, licensing.Feature{Key: "calls2", Type: licensing.Metered, Meter: "requests"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.CreateFeature(ctx, licensing.Feature{Key: "gone", Type: licensing.Boolean}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.ArchiveFeature(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	f.draft()
	quota := &licensing.Quota{Limit: 1, Period: licensing.Day}
	for name, c := range map[string]struct {
		entitlements []licensing.Entitlement
		code         licensing.Code
		field        string
	}{
		"unknown feature":  {[]licensing.Entitlement{{Feature: "nope"}}, licensing.InvalidArgument, "entitlements[0].feature"},
		"archived feature": {[]licensing.Entitlement{{Feature: "gone", Enabled: true}}, licensing.FailedPrecondition, "entitlements[0].feature"},
		"boolean quota":    {[]licensing.Entitlement{{Feature: "calls"}, {Feature: "reports", Quota: quota}}, licensing.InvalidArgument, "entitlements[1].quota"},
		"two of one meter": {[]licensing.Entitlement{{Feature: "calls", Quota: quota}, {Feature: "calls2"}}, licensing.InvalidArgument, "entitlements[1].feature"},
	} {
		_, _, err := f.UpdatePlanDraft(ctx, licensing.PlanVersion{Plan: "free", Version: 2, Entitlements: c.entitlements}, []string{"entitlements"})
		if licensing.CodeOf(err) != c.code || field(err) != c.field {
			t.Errorf("%s: got %v (code %s, field %s)", name, err, licensing.CodeOf(err), field(err))
		}
	}
}

// NEW_ONLY leaves licences where they are; NOW moves those that have not ended, in the same change set.
func TestPublish_MovesLicensesByMigration(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	active, suspended, canceled := f.license("a"), f.license("b"), f.license("c")
	if _, _, err := f.SuspendLicense(ctx, suspended.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.CancelLicense(ctx, canceled.ID, licensing.WhenNow); err != nil {
		t.Fatal(err)
	}
	expired, _, err := f.IssueLicense(ctx, licensing.License{
		Customer: active.Customer, Plan: "free", StartsAt: f.clock.Now().Add(-2 * time.Hour), EndsAt: f.clock.Now().Add(-time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.draft()
	v, moved, epoch, err := f.PublishPlanVersion(ctx, "free", 2, licensing.Publication{Migration: licensing.MigrationDefault})
	if err != nil || moved != 0 || v.State != licensing.Published || v.PublishTime.IsZero() {
		t.Fatalf("published %+v, moved %d, %v", v, moved, err)
	}
	all := f.chain()
	if last := all[len(all)-1]; epoch.Number != uint64(len(all)) || len(last.GetRecords()) != 1 || last.GetRecords()[0].GetPlanVersion().GetVersion() != 2 {
		t.Errorf("publishing for new licences is change set %v", last)
	}
	if l, _ := f.GetLicense(ctx, active.ID); l.PlanVersion != 1 {
		t.Errorf("licence moved to %d", l.PlanVersion)
	}
	_, _, _, err = f.PublishPlanVersion(ctx, "free", 2, licensing.Publication{Migration: licensing.MigrationNow})
	wantCode(t, err, licensing.FailedPrecondition, "published")

	if _, _, err := f.CreatePlanDraft(ctx, "free", 1); err != nil {
		t.Fatal(err)
	}
	_, moved, epoch, err = f.PublishPlanVersion(ctx, "free", 3, licensing.Publication{Migration: licensing.MigrationNow})
	if err != nil || moved != 2 {
		t.Fatalf("moved %d, %v", moved, err)
	}
	all = f.chain()
	if last := all[len(all)-1]; epoch.Number != uint64(len(all)) || len(last.GetRecords()) != 3 {
		t.Errorf("version and licences are not in one change set: %v", last)
	}
	for id, want := range map[string]uint32{active.ID: 3, suspended.ID: 3, canceled.ID: 1, expired.ID: 1} {
		if l, err := f.GetLicense(ctx, id); err != nil || l.PlanVersion != want {
			t.Errorf("licence %s (%s) is on version %d, want %d", id, l.Status, l.PlanVersion, want)
		}
	}
	for _, p := range []licensing.Publication{
		{Migration: "later"}, {Migration: licensing.MigrationFilter}, {Migration: licensing.MigrationNow, Filter: map[string]string{"customer": "c"}},
		{Migration: licensing.MigrationFilter, Filter: map[string]string{"color": "red"}},
	} {
		_, _, _, err := f.PublishPlanVersion(ctx, "free", 3, p)
		wantCode(t, err, licensing.InvalidArgument)
	}
}

func TestLicense_VerbsFollowItsLife(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	if l.Status != licensing.Active || !l.StartsAt.Equal(f.clock.Now()) || !l.Anchor.Equal(l.StartsAt) || l.PlanVersion != 1 {
		t.Errorf("issued %+v", l)
	}
	before := f.epoch()
	if got, epoch, err := f.ResumeLicense(ctx, l.ID); err != nil || epoch != before || got.Etag != l.Etag {
		t.Errorf("resuming an active licence: %v, epoch %v", err, epoch)
	}
	if got, epoch, err := f.SuspendLicense(ctx, l.ID); err != nil || got.Status != licensing.Suspended || epoch.Number != before.Number+1 {
		t.Errorf("suspended: %v %v %v", got.Status, epoch, err)
	}
	if got, _, err := f.ResumeLicense(ctx, l.ID); err != nil || got.Status != licensing.Active {
		t.Errorf("resumed: %v %v", got.Status, err)
	}
	if got, _, err := f.CancelLicense(ctx, l.ID, licensing.WhenNow); err != nil || got.Status != licensing.Canceled {
		t.Errorf("canceled: %v %v", got.Status, err)
	}
	_, _, err := f.ResumeLicense(ctx, l.ID)
	wantCode(t, err, licensing.FailedPrecondition, "canceled")
	_, _, err = f.SuspendLicense(ctx, l.ID)
	wantCode(t, err, licensing.FailedPrecondition)
	_, _, _, err = f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID})
	wantCode(t, err, licensing.FailedPrecondition, "canceled")
	if got, _, err := f.RevokeLicense(ctx, l.ID); err != nil || got.Status != licensing.Revoked {
		t.Errorf("revoked: %v %v", got.Status, err)
	}
	_, _, err = f.CancelLicense(ctx, l.ID, licensing.WhenNow)
	wantCode(t, err, licensing.FailedPrecondition, "revoked")
	_, _, err = f.CancelLicense(ctx, "lic_none", licensing.WhenNow)
	wantCode(t, err, licensing.NotFound)

	scheduled, _, err := f.IssueLicense(ctx, licensing.License{
		Customer: l.Customer, Plan: "free", StartsAt: f.clock.Now().Add(time.Hour), EndsAt: f.clock.Now().Add(2 * time.Hour),
	})
	if err != nil || scheduled.Status != licensing.Scheduled {
		t.Fatalf("issued %v, %v", scheduled.Status, err)
	}
	for _, want := range []licensing.LicenseStatus{licensing.Active, licensing.Expired} {
		f.clock.Add(time.Hour)
		got, err := f.GetLicense(ctx, scheduled.ID)
		if err != nil || got.Status != want {
			t.Errorf("status %v, want %v, %v", got.Status, want, err)
		}
		page, err := f.ListLicenses(ctx, licensing.List{Filter: map[string]string{"status": string(want)}})
		if err != nil || len(page.Items) != 1 || page.Items[0].ID != scheduled.ID {
			t.Errorf("listed as %s: %+v, %v", want, page.Items, err)
		}
	}
}

func TestIssueLicense_RefusesWhatIsNotForSale(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	c := f.customer("c")
	gone := f.customer("gone")
	if _, _, err := f.ArchiveCustomer(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.CreatePlan(ctx, licensing.Plan{Key: "empty"}); err != nil {
		t.Fatal(err)
	}
	f.draft()
	for name, x := range map[string]struct {
		license licensing.License
		code    licensing.Code
	}{
		"no such customer":  {licensing.License{Customer: "cus_none", Plan: "free"}, licensing.NotFound},
		"archived customer": {licensing.License{Customer: gone.ID, Plan: "free"}, licensing.FailedPrecondition},
		"no such plan":      {licensing.License{Customer: c.ID, Plan: "none"}, licensing.NotFound},
		"nothing published": {licensing.License{Customer: c.ID, Plan: "empty"}, licensing.FailedPrecondition},
		"a draft":           {licensing.License{Customer: c.ID, Plan: "free", PlanVersion: 2}, licensing.FailedPrecondition},
		"no such version":   {licensing.License{Customer: c.ID, Plan: "free", PlanVersion: 9}, licensing.NotFound},
		"a huge version":    {licensing.License{Customer: c.ID, Plan: "free", PlanVersion: 4294967295}, licensing.NotFound},
		"end before now":    {licensing.License{Customer: c.ID, Plan: "free", EndsAt: f.clock.Now()}, licensing.InvalidArgument},
	} {
		_, _, err := f.IssueLicense(ctx, x.license)
		if licensing.CodeOf(err) != x.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPIKey_LivesUntilRevoked(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	expires := f.clock.Now().Add(time.Hour)
	k, secret, epoch, err := f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID, DisplayName: "ci", ExpiresAt: expires})
	if err != nil || epoch != f.epoch() || len(secret) < 40 || secret[:len(k.Prefix)] != k.Prefix {
		t.Fatalf("made %+v, %v", k, err)
	}
	all := f.chain()
	record := all[len(all)-1].GetRecords()[0].GetCredential()
	if record.GetId() != k.ID || record.GetLicense() != l.ID || !slices.Equal(record.GetHash(), k.Hash[:]) ||
		!record.GetExpiresAt().AsTime().Equal(expires) || record.GetRevoked() {
		t.Errorf("record is %v", record)
	}
	_, _, _, err = f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID, ExpiresAt: f.clock.Now()})
	wantCode(t, err, licensing.InvalidArgument, "future")
	_, _, _, err = f.CreateAPIKey(ctx, licensing.APIKey{License: "lic_none"})
	wantCode(t, err, licensing.NotFound)

	revoked, epoch, err := f.RevokeAPIKey(ctx, k.ID)
	if err != nil || revoked.RevokeTime.IsZero() {
		t.Fatalf("revoked %+v, %v", revoked, err)
	}
	again, same, err := f.RevokeAPIKey(ctx, k.ID)
	if err != nil || same != epoch || !again.RevokeTime.Equal(revoked.RevokeTime) {
		t.Errorf("revoked again: %+v, epoch %v, %v", again, same, err)
	}
	all = f.chain()
	if r := all[len(all)-1].GetRecords()[0].GetCredential(); r.GetId() != k.ID || !r.GetRevoked() {
		t.Errorf("record is %v", r)
	}
	page, err := f.ListAPIKeys(ctx, licensing.List{Filter: map[string]string{"license": l.ID}})
	if err != nil || len(page.Items) != 1 || page.Items[0] != again {
		t.Errorf("listed %+v, %v", page.Items, err)
	}
}
