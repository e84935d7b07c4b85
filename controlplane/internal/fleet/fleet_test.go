package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/dataplane/decision"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type world struct {
	t     *testing.T
	url   string
	nodes *fleet.Service
}

func setup(t *testing.T) world {
	t.Helper()
	w := world{t: t, url: pgtest.Database(t)}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: w.url})
	must(t, err)
	t.Cleanup(db.Close)
	w.nodes = fleet.NewService(db.Nodes())
	return w
}

func (w world) report(name, boot string, report, number uint64) {
	w.t.Helper()
	must(w.t, w.nodes.Report(w.t.Context(), fleet.Node{
		Name: name, Boot: boot, Report: report, State: "fresh", Epoch: epoch(number),
		Lag: 20 * time.Millisecond, SpoolBytes: 7, ProxyRPS: 1.5, KeySet: 3, Version: "v1",
	}))
}

// quiet has a node say nothing for a while.
func (w world) quiet(name, interval string) {
	w.t.Helper()
	pgtest.Exec(w.t, w.url, fmt.Sprintf("UPDATE node SET last_seen = last_seen - interval '%s' WHERE name = '%s'", interval, name))
}

func epoch(number uint64) decision.Epoch { return decision.Epoch{Generation: 1, Number: number} }

func TestList_ShowsWhatNodesLastSaid(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.report("node-2", "b", 1, 4)
	w.report("node-1", "a", 2, 5)
	w.report("node-1", "a", 1, 3) // Came late.
	list, err := w.nodes.List(t.Context())
	must(t, err)
	if len(list) != 2 || list[0].Name != "node-1" || list[0].Epoch != epoch(5) || list[1].Name != "node-2" {
		t.Fatalf("%+v", list)
	}
	if n := list[0]; n.State != "fresh" || n.Lag != 20*time.Millisecond || n.SpoolBytes != 7 || n.KeySet != 3 || n.ProxyRPS != 1.5 || n.Version != "v1" || n.Boot != "a" {
		t.Errorf("%+v", n)
	}
	w.report("node-1", "new", 1, 6) // Another boot counts its reports anew.
	w.quiet("node-2", "6 seconds")
	list, err = w.nodes.List(t.Context())
	must(t, err)
	if list[0].Boot != "new" || list[0].Epoch != epoch(6) || list[1].State != fleet.Silent {
		t.Errorf("%+v", list)
	}
}

func TestReport_NamesItsNodeAndBoot(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if err := w.nodes.Report(t.Context(), fleet.Node{Name: "node-1"}); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("a report without boot: %v", err)
	}
}

func TestI7_WaitForEpochCountsEveryNodeThatMayServeOldRules(t *testing.T) {
	t.Parallel()
	w := setup(t)
	wait := func(number uint64, timeout time.Duration) [2]int {
		enforced, total, err := w.nodes.WaitForEpoch(t.Context(), epoch(number), timeout)
		must(t, err)
		return [2]int{enforced, total}
	}
	if got := wait(5, 50*time.Millisecond); got != [2]int{0, 0} {
		t.Errorf("without nodes: %v", got)
	}
	w.report("node-1", "a", 1, 5)
	w.report("node-2", "b", 1, 4)
	if got := wait(5, 50*time.Millisecond); got != [2]int{1, 2} {
		t.Errorf("one of two enforces it: %v", got)
	}
	if got := wait(4, time.Minute); got != [2]int{2, 2} {
		t.Errorf("both enforce it: %v", got)
	}
	w.quiet("node-2", "10 seconds")
	if got := wait(5, 50*time.Millisecond); got != [2]int{1, 2} {
		t.Errorf("a silent node is left out: %v", got)
	}
	w.quiet("node-2", "23 hours")
	if got := wait(5, 50*time.Millisecond); got != [2]int{1, 2} {
		t.Errorf("a node that may serve yet is left out: %v", got)
	}
	// By then it blocks by itself.
	w.quiet("node-2", "1 hour")
	if got := wait(5, time.Minute); got != [2]int{1, 1} {
		t.Errorf("a node long gone holds it up: %v", got)
	}
}

func TestI7_NodeThatDrainedCountsNoMoreUntilItReports(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.report("node-1", "a", 1, 5)
	w.report("node-2", "b", 1, 4)
	must(t, w.nodes.Report(t.Context(), fleet.Node{Name: "node-2", Boot: "b", Report: 2, Epoch: epoch(4), State: "fresh", Drained: true}))
	w.report("node-2", "b", 1, 4) // Came late.
	for _, want := range []struct {
		total int
		state string
	}{{1, fleet.Drained}, {2, "fresh"}} {
		_, total, err := w.nodes.WaitForEpoch(t.Context(), epoch(4), time.Minute)
		must(t, err)
		list, err := w.nodes.List(t.Context())
		must(t, err)
		if total != want.total || list[1].State != want.state {
			t.Errorf("%d nodes count, node-2 is %s; want %+v", total, list[1].State, want)
		}
		w.report("node-2", "c", 1, 4)
	}
}

func TestI7_WaitForEpochEndsWhenTheLastNodeReports(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.report("node-1", "a", 1, 4)
	done := make(chan int)
	go func() {
		enforced, _, err := w.nodes.WaitForEpoch(context.WithoutCancel(t.Context()), epoch(5), time.Minute)
		if err != nil {
			t.Error(err)
		}
		done <- enforced
	}()
	w.report("node-1", "a", 2, 5)
	if got := <-done; got != 1 {
		t.Errorf("%d enforce it, want 1", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
