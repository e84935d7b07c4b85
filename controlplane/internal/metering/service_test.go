package metering_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func at(minute, second int) time.Time {
	return time.Date(2026, 11, 23, 10, minute, second, 0, time.UTC)
}

// log commits one segment of a boot with requests of one unit each, decided at times.
func log(t *testing.T, db *postgres.DB, node, boot string, sealed time.Time, final bool, times ...time.Time) {
	t.Helper()
	e := metering.NewEntries(len(times))
	for i, when := range times {
		d := metering.Decision{
			ID: fmt.Sprintf("dec_%s_%02d", boot, i), Time: when, Node: node, Boot: boot, Outcome: "forward", Code: "ok",
			License: "lic_1", Route: "hello",
		}
		if i%2 == 1 {
			d.Route = "echo"
		}
		e.Intent(d, []metering.Charge{{Meter: "requests", Units: 1}}, true)
	}
	_, err := db.Ledger().Commit(t.Context(), []metering.Segment{{
		Place:   metering.Place{Node: node, Boot: boot, Number: 1, Hash: []byte(boot), SealedAt: sealed, Final: final},
		Entries: e,
	}})
	must(t, err)
}

func TestUsage_CountsWholeMinutesInWindows(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s := metering.NewService(db.Metering())
	log(t, db, "node-1", "a", at(9, 0), false, at(0, 0), at(0, 59), at(1, 0), at(4, 30), at(5, 0))
	query := func(from, to time.Time, window time.Duration) metering.Usage {
		u, err := s.QueryUsage(t.Context(), metering.UsageQuery{License: "lic_1", Meter: "requests", From: from, To: to, Window: window})
		must(t, err)
		return u
	}
	for _, c := range []struct {
		from, to time.Time
		want     int64
	}{
		{at(0, 0), at(5, 0), 4},
		{at(0, 30), at(4, 1), 4}, // The first minute and the fifth count whole.
		{at(1, 0), at(1, 1), 1},
		{at(2, 0), at(4, 0), 0},
		{at(0, 0), at(0, 0).AddDate(1, 0, 0), 5},
	} {
		if got := query(c.from, c.to, 0).Total; got != c.want {
			t.Errorf("from %s to %s: %d, want %d", c.from, c.to, got, c.want)
		}
	}
	got := query(at(0, 0), at(6, 0), 2*time.Minute)
	want := []metering.UsageRow{{at(0, 0), 3}, {at(4, 0), 2}}
	if len(got.Rows) != len(want) || got.Rows[0] != want[0] || got.Rows[1] != want[1] || got.Total != 5 {
		t.Errorf("rows %v of %d, want %v", got.Rows, got.Total, want)
	}
	for _, q := range []metering.UsageQuery{
		{From: at(1, 0), To: at(1, 0)}, {From: at(1, 0), To: at(0, 0)},
		{From: at(0, 0), To: at(1, 0), Window: time.Second}, {From: at(0, 0), To: at(1, 0), Window: -time.Minute},
		{From: at(0, 0), To: at(0, 0).AddDate(1, 0, 0), Window: time.Minute},
	} {
		if _, err := s.QueryUsage(t.Context(), q); !errors.Is(err, metering.ErrInvalid) {
			t.Errorf("%v: %v, want ErrInvalid", q, err)
		}
	}
}

// What is promised is what every live node has delivered. A boot that ended promises nothing more; one that died and left its log
// behind holds the promise back; a node that is gone does not.
func TestUsage_IsAsOfTheSlowestLiveNode(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s, nodes := metering.NewService(db.Metering()), fleet.NewService(db.Nodes())
	asOf := func() time.Time {
		u, err := s.QueryUsage(t.Context(), metering.UsageQuery{License: "lic_1", Meter: "requests", From: at(0, 0), To: at(9, 0)})
		must(t, err)
		return u.AsOf
	}
	if got := asOf(); !got.IsZero() {
		t.Errorf("without nodes: as of %s", got)
	}
	log(t, db, "node-1", "ended", at(1, 0), true)
	log(t, db, "node-1", "b", at(3, 0), false)
	log(t, db, "node-2", "c", at(4, 0), false)
	log(t, db, "gone", "d", at(0, 0), false)
	for _, n := range []fleet.Node{{Name: "node-1", Boot: "b"}, {Name: "node-2", Boot: "c"}} {
		must(t, nodes.Report(t.Context(), n))
	}
	if got := asOf(); !got.Equal(at(3, 0)) {
		t.Errorf("as of %s, want the slower node's %s", got, at(3, 0))
	}
	log(t, db, "node-2", "died", at(2, 0), false)
	if got := asOf(); !got.Equal(at(2, 0)) {
		t.Errorf("as of %s, want that of the log left behind, %s", got, at(2, 0))
	}
}

func TestDecisions_ArePagedNewestFirst(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s := metering.NewService(db.Metering())
	// Three share a time: the id orders them.
	log(t, db, "node-1", "a", at(9, 0), false, at(1, 0), at(2, 0), at(2, 0), at(2, 0), at(3, 0))
	search := func(f metering.Filter, size int) (ids []string) {
		var after *metering.Cursor
		for {
			page, next, err := s.SearchDecisions(t.Context(), f, after, size)
			must(t, err)
			if len(page) > size {
				t.Fatalf("a page of %d, want %d at most", len(page), size)
			}
			for _, d := range page {
				ids = append(ids, d.ID)
			}
			if next == nil {
				return ids
			}
			after = next
		}
	}
	all := []string{"dec_a_04", "dec_a_03", "dec_a_02", "dec_a_01", "dec_a_00"}
	for name, c := range map[string]struct {
		filter metering.Filter
		want   []string
	}{
		"all":         {metering.Filter{}, all},
		"of licence":  {metering.Filter{License: "lic_1"}, all},
		"of another":  {metering.Filter{License: "lic_2"}, nil},
		"of route":    {metering.Filter{License: "lic_1", Route: "echo"}, []string{"dec_a_03", "dec_a_01"}},
		"from, to":    {metering.Filter{From: at(2, 0), To: at(3, 0)}, all[1:4]},
		"by code":     {metering.Filter{Code: "rate_limited"}, nil},
		"by node":     {metering.Filter{Node: "node-1", Outcome: "forward", Code: "ok"}, all},
		"by customer": {metering.Filter{Customer: "cus_1"}, nil},
	} {
		for _, size := range []int{1, 2, 100} {
			if got := search(c.filter, size); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s, pages of %d: %v, want %v", name, size, got, c.want)
			}
		}
	}
}

func TestDecision_IsFoundAndExplained(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s := metering.NewService(db.Metering())
	log(t, db, "node-1", "a", at(9, 0), false, at(1, 0))
	d, trace, err := s.GetDecision(t.Context(), "dec_a_00")
	must(t, err)
	if d.License != "lic_1" || d.Cost != 1 || len(trace) == 0 || trace[len(trace)-1].Result != "ok" {
		t.Errorf("%+v explained as %v", d, trace)
	}
	if _, _, err := s.GetDecision(context.WithoutCancel(t.Context()), "dec_none"); !errors.Is(err, metering.ErrNotFound) {
		t.Errorf("no such decision: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
