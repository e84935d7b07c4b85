package licensing_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
)

// priced is a catalog with everything that a plan can say.
func priced() licensing.Catalog {
	c := sample(1000)
	c.Meters = append(c.Meters, licensing.Meter{Key: "storage", Aggregation: licensing.Max})
	c.Features = append(c.Features, licensing.Feature{Key: "seats", Type: licensing.Static}, licensing.Feature{Key: "gigabytes", Type: licensing.Metered, Meter: "storage"})
	p := &c.Plans[0]
	p.TrialDays = 14
	p.Entitlements = []licensing.Entitlement{
		{Feature: "calls", Quota: &licensing.Quota{Limit: 1000, Period: licensing.Month, Rollover: 500}},
		{Feature: "gigabytes", Quota: &licensing.Quota{Limit: 5, Period: licensing.Month, Mode: licensing.Soft}},
		{Feature: "seats", Value: licensing.Value{Kind: licensing.NumberValue, Number: 10}},
	}
	p.RateCards = []licensing.RateCard{
		{Key: "base", Kind: licensing.Flat, Amount: "49.00", Currency: "EUR"},
		{Key: "calls", Kind: licensing.Graduated, Feature: "calls", Currency: "EUR", Included: 100, Tiers: []licensing.Tier{{UpTo: 1000, UnitPrice: "0.002"}, {UnitPrice: "0.0010"}}},
		{Key: "storage", Kind: licensing.PerUnit, Feature: "gigabytes", Amount: "0.10", Currency: "EUR"},
	}
	return c
}

// 49.0 is 49.00: an amount that is only spelt differently is no difference, and what is stored stays as it came.
func TestI9_AmountsAreComparedByValue(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(priced())
	c := priced()
	cards := c.Plans[0].RateCards
	cards[0].Amount, cards[1].Tiers[1].UnitPrice, cards[2].UnitSize = "049.0", "0.001", 1
	if changes := f.apply(c); len(changes) != 0 {
		t.Errorf("spelt differently: %v", changes)
	}
	v, err := f.GetPlanVersion(ctx, "free", 0)
	if err != nil || v.RateCards[0].Amount != "49.00" {
		t.Errorf("stored %+v, %v", v.RateCards, err)
	}
	d, _, err := f.CreatePlanDraft(ctx, "free", 0)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := f.UpdatePlanDraft(ctx, licensing.PlanVersion{Plan: "free", Version: 2, RateCards: cards}, []string{"rate_cards"})
	if err != nil || got.Etag != d.Etag || got.RateCards[0].Amount != "49.00" {
		t.Errorf("a draft that was spelt differently is %+v, %v", got.RateCards, err)
	}
	cards[1].Tiers[1].UnitPrice = "0.0011"
	if changes := f.apply(c); len(changes) != 1 || !strings.Contains(changes[0].Detail, "rate_cards") {
		t.Errorf("another price: %v", changes)
	}
}

func TestDiffPlanVersions_SaysWhatDiffersInTheFilesWords(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(priced())
	if _, _, err := f.CreatePlanDraft(ctx, "free", 0); err != nil {
		t.Fatal(err)
	}
	if same, err := f.DiffPlanVersions(ctx, "free", 0, 0); err != nil || len(same) != 0 {
		t.Errorf("a new draft differs: %v, %v", same, err)
	}
	next := priced().Plans[0]
	next.TrialDays = 0
	next.Entitlements = []licensing.Entitlement{
		{Feature: "reports", Enabled: true},
		{Feature: "seats", Value: licensing.Value{Kind: licensing.TextValue, Text: "many"}},
		{Feature: "calls", Quota: &licensing.Quota{Limit: 2000, Period: licensing.Month}},
	}
	next.RateCards[1].Tiers[0].UpTo = 2000
	next.RateCards = next.RateCards[:2]
	next.RateLimits[0].Per = time.Minute
	v := licensing.PlanVersion{
		Plan: "free", Version: 2, Entitlements: next.Entitlements, RateLimits: next.RateLimits, RateCards: next.RateCards,
	}
	if _, _, err := f.UpdatePlanDraft(ctx, v, nil); err != nil {
		t.Fatal(err)
	}
	got, err := f.DiffPlanVersions(ctx, "free", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []licensing.VersionChange{
		{Path: "trial_days", Kind: licensing.Changed, Before: "14", After: "0"},
		{Path: "entitlements[calls].quota.limit", Kind: licensing.Changed, Before: "1000", After: "2000"},
		{Path: "entitlements[calls].quota.rollover", Kind: licensing.Changed, Before: "500", After: "0"},
		{Path: "entitlements[gigabytes]", Kind: licensing.Removed, Before: "quota.limit: 5, quota.period: month, quota.mode: soft"},
		{Path: "entitlements[reports]", Kind: licensing.Added, After: "enabled: true"},
		{Path: "entitlements[seats].value", Kind: licensing.Changed, Before: "10", After: `"many"`},
		{Path: "rate_limits[free-rate].per", Kind: licensing.Changed, Before: "1s", After: "1m0s"},
		{Path: "rate_cards[calls].tiers[0].up_to", Kind: licensing.Changed, Before: "1000", After: "2000"},
		{Path: "rate_cards[storage]", Kind: licensing.Removed, Before: "kind: per_unit, feature: gigabytes, amount: 0.10, currency: EUR, unit_size: 1"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	back, err := f.DiffPlanVersions(ctx, "free", 2, 1)
	if err != nil || len(back) != len(want) {
		t.Fatalf("backwards: %v, %v", back, err)
	}
	for i, c := range back {
		if c.Path != want[i].Path || c.Before != want[i].After || c.After != want[i].Before {
			t.Errorf("backwards %+v, forwards %+v", c, want[i])
		}
	}
}

// A rollback publishes the version before the newest again, and leaves history and drafts alone.
func TestRollbackPlan_PublishesThePreviousAgain(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	f.apply(sample(2000))
	f.draft()
	v, moved, epoch, err := f.RollbackPlan(ctx, "free", licensing.Publication{Migration: licensing.MigrationNow})
	if err != nil || v.Version != 3 || v.State != licensing.Published || v.Entitlements[0].Quota.Limit != 1000 || moved != 1 || epoch != f.epoch() {
		t.Fatalf("rolled back to %+v, moved %d, %v", v, moved, err)
	}
	if got, err := f.GetLicense(ctx, l.ID); err != nil || got.PlanVersion != 3 {
		t.Errorf("licence is on version %d, %v", got.PlanVersion, err)
	}
	for version, limit := range map[uint32]int64{1: 1000, 2: 2000, 3: 1000} {
		if v, err := f.GetPlanVersion(ctx, "free", version); err != nil || v.State != licensing.Published || v.Entitlements[0].Quota.Limit != limit {
			t.Errorf("version %d is %+v, %v", version, v, err)
		}
	}
	p, err := f.GetPlan(ctx, "free")
	if err != nil || p.PublishedVersion != 3 || p.DraftVersion != 4 {
		t.Errorf("plan is %+v, %v", p, err)
	}
	if diff, err := f.DiffPlanVersions(ctx, "free", 1, 3); err != nil || len(diff) != 0 {
		t.Errorf("version 3 differs from 1: %v, %v", diff, err)
	}
	_, _, _, err = f.RollbackPlan(ctx, "free", licensing.Publication{Migration: licensing.MigrationFilter})
	wantCode(t, err, licensing.InvalidArgument, "filter")
}

// What a version granted may be archived since; then it cannot be gone back to.
func TestRollbackPlan_RefusesWhatIsArchived(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(priced())
	f.apply(sample(1000))
	if _, _, err := f.ArchiveFeature(t.Context(), "seats"); err != nil {
		t.Fatal(err)
	}
	before := f.epoch()
	_, _, _, err := f.RollbackPlan(t.Context(), "free", licensing.Publication{Migration: licensing.MigrationDefault})
	wantCode(t, err, licensing.FailedPrecondition, "entitlements[2].feature", "archived")
	if f.epoch() != before {
		t.Error("something was published")
	}
}

// A draft that was given up is no draft any more, and its number is not used again.
func TestDiscardPlanDraft_MakesRoomForAnother(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	d, before := f.draft(), f.epoch()
	v, epoch, err := f.DiscardPlanDraft(ctx, "free", 2, d.Etag)
	if err != nil || v.State != licensing.VersionArchived || epoch != before {
		t.Fatalf("discarded %+v, epoch %v, %v", v, epoch, err)
	}
	_, _, err = f.UpdatePlanDraft(ctx, d, nil)
	wantCode(t, err, licensing.FailedPrecondition, "archived")
	next, _, err := f.CreatePlanDraft(ctx, "free", 0)
	if err != nil || next.Version != 3 || len(next.Entitlements) != 1 {
		t.Errorf("the next draft is %+v, %v", next, err)
	}
	// What only the discarded draft granted can go.
	if _, _, err := f.ArchiveRoute(ctx, "reports"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.ArchiveFeature(ctx, "reports"); err != nil {
		t.Error(err)
	}
}

func TestPreviewPublish_SaysWhoIsAffected(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(priced())
	conn, err := pgx.Connect(ctx, f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	use := func(l licensing.License, at time.Time, units int64) {
		t.Helper()
		_, err := conn.Exec(ctx, `INSERT INTO usage_minute (license, meter, counter_generation, minute, units) VALUES ($1, 'requests', $2, $3, $4)`,
			l.ID, l.CounterGeneration, at.Truncate(time.Minute), units)
		if err != nil {
			t.Fatal(err)
		}
	}
	// The clock says 23 November. In Kiritimati, 14 hours ahead, a month begins when it is still October in UTC.
	zoned, _, err := f.CreateCustomer(ctx, licensing.Customer{ExternalID: "zoned", TimeZone: "Pacific/Kiritimati"})
	if err != nil {
		t.Fatal(err)
	}
	early, _, err := f.IssueLicense(ctx, licensing.License{Customer: zoned.ID, Plan: "free"})
	if err != nil {
		t.Fatal(err)
	}
	over, at, split, last, ended := f.license("over"), f.license("at"), f.license("split"), f.license("last"), f.license("ended")
	month := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	use(over, month, 301)
	use(at, month, 300)
	use(split, month.Add(time.Hour), 200)
	use(split, month.Add(48*time.Hour), 200)
	use(last, month.Add(-time.Minute), 5000)
	use(early, month.Add(-13*time.Hour), 301)
	use(ended, month, 5000)
	if _, _, err := f.CancelLicense(ctx, ended.ID, licensing.WhenNow); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.CreatePlanDraft(ctx, "free", 0); err != nil {
		t.Fatal(err)
	}
	v := licensing.PlanVersion{Plan: "free", Version: 2, Entitlements: []licensing.Entitlement{
		{Feature: "calls", Quota: &licensing.Quota{Limit: 300, Period: licensing.Month}}, {Feature: "reports", Enabled: true},
	}}
	if _, _, err := f.UpdatePlanDraft(ctx, v, nil); err != nil {
		t.Fatal(err)
	}
	before := f.epoch()
	got, err := f.PreviewPublish(ctx, "free", 2)
	if err != nil || !slices.Equal(got.Gained, []string{"reports"}) || !slices.Equal(got.Lost, []string{"gigabytes", "seats"}) ||
		got.Moved != 5 || got.OverQuota != 3 || got.Partial || f.epoch() != before {
		t.Errorf("preview %+v, %v", got, err)
	}
	// What was said is what happens.
	if _, moved, _, err := f.PublishPlanVersion(ctx, "free", 2, licensing.Publication{Migration: licensing.MigrationNow}); err != nil || moved != got.Moved {
		t.Errorf("moved %d, %v", moved, err)
	}
	_, err = f.PreviewPublish(ctx, "free", 2)
	wantCode(t, err, licensing.FailedPrecondition, "only a draft")
}

// Nodes get the value of a static feature, the rollover of a quota, and no prices.
func TestPublish_RecordsCarryValuesAndRollover(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(priced())
	for _, e := range f.chain() {
		for _, r := range e.GetRecords() {
			v := r.GetPlanVersion()
			if v == nil {
				continue
			}
			en := v.GetEntitlements()
			if len(en) != 3 || en[0].GetQuota().GetRollover() != 500 || !en[0].GetQuota().GetHard() || en[2].GetStaticValue() != "10" {
				t.Errorf("record is %v", v)
			}
			return
		}
	}
	t.Error("no version was sent")
}

func TestMinorUnits_OfSome(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{"USD": 2, "JPY": 0, "KWD": 3, "CLF": 4} {
		if got, ok := licensing.MinorUnits(code); !ok || got != want {
			t.Errorf("%s: %d, %t", code, got, ok)
		}
	}
	for _, code := range []string{"", "usd", "HRK", "XXX", "XAU", "DEM"} {
		if _, ok := licensing.MinorUnits(code); ok {
			t.Errorf("%q is a currency", code)
		}
	}
}
