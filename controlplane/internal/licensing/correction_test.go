package licensing_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

func TestCorrect_MovesAMinuteByARowOfItsOwn(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	ctx := licensing.WithCall(t.Context(), licensing.Call{Actor: "tok_1", Role: licensing.Owner, Procedure: "/CorrectUsage"})
	at := f.clock.Now().AddDate(0, 0, -50).Add(30 * time.Second) // Older than events may be.
	before := len(events(t, f))
	for i, c := range []struct{ units, total int64 }{{10, 10}, {-3, 7}, {-7, 0}, {2, 2}} {
		f.clock.Add(time.Millisecond) // Ids are in order of it.
		got, total, epoch, err := f.CorrectUsage(ctx, licensing.UsageCorrection{License: l.ID, Meter: "tokens", Units: c.units, Minute: at, Reason: "counted twice"})
		if err != nil {
			t.Fatal(err)
		}
		if total != c.total || got.Units != c.units || !got.Minute.Equal(at.Truncate(time.Minute)) || got.Actor != "tok_1" || !strings.HasPrefix(got.ID, "cor_") || epoch != f.epoch() {
			t.Errorf("correction %d: %+v, total %d at %v", i, got, total, epoch)
		}
	}
	if got := f.total(&l, "tokens"); got != 2 {
		t.Errorf("%d are counted", got)
	}
	// An event's units can be taken back, and no more.
	f.clock.Add(time.Millisecond)
	f.ingest(tokens(&l, "a", f.clock.Now(), "5"))
	_, _, _, err := f.CorrectUsage(ctx, licensing.UsageCorrection{License: l.ID, Meter: "tokens", Units: -6, Minute: f.clock.Now(), Reason: "r"})
	wantCode(t, err, licensing.FailedPrecondition, "only 5 units")
	if field(err) != "units" {
		t.Errorf("the field is %q", field(err))
	}
	if _, total, _, err := f.CorrectUsage(ctx, licensing.UsageCorrection{License: l.ID, Meter: "tokens", Units: -5, Minute: f.clock.Now(), Reason: "r"}); err != nil || total != 0 {
		t.Errorf("total %d, %v", total, err)
	}
	page, err := f.ListUsageCorrections(ctx, licensing.List{PageSize: 3, Filter: map[string]string{"license": l.ID, "meter": "tokens"}})
	if err != nil || len(page.Items) != 3 || page.Next == "" || page.Items[0].Reason != "counted twice" {
		t.Errorf("%+v, %v", page, err)
	}
	rest, err := f.ListUsageCorrections(ctx, licensing.List{After: page.Next})
	if err != nil || len(rest.Items) != 2 || rest.Items[1].Units != -5 {
		t.Errorf("%+v, %v", rest, err)
	}
	if all := events(t, f); len(all) != before+6 || all[0].Kind != "usage_correction" || all[0].Actor != "tok_1" || !strings.Contains(all[0].After, `"units":-5`) {
		t.Errorf("%d events, the last is %+v", len(all)-before, all[0])
	}
}

func TestCorrect_BadInputIsNamedAndStoresNothing(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	now := f.clock.Now()
	good := licensing.UsageCorrection{License: l.ID, Meter: "tokens", Units: 1, Minute: now, Reason: "r"}
	for i, c := range []struct {
		change func(*licensing.UsageCorrection)
		code   licensing.Code
		field  string
	}{
		{func(c *licensing.UsageCorrection) { c.License = "lic_none" }, licensing.NotFound, "license"},
		{func(c *licensing.UsageCorrection) { c.License = "a\nb" }, licensing.InvalidArgument, "license"},
		{func(c *licensing.UsageCorrection) { c.Meter = "" }, licensing.InvalidArgument, "meter"},
		{func(c *licensing.UsageCorrection) { c.Meter = "nothing" }, licensing.NotFound, "meter"},
		{func(c *licensing.UsageCorrection) { c.Meter = "peak" }, licensing.FailedPrecondition, "meter"},
		{func(c *licensing.UsageCorrection) { c.Units = 0 }, licensing.InvalidArgument, "units"},
		{func(c *licensing.UsageCorrection) { c.Units = 1_000_000_000_001 }, licensing.InvalidArgument, "units"},
		{func(c *licensing.UsageCorrection) { c.Units = -9_000_000_000_000_000_000 }, licensing.InvalidArgument, "units"},
		{func(c *licensing.UsageCorrection) { c.Units = -1 }, licensing.FailedPrecondition, "units"},
		{func(c *licensing.UsageCorrection) { c.Minute = time.Time{} }, licensing.InvalidArgument, "time"},
		{func(c *licensing.UsageCorrection) { c.Minute = now.Add(time.Second) }, licensing.InvalidArgument, "time"},
		{func(c *licensing.UsageCorrection) { c.Minute = l.StartsAt.Add(-time.Second) }, licensing.InvalidArgument, "time"},
		{func(c *licensing.UsageCorrection) { c.Minute = time.Date(1800, 1, 1, 0, 0, 0, 0, time.UTC) }, licensing.InvalidArgument, "time"},
		{func(c *licensing.UsageCorrection) { c.Reason = "  " }, licensing.InvalidArgument, "reason"},
		{func(c *licensing.UsageCorrection) { c.Reason = strings.Repeat("x", 501) }, licensing.InvalidArgument, "reason"},
	} {
		bad := good
		c.change(&bad)
		_, _, _, err := f.CorrectUsage(t.Context(), bad)
		if licensing.CodeOf(err) != c.code || field(err) != c.field {
			t.Errorf("row %d: %v (%s of %q), want %s of %s", i, err, licensing.CodeOf(err), field(err), c.code, c.field)
		}
	}
	if got := f.total(&l, "tokens") + f.total(&l, "peak"); got != 0 {
		t.Errorf("%d are counted", got)
	}
	if page, err := f.ListUsageCorrections(t.Context(), licensing.List{}); err != nil || len(page.Items) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}
