package licensing_test

import (
	"fmt"
	"slices"
	"testing"

	"tollgate/controlplane/internal/licensing"
)

func TestApply_TwiceChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	before := f.epoch()
	dry, epoch, err := f.ApplyCatalog(ctx, sample(1000), true, licensing.MigrationDefault)
	if err != nil || epoch != before || f.epoch() != before {
		t.Fatalf("dry run: epoch %v, %v", epoch, err)
	}
	_, err = f.GetPlan(ctx, "free")
	wantCode(t, err, licensing.NotFound)
	changes, epoch, err := f.ApplyCatalog(ctx, sample(1000), false, licensing.MigrationDefault)
	if err != nil || !slices.Equal(changes, dry) || epoch.Number != before.Number+1 {
		t.Fatalf("applied %v, dry run said %v; epoch %v; %v", changes, dry, epoch, err)
	}
	if len(changes) != 8 { // meter, 2 features, plan, its version, service, 2 routes.
		t.Errorf("changes: %v", changes)
	}
	for _, dryRun := range []bool{true, false} {
		changes, again, err := f.ApplyCatalog(ctx, sample(1000), dryRun, licensing.MigrationDefault)
		if err != nil || len(changes) != 0 || again != epoch {
			t.Errorf("applied again (dry run %t): %v, epoch %v, %v", dryRun, changes, again, err)
		}
	}
	// The order of a plan's lists means nothing.
	c := sample(1000)
	c.Plans[0].Entitlements = append([]licensing.Entitlement{{Feature: "reports", Enabled: true}}, c.Plans[0].Entitlements...)
	f.apply(c)
	slices.Reverse(c.Plans[0].Entitlements)
	if changes := f.apply(c); len(changes) != 0 {
		t.Errorf("reordered: %v", changes)
	}
}

// An apply publishes the plans that changed and moves licences, by default; an empty name leaves the stored one.
func TestApply_PublishesWhatChanged(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	c := sample(2000)
	c.Plans[0].DisplayName = ""
	c.Services[0].Endpoints = []string{"http://other"}
	changes := f.apply(c)
	want := []licensing.CatalogChange{
		{Action: "publish", Kind: licensing.KindPlan, Key: "free", Detail: "version 2, entitlements, licences moved: 1"},
		{Action: "update", Kind: licensing.KindService, Key: "sample", Detail: "endpoints"},
	}
	if !slices.Equal(changes, want) {
		t.Errorf("changes: %v, want %v", changes, want)
	}
	if got, err := f.GetLicense(ctx, l.ID); err != nil || got.PlanVersion != 2 {
		t.Errorf("licence is on version %d, %v", got.PlanVersion, err)
	}
	if p, err := f.GetPlan(ctx, "free"); err != nil || p.DisplayName != "Free" {
		t.Errorf("plan is %+v, %v", p, err)
	}
	_, _, err := f.ApplyCatalog(ctx, sample(3000), false, licensing.MigrationNewOnly)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.GetLicense(ctx, l.ID); err != nil || got.PlanVersion != 2 {
		t.Errorf("licence is on version %d, %v", got.PlanVersion, err)
	}
	_, _, err = f.ApplyCatalog(ctx, sample(3000), false, licensing.MigrationFilter)
	wantCode(t, err, licensing.InvalidArgument, "filter")
}

// Someone's open draft outlives an apply, behind the version that it publishes.
func TestApply_KeepsOpenDrafts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	d := f.draft()
	f.apply(sample(2000))
	p, err := f.GetPlan(ctx, "free")
	if err != nil || p.PublishedVersion != 2 || p.DraftVersion != 3 {
		t.Fatalf("plan is %+v, %v", p, err)
	}
	v, err := f.GetPlanVersion(ctx, "free", 3)
	if err != nil || v.State != licensing.Draft || len(v.Entitlements) != len(d.Entitlements) || !v.Entitlements[1].Enabled {
		t.Errorf("draft is %+v, %v", v, err)
	}
	if v, err := f.GetPlanVersion(ctx, "free", 2); err != nil || v.Entitlements[0].Quota.Limit != 2000 {
		t.Errorf("version 2 is %+v, %v", v, err)
	}
}

// An error anywhere undoes the whole apply, and says where it is.
func TestApply_RollsBackAsAWhole(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	before := f.epoch()
	for name, x := range map[string]struct {
		spoil func(*licensing.Catalog)
		code  licensing.Code
		field string
	}{
		"unknown service": {func(c *licensing.Catalog) { c.Routes[1].Service = "none" }, licensing.InvalidArgument, "routes[hello].service"},
		"tie": {func(c *licensing.Catalog) {
			c.Routes = append(c.Routes, licensing.Route{Key: "twin", Service: "sample", Match: licensing.RouteMatch{Path: "/hello"}})
		}, licensing.FailedPrecondition, "routes.match"},
		"unknown feature": {func(c *licensing.Catalog) { c.Plans[0].Entitlements[0].Feature = "none" }, licensing.InvalidArgument, "plans[free].entitlements[0].feature"},
		"other type":      {func(c *licensing.Catalog) { c.Features[1] = licensing.Feature{Key: "calls", Type: licensing.Boolean} }, licensing.InvalidArgument, "features[calls].type"},
		"other meter": {func(c *licensing.Catalog) {
			c.Meters = append(c.Meters, licensing.Meter{Key: "m2", Aggregation: licensing.Count})
			c.Features[1].Meter = "m2"
		}, licensing.InvalidArgument, "features[calls].meter"},
		"same key twice": {func(c *licensing.Catalog) { c.Meters = append(c.Meters, c.Meters[0]) }, licensing.InvalidArgument, "meters[early]"},
		"bad value":      {func(c *licensing.Catalog) { c.Plans[0].RateLimits[0].Limit = -1 }, licensing.InvalidArgument, "plans[free].rate_limits[0].limit"},
	} {
		c := sample(5000)
		c.Meters = append([]licensing.Meter{{Key: "early", Aggregation: licensing.Sum}}, c.Meters...)
		x.spoil(&c)
		_, _, err := f.ApplyCatalog(ctx, c, false, licensing.MigrationDefault)
		if licensing.CodeOf(err) != x.code || field(err) != x.field {
			t.Errorf("%s: got %v (code %s, field %s)", name, err, licensing.CodeOf(err), field(err))
		}
	}
	_, err := f.GetMeter(ctx, "early")
	wantCode(t, err, licensing.NotFound)
	if p, err := f.GetPlan(ctx, "free"); err != nil || p.PublishedVersion != 1 || f.epoch() != before {
		t.Errorf("plan is %+v, epoch %v, %v", p, f.epoch(), err)
	}
}

// A file may refer to what is stored already, and brings back what it names.
func TestApply_RefersToStoredObjects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	f.apply(licensing.Catalog{
		Plans:  []licensing.CatalogPlan{{Key: "pro", Entitlements: []licensing.Entitlement{{Feature: "reports", Enabled: true}, {Feature: "calls", Enabled: true}}}},
		Routes: []licensing.Route{{Key: "more", Service: "sample", Match: licensing.RouteMatch{Path: "/more"}, Meter: "requests"}},
	})
	v, err := f.GetPlanVersion(ctx, "pro", 0)
	if err != nil || !v.Entitlements[0].Enabled || v.Entitlements[1].Enabled || v.Entitlements[1].Quota != nil {
		t.Errorf("version is %+v, %v", v, err)
	}
	if _, _, err := f.ArchiveRoute(ctx, "more"); err != nil {
		t.Fatal(err)
	}
	got := f.apply(licensing.Catalog{Routes: []licensing.Route{{Key: "more", Service: "sample", Match: licensing.RouteMatch{Path: "/again"}}}})
	if len(got) != 2 || got[0].Action != "unarchive" || got[1].Action != "update" {
		t.Errorf("changes %v", got)
	}
	if r, err := f.GetRoute(ctx, "more"); err != nil || r.Archived() || r.Match.Path != "/again" || r.Meter != "" {
		t.Errorf("route %+v, %v", r, err)
	}
	f.chain()
}

// Taking a commit of the file back brings everything back: the same keys, and the versions that customers were on.
func TestApply_BringsBackWhatAPruneTookAway(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(priced())
	f.apply(licensing.Catalog{Prune: true})
	if p, err := f.GetPlan(ctx, "free"); err != nil || !p.Archived() {
		t.Fatalf("plan %+v, %v", p, err)
	}
	before := len(f.chain())
	var changes []string
	for _, c := range f.apply(priced()) {
		changes = append(changes, fmt.Sprint(c.Action, " ", c.Kind, " ", c.Key))
	}
	want := []string{
		"unarchive meter requests", "unarchive meter storage", "unarchive feature calls", "unarchive feature gigabytes", "unarchive feature reports",
		"unarchive feature seats", "unarchive plan free", "unarchive route hello", "unarchive route reports", "unarchive service sample",
	}
	if slices.Sort(changes); !slices.Equal(changes, slices.Sorted(slices.Values(want))) {
		t.Errorf("changes %q", changes)
	}
	if again := f.apply(priced()); len(again) != 0 {
		t.Errorf("again: %v", again)
	}
	if l := f.license("a"); l.PlanVersion != 1 {
		t.Errorf("licence %+v", l)
	}
	told := map[string]int{}
	for _, e := range f.chain()[before:] {
		for _, r := range e.GetRecords() {
			told[fmt.Sprintf("%T", r.GetValue())]++
		}
	}
	if told["*rulesv1.Record_Route"] != 2 || told["*rulesv1.Record_PlanVersion"] != 1 || told["*rulesv1.Record_Service"] != 1 || told["*rulesv1.Record_Meter"] != 2 || told["*rulesv1.Record_Feature"] != 4 {
		t.Errorf("nodes were told of %v", told)
	}
}
