package licensing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

func TestIngest_SaysOfEachBadEventWhatIsWrong(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	now := f.clock.Now()
	if _, _, err := f.CreateMeter(t.Context(), licensing.Meter{Key: "old", Aggregation: licensing.Sum}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.ArchiveMeter(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	fresh := f.license("fresh")
	rows := []struct {
		change func(*licensing.UsageEvent)
		code   licensing.Code
		field  string
	}{
		{func(e *licensing.UsageEvent) { e.ID = "" }, licensing.InvalidArgument, "id"},
		{func(e *licensing.UsageEvent) { e.ID = strings.Repeat("x", 257) }, licensing.InvalidArgument, "id"},
		{func(e *licensing.UsageEvent) { e.ID = "a\x00b" }, licensing.InvalidArgument, "id"},
		{func(e *licensing.UsageEvent) { e.Source = "" }, licensing.InvalidArgument, "source"},
		{func(e *licensing.UsageEvent) { e.Source = "\xff" }, licensing.InvalidArgument, "source"},
		{func(e *licensing.UsageEvent) { e.SpecVersion = "0.3" }, licensing.InvalidArgument, "specversion"},
		{func(e *licensing.UsageEvent) { e.Type = "" }, licensing.InvalidArgument, "type"},
		{func(e *licensing.UsageEvent) { e.Type = "com.Example" }, licensing.InvalidArgument, "type"},
		{func(e *licensing.UsageEvent) { e.Type = "nothing" }, licensing.NotFound, "type"},
		{func(e *licensing.UsageEvent) { e.Type = "old" }, licensing.FailedPrecondition, "type"},
		{func(e *licensing.UsageEvent) { e.Type = "peak" }, licensing.FailedPrecondition, "type"},
		{func(e *licensing.UsageEvent) { e.Type = "users" }, licensing.FailedPrecondition, "type"},
		{func(e *licensing.UsageEvent) { e.Type = "requests" }, licensing.InvalidArgument, "data.units"},
		{func(e *licensing.UsageEvent) { e.Subject = "" }, licensing.InvalidArgument, "subject"},
		{func(e *licensing.UsageEvent) { e.Subject = "acme" }, licensing.NotFound, "subject"},
		{func(e *licensing.UsageEvent) { e.Subject = l.Customer }, licensing.NotFound, "subject"},
		{func(e *licensing.UsageEvent) { e.Subject = fresh.ID; e.Time = now.Add(-time.Second) }, licensing.InvalidArgument, "time"},
		{func(e *licensing.UsageEvent) { e.Time = time.Time{} }, licensing.InvalidArgument, "time"},
		{func(e *licensing.UsageEvent) { e.Time = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) }, licensing.InvalidArgument, "time"},
		{func(e *licensing.UsageEvent) { e.Units = "" }, licensing.InvalidArgument, "data.units"},
		{func(e *licensing.UsageEvent) { e.Units = "0" }, licensing.InvalidArgument, "data.units"},
		{func(e *licensing.UsageEvent) { e.Units = "-1" }, licensing.InvalidArgument, "data.units"},
		{func(e *licensing.UsageEvent) { e.Units = "1.5" }, licensing.InvalidArgument, "data.units"},
		{func(e *licensing.UsageEvent) { e.Units = "1e3" }, licensing.InvalidArgument, "data.units"},
		{func(e *licensing.UsageEvent) { e.Units = "1000000000001" }, licensing.InvalidArgument, "data.units"},
		{func(e *licensing.UsageEvent) { e.Units = strings.Repeat("9", 100) }, licensing.InvalidArgument, "data.units"},
	}
	var events []licensing.UsageEvent
	for i, r := range rows {
		e := tokens(&l, fmt.Sprint(i), now, "1")
		r.change(&e)
		events = append(events, e)
	}
	events = append(events, tokens(&l, "good", now, "1000000000000"))
	out := f.ingest(events...)
	for i, r := range rows {
		if out[i].Outcome != licensing.Rejected || out[i].Code != r.code || out[i].Field != fmt.Sprintf("events[%d].%s", i, r.field) || out[i].Message == "" {
			t.Errorf("row %d: %+v, want %s of %s", i, out[i], r.code, r.field)
		}
	}
	if last := out[len(rows)]; last.Outcome != licensing.Accepted {
		t.Errorf("the good one: %+v", last)
	}
	if got := f.total(&l, "tokens"); got != 1_000_000_000_000 {
		t.Errorf("%d are counted", got)
	}
	if got := f.total(&l, "requests") + f.total(&l, "peak"); got != 0 {
		t.Errorf("%d are counted of other meters", got)
	}
	_, _, err := f.IngestEvents(t.Context(), nil)
	wantCode(t, err, licensing.InvalidArgument)
	_, _, err = f.IngestEvents(t.Context(), make([]licensing.UsageEvent, licensing.MaxEvents+1))
	wantCode(t, err, licensing.InvalidArgument)
}
