package licensing_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
)

// extra is an add-on with a quota of calls and a flat price.
func extra(key string, limit int64) licensing.AddOn {
	return licensing.AddOn{
		Key:          key,
		Entitlements: []licensing.Entitlement{{Feature: "calls", Quota: &licensing.Quota{Limit: limit, Period: licensing.Month}}},
		RateCards:    []licensing.RateCard{{Key: "fee", Kind: licensing.Flat, Amount: "5.00", Currency: "USD"}},
	}
}

func (f *fixture) addOn(a licensing.AddOn) licensing.AddOn {
	f.t.Helper()
	a, _, err := f.CreateAddOn(f.t.Context(), a)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

func (f *fixture) attach(license string, a licensing.Attachment) licensing.License {
	f.t.Helper()
	l, _, err := f.AttachAddOn(f.t.Context(), license, a)
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

// versions are what is kept of an add-on: version, amount and since when.
func (f *fixture) versions(key string) []string {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close(f.t.Context())
	rows, err := conn.Query(f.t.Context(),
		"SELECT format('%s: %s since %s', version, rate_cards->0->>'amount', to_char(effective_at AT TIME ZONE 'UTC', 'HH24:MI')) FROM add_on_version WHERE add_on = $1 ORDER BY version", key)
	if err != nil {
		f.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// A change reaches every licence that has the add-on by one record. What it cost before stays known.
func TestAddOn_AChangeIsOneRecordAndANewVersion(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	a := f.addOn(extra("extra", 5000))
	if a.Version != 1 || !a.EffectiveAt.Equal(f.clock.Now()) || a.Entitlements[0].Quota.Mode != licensing.Hard {
		t.Errorf("created %+v", a)
	}
	for i := range 3 {
		f.attach(f.license(fmt.Sprint(i)).ID, licensing.Attachment{AddOn: "extra"})
	}
	before := f.epoch()
	step := func(change func(*licensing.AddOn), mask string, version uint32, records uint64) {
		t.Helper()
		f.clock.Add(time.Hour)
		next := licensing.AddOn{Key: "extra"}
		change(&next)
		out, epoch, err := f.UpdateAddOn(ctx, next, []string{mask})
		if err != nil || out.Version != version || epoch.Number != before.Number+records {
			t.Errorf("%s: version %d, %d epochs, %v", mask, out.Version, epoch.Number-before.Number, err)
		}
		before = epoch
	}
	step(func(a *licensing.AddOn) { a.Entitlements = extra("", 6000).Entitlements }, "entitlements", 2, 1)
	step(func(a *licensing.AddOn) { a.Entitlements = extra("", 6000).Entitlements }, "entitlements", 2, 0)
	step(func(a *licensing.AddOn) { a.DisplayName = "Extra" }, "display_name", 2, 0)
	// Nodes know no prices.
	step(func(a *licensing.AddOn) { a.RateCards = extra("", 0).RateCards; a.RateCards[0].Amount = "6.00" }, "rate_cards", 3, 0)
	chain := f.chain()
	if last := chain[len(chain)-1].GetRecords(); len(last) != 1 || last[0].GetAddOn().GetEntitlements()[0].GetQuota().GetLimit() != 6000 {
		t.Errorf("the last change set holds %v", last)
	}
	if got, want := f.versions("extra"), []string{"1: 5.00 since 10:00", "2: 5.00 since 11:00", "3: 6.00 since 14:00"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
	got, err := f.GetAddOn(ctx, "extra")
	if err != nil || got.DisplayName != "Extra" || got.Entitlements[0].Quota.Limit != 6000 || got.RateCards[0].Amount != "6.00" {
		t.Errorf("stored %+v, %v", got, err)
	}
	_, _, err = f.UpdateAddOn(ctx, licensing.AddOn{Key: "extra", Meta: a.Meta}, nil)
	wantCode(t, err, licensing.Aborted)
}

// Dates act by themselves, are events once each, and what has ended goes with the next write.
func TestI8_AttachmentsBeginAndEndByTime(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	f.addOn(extra("extra", 5000))
	f.addOn(extra("more", 9000))
	l := f.license("a")
	now := f.clock.Now()
	f.attach(l.ID, licensing.Attachment{AddOn: "extra", EndsAt: now.Add(2 * time.Hour)})
	got := f.attach(l.ID, licensing.Attachment{AddOn: "more", StartsAt: now.Add(time.Hour), EndsAt: now.Add(3 * time.Hour)})
	if len(got.AddOns) != 2 || !got.DueAt.Equal(now.Add(time.Hour)) || !got.AddOns[0].StartsAt.Equal(now) {
		t.Fatalf("attached %+v, due %v", got.AddOns, got.DueAt)
	}
	epoch := f.epoch()
	f.elapse(90 * time.Minute)
	f.elapse(time.Hour)
	if f.epoch() != epoch {
		t.Error("time alone changed the rules")
	}
	// A write sees the end before the clockwork does.
	f.clock.Add(time.Hour)
	if got, _, err := f.SuspendLicense(ctx, l.ID); err != nil || len(got.AddOns) != 0 {
		t.Errorf("left %+v, %v", got.AddOns, err)
	}
	want := []string{
		"issued@active", "add_on_attached@active", "add_on_attached@active", "add_on_started@active", "add_on_ended@active", "add_on_ended@active",
		"suspended@suspended",
	}
	if got := f.kinds(l.ID); !slices.Equal(got, want) {
		t.Errorf("events\n%v, want\n%v", got, want)
	}
}

func TestDetachAddOn_NowOrAtThePeriodsEnd(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	f.addOn(extra("extra", 5000))
	f.addOn(extra("more", 9000))
	l, _, err := f.IssueLicense(ctx, licensing.License{Customer: f.customer("a").ID, Plan: "free", Anchor: time.Date(2026, 10, 31, 8, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	now, end := f.clock.Now(), time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	f.attach(l.ID, licensing.Attachment{AddOn: "extra", EndsAt: end.AddDate(0, 1, 0)})
	f.attach(l.ID, licensing.Attachment{AddOn: "extra", StartsAt: end.AddDate(0, 2, 0)})
	f.attach(l.ID, licensing.Attachment{AddOn: "more"})
	detach := func(addOn string, when licensing.When) []licensing.Attachment {
		t.Helper()
		got, _, err := f.DetachAddOn(ctx, l.ID, addOn, when)
		if err != nil {
			t.Fatal(err)
		}
		return got.AddOns
	}
	want := []licensing.Attachment{{AddOn: "extra", StartsAt: now, EndsAt: end}, {AddOn: "more", StartsAt: now}}
	if got := detach("extra", licensing.PeriodEnd); !slices.Equal(got, want) {
		t.Errorf("at the period's end: %+v, want %+v", got, want)
	}
	epoch := f.epoch()
	if got := detach("extra", licensing.PeriodEnd); !slices.Equal(got, want) || f.epoch() != epoch {
		t.Errorf("again: %+v, epoch %v", got, f.epoch())
	}
	if got := detach("more", licensing.WhenNow); !slices.Equal(got, want[:1]) {
		t.Errorf("at once: %+v", got)
	}
	_, _, err = f.DetachAddOn(ctx, l.ID, "more", licensing.WhenDefault)
	wantCode(t, err, licensing.NotFound, "more")
	// It may come back, and be away for a while.
	f.attach(l.ID, licensing.Attachment{AddOn: "extra", StartsAt: end, EndsAt: end.Add(time.Hour)})
	f.elapse(end.Sub(now))
	wantKinds := []string{
		"issued@active", "add_on_attached@active", "add_on_attached@active", "add_on_attached@active", "add_on_detach_scheduled@active", "add_on_detached@active",
		"add_on_attached@active", "add_on_ended@active", "add_on_started@active",
	}
	if got := f.kinds(l.ID); !slices.Equal(got, wantKinds) {
		t.Errorf("events\n%v, want\n%v", got, wantKinds)
	}
}

// What is in use is not archived: an add-on that a licence has or will have, a feature that an add-on grants.
func TestArchiveAddOn_IsRefusedWhileALicenceHasIt(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	f.addOn(licensing.AddOn{Key: "extra", Entitlements: []licensing.Entitlement{{Feature: "reports", Enabled: true}}})
	for _, route := range []string{"reports", "hello"} {
		if _, _, err := f.ArchiveRoute(ctx, route); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := f.ArchiveFeature(ctx, "reports")
	wantCode(t, err, licensing.FailedPrecondition, "add-on extra")
	l, late := f.license("a"), f.license("b")
	f.attach(l.ID, licensing.Attachment{AddOn: "extra", EndsAt: f.clock.Now().Add(time.Hour)})
	f.attach(late.ID, licensing.Attachment{AddOn: "extra", StartsAt: f.clock.Now().Add(time.Hour)})
	_, _, err = f.ArchiveAddOn(ctx, "extra")
	wantCode(t, err, licensing.FailedPrecondition, l.ID, late.ID)
	if _, _, err := f.RevokeLicense(ctx, late.ID); err != nil {
		t.Fatal(err)
	}
	// It has ended for the licence, though its record still has it.
	f.clock.Add(time.Hour)
	a, _, err := f.ArchiveAddOn(ctx, "extra")
	if err != nil || !a.Archived() {
		t.Fatalf("archived %+v, %v", a, err)
	}
	_, _, err = f.AttachAddOn(ctx, l.ID, licensing.Attachment{AddOn: "extra"})
	wantCode(t, err, licensing.FailedPrecondition, "archived")
	if _, _, err := f.ArchiveFeature(ctx, "reports"); err != nil {
		t.Fatal(err)
	}
	before := f.epoch()
	_, _, err = f.UnarchiveAddOn(ctx, "extra")
	wantCode(t, err, licensing.FailedPrecondition, "entitlements[0].feature", "archived")
	if _, _, err := f.UnarchiveFeature(ctx, "reports"); err != nil {
		t.Fatal(err)
	}
	a, epoch, err := f.UnarchiveAddOn(ctx, "extra")
	if err != nil || a.Archived() || a.Version != 1 || epoch.Number != before.Number+2 {
		t.Errorf("unarchived %+v, epoch %v, %v", a, epoch, err)
	}
}

// One order, as nodes have it: override, add-on, plan; among add-ons what starts last.
func TestEntitlements_AnAddOnStandsBetweenOverrideAndPlan(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := sample(1000)
	c.Features = append(c.Features, licensing.Feature{Key: "bulk", Type: licensing.Metered, Meter: "requests"}, licensing.Feature{Key: "seats", Type: licensing.Static})
	c.Plans[0].Entitlements = append(c.Plans[0].Entitlements, licensing.Entitlement{Feature: "seats", Value: number(1)}, licensing.Entitlement{Feature: "reports"})
	f.apply(c)
	one := extra("one", 2000)
	one.Entitlements = append(one.Entitlements, licensing.Entitlement{Feature: "seats", Value: number(5)}, licensing.Entitlement{Feature: "reports", Enabled: true})
	f.addOn(one)
	f.addOn(licensing.AddOn{Key: "two", Entitlements: []licensing.Entitlement{
		{Feature: "bulk", Quota: &licensing.Quota{Limit: 3000, Period: licensing.Month}}, {Feature: "seats", Value: number(9)},
	}})
	l := f.license("a")
	now := f.clock.Now()
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	f.attach(l.ID, licensing.Attachment{AddOn: "one", StartsAt: hour(1), EndsAt: hour(8)})
	f.attach(l.ID, licensing.Attachment{AddOn: "two", StartsAt: hour(2), EndsAt: hour(6)})
	o, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, Feature: "calls", Value: number(7), Reason: "less", StartsAt: hour(4), EndsAt: hour(5)})
	if err != nil {
		t.Fatal(err)
	}
	// A mere number keeps the period of what it replaces, the add-on's.
	if o.Quota == nil || o.Quota.Period != licensing.Month || o.Quota.Limit != 7 {
		t.Errorf("override %+v", o.Quota)
	}
	plan, first, second, override := "plan_version:free@1", "add_on:one", "add_on:two", "override:"+o.ID
	line := func(feature string, value any, limit int64, source, until string) string {
		return fmt.Sprintf("%s %v %d %s until %s", feature, value, limit, source, until)
	}
	for at, want := range map[time.Time][]string{
		hour(0): {line("calls", true, 1000, plan, "11:00"), line("reports", false, 0, plan, "11:00"), line("seats", 1, 0, plan, "11:00")},
		hour(1): {line("calls", true, 2000, first, "12:00"), line("reports", true, 0, first, "18:00"), line("seats", 5, 0, first, "12:00")},
		// Calls are granted by the first, and counted under the second: it counts the same meter.
		hour(2): {
			line("bulk", true, 3000, second, "14:00"), line("calls", true, 3000, second, "14:00"),
			line("reports", true, 0, first, "18:00"), line("seats", 9, 0, second, "16:00"),
		},
		hour(4): {
			line("bulk", true, 7, override, "15:00"), line("calls", true, 7, override, "15:00"),
			line("reports", true, 0, first, "18:00"), line("seats", 9, 0, second, "16:00"),
		},
		hour(6): {line("calls", true, 2000, first, "18:00"), line("reports", true, 0, first, "18:00"), line("seats", 5, 0, first, "18:00")},
		hour(8): {line("calls", true, 1000, plan, "never"), line("reports", false, 0, plan, "never"), line("seats", 1, 0, plan, "never")},
	} {
		e, err := f.GetEntitlements(ctx, l.ID, at)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range e.Features {
			value := any(x.Granted)
			if x.Value.Kind == licensing.NumberValue {
				value = x.Value.Number
			}
			got = append(got, line(x.Feature.Key, value, x.Limit, x.Source, until(x.ExpiresAt)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %s:\n%q, want\n%q", at.Format("15:04"), got, want)
		}
	}
}

// What an add-on that was archived gave is gone, and a licence that has ended may still name it.
func TestEntitlements_AnArchivedAddOnGrantsNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	f.addOn(extra("extra", 5000))
	l, _, err := f.IssueLicense(ctx, licensing.License{Customer: f.customer("a").ID, Plan: "free", EndsAt: f.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	f.attach(l.ID, licensing.Attachment{AddOn: "extra"})
	f.clock.Add(time.Hour)
	if _, _, err := f.ArchiveAddOn(ctx, "extra"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.RenewLicense(ctx, l.ID, f.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	limit := func() int64 {
		e, err := f.GetEntitlements(ctx, l.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return e.Features[0].Limit
	}
	if got := limit(); got != 1000 {
		t.Errorf("limit %d while it is archived", got)
	}
	if _, _, err := f.UnarchiveAddOn(ctx, "extra"); err != nil || limit() != 5000 {
		t.Errorf("limit %d when it is back, %v", limit(), err)
	}
}

// The same request id attaches once, in parallel too.
func TestI7_AttachingTwiceWithOneRequestIdIsOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	f.addOn(extra("extra", 5000))
	l := f.license("a")
	ctx := licensing.WithCall(t.Context(), licensing.Call{Actor: "tok_a", Procedure: "attach", RequestID: "r1", Fingerprint: []byte("f")})
	type answer struct {
		n     int
		epoch licensing.Epoch
		err   error
	}
	answers := make(chan answer)
	for range 8 {
		go func() {
			got, epoch, err := f.AttachAddOn(ctx, l.ID, licensing.Attachment{AddOn: "extra"})
			answers <- answer{len(got.AddOns), epoch, err}
		}()
	}
	first := <-answers
	for range 7 {
		if a := <-answers; a != first || a.err != nil || a.n != 1 {
			t.Errorf("%+v and %+v", first, a)
		}
	}
	if got := f.kinds(l.ID); !slices.Equal(got, []string{"issued@active", "add_on_attached@active"}) {
		t.Errorf("events %v", got)
	}
}

func TestEntitlement_OffIsRefusedWhereItWouldBeGranted(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	for feature, wrong := range map[string]string{"calls": "plans[free].entitlements[0].enabled", "reports": ""} {
		c := licensing.Catalog{Plans: []licensing.CatalogPlan{{Key: "free", Entitlements: []licensing.Entitlement{{Feature: feature, Off: true}}}}}
		_, _, err := f.ApplyCatalog(t.Context(), c, true, licensing.MigrationDefault)
		if wrong == "" && err != nil || wrong != "" && field(err) != wrong {
			t.Errorf("%s off in a plan: %v", feature, err)
		}
		a := licensing.Catalog{AddOns: []licensing.AddOn{{Key: "a", Entitlements: c.Plans[0].Entitlements}}}
		if err := a.Validate(); field(err) != "addons[a].entitlements[0].enabled" {
			t.Errorf("%s off in an add-on: %v", feature, err)
		}
	}
}
