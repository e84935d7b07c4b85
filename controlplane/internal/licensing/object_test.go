package licensing_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/controlplane/internal/licensing"
)

// Of two writers that read the same state, one overwrites nothing.
func TestUpdate_RefusesAStaleEtag(t *testing.T) {
	t.Parallel()
	f := setup(t)
	c := f.customer("c")
	var wg sync.WaitGroup
	var won, lost atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			mine := c
			mine.DisplayName = fmt.Sprint("name ", i)
			_, _, err := f.UpdateCustomer(t.Context(), mine, []string{"display_name"})
			switch {
			case err == nil:
				won.Add(1)
			case licensing.CodeOf(err) == licensing.Aborted && field(err) == "etag":
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	// Without an etag, the last writer wins.
	c.Etag = ""
	if _, _, err := f.UpdateCustomer(t.Context(), c, nil); err != nil {
		t.Error(err)
	}
}

func TestUpdate_ChangesWhatItsMaskNames(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c, epoch, err := f.CreateCustomer(ctx, licensing.Customer{ExternalID: "c", DisplayName: "C", Metadata: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	// Nodes don't know names: no epoch.
	got, same, err := f.UpdateCustomer(ctx, licensing.Customer{ID: c.ID, DisplayName: "D", TimeZone: "Asia/Tokyo"}, []string{"display_name"})
	if err != nil || got.DisplayName != "D" || got.TimeZone != "" || got.ExternalID != "c" || !maps.Equal(got.Metadata, c.Metadata) || same != epoch {
		t.Errorf("got %+v at %v, %v", got, same, err)
	}
	if got.Etag == c.Etag {
		t.Error("the etag has not changed")
	}
	unchanged, same, err := f.UpdateCustomer(ctx, got, nil)
	if err != nil || unchanged.Etag != got.Etag || same != epoch {
		t.Errorf("an update that changes nothing: etag %s, epoch %v, %v", unchanged.Etag, same, err)
	}
	_, next, err := f.UpdateCustomer(ctx, licensing.Customer{ID: c.ID, TimeZone: "Asia/Tokyo"}, []string{"time_zone"})
	if err != nil || next.Number != epoch.Number+1 {
		t.Errorf("epoch %v after %v, %v", next, epoch, err)
	}
	for _, path := range []string{"id", "etag", "displayName", "metadata.a", ""} {
		_, _, err := f.UpdateCustomer(ctx, c, []string{"display_name", path})
		wantCode(t, err, licensing.InvalidArgument, fmt.Sprintf("%q", path))
	}
	_, _, err = f.UpdateCustomer(ctx, licensing.Customer{ID: c.ID}, nil)
	wantCode(t, err, licensing.InvalidArgument, "external_id")
	other := f.customer("other")
	_, _, err = f.UpdateCustomer(ctx, licensing.Customer{ID: other.ID, ExternalID: "c"}, []string{"external_id"})
	wantCode(t, err, licensing.AlreadyExists)
	_, _, err = f.UpdateCustomer(ctx, licensing.Customer{ID: "cus_none", ExternalID: "x"}, nil)
	wantCode(t, err, licensing.NotFound)
}

func TestUpdate_RefusesToChangeWhatIsFixed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1))
	_, _, err := f.UpdateMeter(ctx, licensing.Meter{Key: "requests", Aggregation: licensing.Sum}, nil)
	wantCode(t, err, licensing.InvalidArgument, "aggregation")
	_, _, err = f.UpdateMeter(ctx, licensing.Meter{Key: "requests", Aggregation: licensing.Sum}, []string{"aggregation"})
	wantCode(t, err, licensing.InvalidArgument, "aggregation")
	_, _, err = f.UpdateFeature(ctx, licensing.Feature{Key: "calls", Type: licensing.Boolean}, nil)
	wantCode(t, err, licensing.InvalidArgument, "type")
	got, _, err := f.UpdateFeature(ctx, licensing.Feature{Key: "calls", DisplayName: "Calls"}, nil)
	if err != nil || got.DisplayName != "Calls" || got.Type != licensing.Metered || got.Meter != "requests" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRoute_UpdatesKeepItWhole(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1))
	r, err := f.GetRoute(ctx, "reports")
	if err != nil || r.Units() != 1 || !r.BillsOpenIntents() {
		t.Fatalf("route is %+v, %v", r, err)
	}
	r, _, err = f.UpdateRoute(ctx, licensing.Route{Key: "reports", Match: licensing.RouteMatch{Host: "API.Test"}}, []string{"match.host"})
	if err != nil || r.Match.Host != "api.test" || r.Match.Path != "/reports/*" || !slices.Equal(r.Match.Methods, []string{"GET"}) {
		t.Errorf("route is %+v, %v", r, err)
	}
	r, _, err = f.UpdateRoute(ctx, licensing.Route{Key: "reports"}, []string{"meter"})
	if err != nil || r.Meter != "" || r.Cost != nil {
		t.Errorf("route without meter is %+v, %v", r, err)
	}
	r, _, err = f.UpdateRoute(ctx, licensing.Route{Key: "reports", Meter: "requests"}, []string{"meter"})
	if err != nil || r.Units() != 1 {
		t.Errorf("route with meter is %+v, %v", r, err)
	}
	_, _, err = f.UpdateRoute(ctx, licensing.Route{Key: "reports", Match: licensing.RouteMatch{Path: "/hello"}}, []string{"match"})
	wantCode(t, err, licensing.FailedPrecondition, "hello", "reports")
	_, _, err = f.CreateRoute(ctx, licensing.Route{Key: "twin", Service: "sample", Match: licensing.RouteMatch{Path: "/hello"}})
	wantCode(t, err, licensing.FailedPrecondition, "hello", "twin")
	_, _, err = f.UpdateRoute(ctx, licensing.Route{Key: "reports", Meter: "none"}, []string{"meter"})
	wantCode(t, err, licensing.InvalidArgument, "none")
}

// What something in use refers to stays, and the refusal names it.
func TestArchive_RefusesWhatIsInUse(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	_, _, err := f.ArchiveMeter(ctx, "requests")
	wantCode(t, err, licensing.FailedPrecondition, "feature calls", "route reports")
	_, _, err = f.ArchiveFeature(ctx, "reports")
	wantCode(t, err, licensing.FailedPrecondition, "route reports")
	_, _, err = f.ArchiveFeature(ctx, "calls")
	wantCode(t, err, licensing.FailedPrecondition, "free@1")
	_, _, err = f.ArchiveService(ctx, "sample")
	wantCode(t, err, licensing.FailedPrecondition, "route hello", "route reports")
	_, _, err = f.ArchivePlan(ctx, "free")
	wantCode(t, err, licensing.FailedPrecondition, l.ID)
	_, _, err = f.ArchiveCustomer(ctx, l.Customer)
	wantCode(t, err, licensing.FailedPrecondition, l.ID)

	// An older version counts as long as a licence is on it.
	c := sample(1000)
	c.Plans[0].Entitlements = []licensing.Entitlement{{Feature: "reports", Enabled: true}}
	if _, _, err := f.ApplyCatalog(ctx, c, false, licensing.MigrationNewOnly); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.ArchiveFeature(ctx, "calls")
	wantCode(t, err, licensing.FailedPrecondition, "free@1")
	if _, _, err := f.CancelLicense(ctx, l.ID, licensing.WhenNow); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.ArchiveFeature(ctx, "calls"); err != nil {
		t.Errorf("archive a feature of an old version: %v", err)
	}
	_, _, err = f.IssueLicense(ctx, licensing.License{Customer: l.Customer, Plan: "free", PlanVersion: 1})
	wantCode(t, err, licensing.FailedPrecondition, "calls", "archived")

	if _, _, err := f.ArchivePlan(ctx, "free"); err != nil {
		t.Fatal(err)
	}
	before := f.epoch()
	p, epoch, err := f.ArchivePlan(ctx, "free")
	if err != nil || epoch != before || p.ArchiveTime.IsZero() {
		t.Errorf("archived again: %+v at %v, %v", p, epoch, err)
	}
	_, _, err = f.CreatePlanDraft(ctx, "free", 0)
	wantCode(t, err, licensing.FailedPrecondition, "archived")
	_, _, err = f.IssueLicense(ctx, licensing.License{Customer: l.Customer, Plan: "free"})
	wantCode(t, err, licensing.FailedPrecondition, "archived")
	_, _, err = f.UpdatePlan(ctx, licensing.Plan{Key: "free", DisplayName: "x"}, nil)
	wantCode(t, err, licensing.FailedPrecondition, "archived")
	_, _, err = f.CreatePlan(ctx, licensing.Plan{Key: "free"})
	wantCode(t, err, licensing.AlreadyExists)
	if _, _, err := f.ArchiveCustomer(ctx, l.Customer); err != nil {
		t.Error(err)
	}
}

// Pages hold every object once, in order, though others come and go between them.
func TestList_PagesByKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	key := func(i int) string { return fmt.Sprintf("m-%02d", i) }
	for i := range 25 {
		if _, _, err := f.CreateMeter(ctx, licensing.Meter{Key: key(i), Aggregation: licensing.Count}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	list := licensing.List{PageSize: 10}
	for pages := 1; ; pages++ {
		p, err := f.ListMeters(ctx, list)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range p.Items {
			got = append(got, m.Key)
		}
		if p.Next == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		list.After = p.Next
		if _, _, err := f.ArchiveMeter(ctx, key(pages)); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 25 || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
	exact, err := f.ListMeters(ctx, licensing.List{PageSize: 23})
	if err != nil || len(exact.Items) != 23 || exact.Next != "" {
		t.Errorf("a page of exactly what there is: %d items, next %q, %v", len(exact.Items), exact.Next, err)
	}
	old, err := f.ListMeters(ctx, licensing.List{Filter: map[string]string{"archived": "true"}})
	if err != nil || len(old.Items) != 2 {
		t.Errorf("archived: %+v, %v", old.Items, err)
	}
}

func TestList_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1))
	_, err := f.ListMeters(ctx, licensing.List{PageSize: -1})
	wantCode(t, err, licensing.InvalidArgument, "page_size")
	_, err = f.ListMeters(ctx, licensing.List{Filter: map[string]string{"colour": "red"}})
	wantCode(t, err, licensing.InvalidArgument, "colour", "aggregation")
	_, err = f.ListMeters(ctx, licensing.List{Filter: map[string]string{"archived": "maybe"}})
	wantCode(t, err, licensing.InvalidArgument, "archived")
	_, err = f.ListLicenses(ctx, licensing.List{Filter: map[string]string{"plan_version": "x"}})
	wantCode(t, err, licensing.InvalidArgument, "plan_version")
	_, err = f.ListTokens(ctx, licensing.List{Filter: map[string]string{"role": "owner"}})
	wantCode(t, err, licensing.InvalidArgument, "role")
	_, err = f.ListPlanVersions(ctx, "free", licensing.List{After: "x"})
	wantCode(t, err, licensing.InvalidArgument, "page_token")
	_, err = f.ListMeters(ctx, licensing.List{After: "a\x00"})
	wantCode(t, err, licensing.InvalidArgument)
	_, err = f.ListPlanVersions(ctx, "none", licensing.List{})
	wantCode(t, err, licensing.NotFound)
	_, err = f.GetCustomer(ctx, "\x00")
	wantCode(t, err, licensing.InvalidArgument)
	p, err := f.ListFeatures(ctx, licensing.List{PageSize: 1 << 30, Filter: map[string]string{"type": "metered", "meter": "requests"}})
	if err != nil || len(p.Items) != 1 || p.Items[0].Key != "calls" {
		t.Errorf("got %+v, %v", p, err)
	}
}
