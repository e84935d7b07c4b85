package licensing_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

// kinds lists a licence's events as kind@status.
func (f *fixture) kinds(license string) []string {
	f.t.Helper()
	events, err := f.ListLicenseEvents(f.t.Context(), license, 0, licensing.List{PageSize: 1000})
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, e := range events.Items {
		out = append(out, fmt.Sprintf("%s@%s", e.Kind, e.Status))
	}
	return out
}

// elapse lets time pass, as the control plane's own clockwork does.
func (f *fixture) elapse(d time.Duration) {
	f.t.Helper()
	f.clock.Add(d)
	for more := true; more; {
		var err error
		if _, more, err = f.Elapse(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fixture) get(id string) licensing.License {
	f.t.Helper()
	l, err := f.GetLicense(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

// Every turn of a licence's life shows in its status when it comes, and is an event, whoever or whatever brought it about.
func TestLicense_TimeTurnsItsStatus(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	now := f.clock.Now()
	l, _, err := f.IssueLicense(ctx, licensing.License{
		Customer: f.customer("a").ID, Plan: "free",
		StartsAt: now.Add(time.Hour), TrialEndsAt: now.Add(2 * time.Hour), EndsAt: now.Add(50 * time.Hour),
	})
	if err != nil || l.Status != licensing.Scheduled {
		t.Fatalf("issued %s, %v", l.Status, err)
	}
	step := func(d time.Duration, want licensing.LicenseStatus) {
		t.Helper()
		f.elapse(d)
		if got := f.get(l.ID).Status; got != want {
			t.Errorf("%v after the start it is %s, want %s", f.clock.Now().Sub(now), got, want)
		}
		page, err := f.ListLicenses(ctx, licensing.List{Filter: map[string]string{"status": string(want)}})
		if err != nil || len(page.Items) != 1 {
			t.Errorf("listed as %s: %d, %v", want, len(page.Items), err)
		}
	}
	step(time.Hour, licensing.Trialing)
	step(time.Hour, licensing.Active)
	if got, _, err := f.SetPastDue(ctx, l.ID, f.clock.Now().Add(time.Hour)); err != nil || got.Status != licensing.PastDue {
		t.Errorf("past due: %s, %v", got.Status, err)
	}
	step(time.Hour, licensing.PastDue)
	if got, _, err := f.ResumeLicense(ctx, l.ID); err != nil || got.Status != licensing.Active || !got.GraceUntil.IsZero() {
		t.Errorf("paid: %s, %v", got.Status, err)
	}
	step(48*time.Hour, licensing.Expired)
	if got, _, err := f.RenewLicense(ctx, l.ID, time.Time{}); err != nil || got.Status != licensing.Active || !got.EndsAt.Equal(now.Add(99*time.Hour)) {
		t.Errorf("renewed: %s until %v, %v", got.Status, got.EndsAt, err)
	}
	want := []string{
		"issued@scheduled", "started@trialing", "trial_ended@active", "past_due@past_due", "grace_ended@past_due", "resumed@active",
		"expired@expired", "renewed@active",
	}
	if got := f.kinds(l.ID); !slices.Equal(got, want) {
		t.Errorf("events\n%v, want\n%v", got, want)
	}
}

// A write that comes before the clockwork has looked records what time had brought about first, and nothing twice.
func TestLicense_EventsAreInOrderAndOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l, _, err := f.IssueLicense(ctx, licensing.License{Customer: f.customer("a").ID, Plan: "free", TrialEndsAt: f.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.Add(2 * time.Hour)
	if _, _, err := f.SuspendLicense(ctx, l.ID); err != nil {
		t.Fatal(err)
	}
	f.elapse(time.Hour)
	if got, want := f.kinds(l.ID), []string{"issued@trialing", "trial_ended@active", "suspended@suspended"}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	all, err := f.ListLicenseEvents(ctx, "", 0, licensing.List{})
	if err != nil || len(all.Items) < 3 || all.Next != "" {
		t.Fatalf("%+v, %v", all, err)
	}
	for i, e := range all.Items {
		if e.Number != int64(i+1) {
			t.Errorf("event %d has number %d", i, e.Number)
		}
	}
	rest, err := f.ListLicenseEvents(ctx, "", all.Items[1].Number, licensing.List{PageSize: 1})
	if err != nil || len(rest.Items) != 1 || rest.Items[0].Number != 3 {
		t.Errorf("after 2: %+v, %v", rest, err)
	}
	first, err := f.ListLicenseEvents(ctx, "", 0, licensing.List{PageSize: 2})
	if err != nil || len(first.Items) != 2 || first.Next == "" {
		t.Fatalf("a page of two: %+v, %v", first, err)
	}
	second, err := f.ListLicenseEvents(ctx, "", 0, licensing.List{PageSize: 2, After: first.Next})
	if err != nil || len(second.Items) == 0 || second.Items[0].Number != 3 {
		t.Errorf("the page after it: %+v, %v", second, err)
	}
}

func TestChangePlan_NowOrAtThePeriodsEnd(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := sample(1000)
	pro := c.Plans[0]
	pro.Key = "pro"
	c.Plans = append(c.Plans, pro)
	f.apply(c)
	l, _, err := f.IssueLicense(ctx, licensing.License{Customer: f.customer("a").ID, Plan: "free", Anchor: time.Date(2026, 10, 31, 8, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	got, epoch, err := f.ChangePlan(ctx, licensing.PlanChange{License: l.ID, Plan: "pro", When: licensing.PeriodEnd, ResetUsage: true})
	if err != nil || got.Plan != "free" || len(got.Phases) != 2 || !got.Phases[1].At.Equal(end) || got.Phases[1].Plan != "pro" || got.Phases[1].CounterGeneration != 2 {
		t.Fatalf("planned: %+v, %v", got, err)
	}
	if _, again, err := f.ChangePlan(ctx, licensing.PlanChange{License: l.ID, Plan: "free"}); err != nil || again == epoch {
		t.Errorf("staying on free takes the planned change back: %v, %v", again, err)
	}
	if got := f.get(l.ID); len(got.Phases) != 0 {
		t.Errorf("still to come: %+v", got.Phases)
	}
	if _, _, err := f.ChangePlan(ctx, licensing.PlanChange{License: l.ID, Plan: "pro", When: licensing.PeriodEnd}); err != nil {
		t.Fatal(err)
	}
	_, err = f.archivePlan("pro")
	wantCode(t, err, licensing.FailedPrecondition, l.ID)
	f.elapse(end.Sub(f.clock.Now()))
	if got := f.get(l.ID); got.Plan != "pro" || got.CounterGeneration != 1 || len(got.Phases) != 0 {
		t.Errorf("at the period's end: %+v", got)
	}
	page, err := f.ListLicenses(ctx, licensing.List{Filter: map[string]string{"plan": "pro"}})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("on pro: %d, %v", len(page.Items), err)
	}
	if got, _, err := f.ChangePlan(ctx, licensing.PlanChange{License: l.ID, Plan: "free", ResetUsage: true}); err != nil || got.Plan != "free" || got.CounterGeneration != 2 {
		t.Errorf("changed now: %+v, %v", got, err)
	}
	if got, _, err := f.CancelLicense(ctx, l.ID, licensing.PeriodEnd); err != nil || got.Status != licensing.Active || got.CancelsAt.IsZero() {
		t.Errorf("cancel at the end: %+v, %v", got, err)
	}
	if got, _, err := f.ResumeLicense(ctx, l.ID); err != nil || !got.CancelsAt.IsZero() {
		t.Errorf("cancellation taken back: %+v, %v", got, err)
	}
}

func (f *fixture) archivePlan(key string) (licensing.Plan, error) {
	p, _, err := f.ArchivePlan(f.t.Context(), key)
	return p, err
}

// A version takes effect at its time: for licences that move then, and for new ones.
func TestPublish_TakesEffectAtItsTime(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	f.draft()
	at := f.clock.Now().Add(time.Hour)
	v, moved, _, err := f.PublishPlanVersion(ctx, "free", 2, licensing.Publication{Migration: licensing.MigrationNow, EffectiveAt: at})
	if err != nil || moved != 1 || !v.EffectiveAt.Equal(at) {
		t.Fatalf("published %+v, moved %d, %v", v, moved, err)
	}
	if early := f.license("b"); early.PlanVersion != 1 {
		t.Errorf("issued on version %d before it is in effect", early.PlanVersion)
	}
	if got := f.get(l.ID); got.PlanVersion != 1 {
		t.Errorf("moved early: %+v", got)
	}
	f.elapse(time.Hour)
	if got := f.get(l.ID); got.PlanVersion != 2 {
		t.Errorf("not moved: %+v", got)
	}
	if late := f.license("c"); late.PlanVersion != 2 {
		t.Errorf("issued on version %d when 2 is in effect", late.PlanVersion)
	}
	m, err := f.GetMigration(ctx, "free", 2)
	if err != nil || !m.Done || m.Moved != 1 || m.Total != 1 {
		t.Errorf("migration %+v, %v", m, err)
	}
}

func TestPublish_NextPeriodAndFilter(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	var all []licensing.License
	for _, day := range []int{3, 12, 29} {
		l, _, err := f.IssueLicense(ctx, licensing.License{
			Customer: f.customer(fmt.Sprint(day)).ID, Plan: "free", Anchor: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC),
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	f.draft()
	if _, moved, _, err := f.PublishPlanVersion(ctx, "free", 2, licensing.Publication{Migration: licensing.MigrationNextPeriod}); err != nil || moved != 3 {
		t.Fatalf("moved %d, %v", moved, err)
	}
	for i, day := range []time.Time{
		time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 12, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC),
	} {
		if got := f.get(all[i].ID); got.PlanVersion != 1 || len(got.Phases) != 2 || !got.Phases[1].At.Equal(day) {
			t.Errorf("licence %d: %+v, want version 2 on %v", i, got, day)
		}
	}
	if _, _, err := f.CreatePlanDraft(ctx, "free", 1); err != nil {
		t.Fatal(err)
	}
	p := licensing.Publication{Migration: licensing.MigrationFilter, Filter: map[string]string{"customer": all[1].Customer}}
	if _, moved, _, err := f.PublishPlanVersion(ctx, "free", 3, p); err != nil || moved != 1 {
		t.Fatalf("moved %d, %v", moved, err)
	}
	// What was to be version 2 then stays the newer one.
	f.elapse(60 * 24 * time.Hour)
	for i, want := range []uint32{2, 3, 2} {
		if got := f.get(all[i].ID); got.PlanVersion != want {
			t.Errorf("licence %d is on version %d, want %d", i, got.PlanVersion, want)
		}
	}
}

// A move of many goes on in batches, and ends with everyone moved once.
func TestMigrate_MovesManyInBatches(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	c := f.customer("many")
	const n = 2000 // Two full batches: the third finds that nothing is left.
	for range n {
		if _, _, err := f.IssueLicense(ctx, licensing.License{Customer: c.ID, Plan: "free"}); err != nil {
			t.Fatal(err)
		}
	}
	f.draft()
	before := f.epoch()
	_, moved, epoch, err := f.PublishPlanVersion(ctx, "free", 2, licensing.Publication{Migration: licensing.MigrationNow})
	if err != nil || moved != 1000 {
		t.Fatalf("moved %d, %v", moved, err)
	}
	// 1,001 records are two change sets.
	if epoch.Number != before.Number+2 {
		t.Errorf("epoch %v after %v", epoch, before)
	}
	if m, err := f.GetMigration(ctx, "free", 2); err != nil || m.Done || m.Epoch != epoch {
		t.Errorf("after the first batch, epoch %v: %+v, %v", epoch, m, err)
	}
	for more := true; more; {
		if more, err = f.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	m, err := f.GetMigration(ctx, "free", 2)
	if err != nil || !m.Done || m.Moved != n || m.Total != n || m.Epoch != f.epoch() {
		t.Errorf("migration %+v, %v", m, err)
	}
	records := 0
	for _, e := range f.chain()[before.Number:] {
		if len(e.GetRecords()) > 1000 {
			t.Errorf("a change set of %d records", len(e.GetRecords()))
		}
		for _, r := range e.GetRecords() {
			if r.GetLicense().GetPlanVersion() == 2 {
				records++
			}
		}
	}
	if records != n {
		t.Errorf("%d licence records, want %d", records, n)
	}
}

func TestOverride_OneAtATimeForOneThing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	now := f.clock.Now()
	o, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, Feature: "calls", Value: number(5000), Reason: "launch", EndsAt: now.Add(time.Hour)})
	if err != nil || o.Quota == nil || *o.Quota != (licensing.Quota{Limit: 5000, Period: licensing.Month, Mode: licensing.Hard}) {
		t.Fatalf("override %+v, %v", o, err)
	}
	_, _, err = f.CreateOverride(ctx, licensing.Override{License: l.ID, Feature: "calls", Value: licensing.Value{Kind: licensing.BoolValue, Bool: true}, Reason: "more", StartsAt: now.Add(30 * time.Minute)})
	wantCode(t, err, licensing.FailedPrecondition, o.ID)
	next, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, Feature: "calls", Value: licensing.Value{Kind: licensing.BoolValue, Bool: true}, Reason: "more", StartsAt: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	rate := licensing.RateLimit{Key: "free-rate", Limit: 50, Per: time.Second}
	if _, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, RateLimit: &rate, Reason: "launch"}); err != nil {
		t.Fatal(err)
	}
	rate.Key = "other"
	_, _, err = f.CreateOverride(ctx, licensing.Override{License: l.ID, RateLimit: &rate, Reason: "launch"})
	wantCode(t, err, licensing.InvalidArgument, "rate_limit.key")
	_, _, err = f.ArchiveFeature(ctx, "calls")
	wantCode(t, err, licensing.FailedPrecondition)
	f.elapse(time.Hour)
	if got, _, err := f.DeleteOverride(ctx, l.ID, next.ID); err != nil || len(got.Overrides) != 1 || got.Overrides[0].RateLimit == nil {
		t.Errorf("left: %+v, %v", got.Overrides, err)
	}
	_, _, err = f.DeleteOverride(ctx, l.ID, o.ID)
	wantCode(t, err, licensing.NotFound)
	want := []string{
		"issued@active", "override_created@active", "override_created@active", "override_created@active", "override_ended@active",
		"override_started@active", "override_deleted@active",
	}
	if got := f.kinds(l.ID); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// What nodes are told of a licence is what a decision of the control plane reads, and time alone changes neither.
func TestI7_ARuleIsWhatIsShown(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	f.draft()
	at := f.clock.Now().Add(time.Hour)
	if _, _, _, err := f.PublishPlanVersion(ctx, "free", 2, licensing.Publication{Migration: licensing.MigrationNow, EffectiveAt: at}); err != nil {
		t.Fatal(err)
	}
	stored := f.get(l.ID)
	rule := stored.Rule()
	for _, tt := range []struct {
		at   time.Time
		want uint32
	}{{at.Add(-1), 1}, {at, 2}} {
		if got := rule.PhaseAt(tt.at); got.PlanVersion != tt.want || got.Plan != "free" {
			t.Errorf("at %v: %+v", tt.at, got)
		}
	}
	before := f.ruleState()
	f.elapse(2 * time.Hour)
	if after := f.ruleState(); !maps.Equal(before, after) {
		t.Errorf("time changed the rule state:\n%q\n%q", before, after)
	}
	if got := f.get(l.ID); got.PlanVersion != rule.PhaseAt(f.clock.Now()).PlanVersion {
		t.Errorf("shown on %d", got.PlanVersion)
	}
}

func number(n float64) licensing.Value {
	return licensing.Value{Kind: licensing.NumberValue, Number: n}
}
