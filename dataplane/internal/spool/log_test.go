package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tollgate/dataplane/internal/record"
)

func TestI5_EveryDecisionReachesTheControlPlane(t *testing.T) {
	t.Parallel()
	h := setupIn(t, t.TempDir())
	l := h.open(t, func(c *Config) { c.SegmentRecords = 100 })
	l.Start(t.Context())
	const workers, each = 8, 200
	ids := make([][]string, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for range each {
				d := intent()
				if err := l.Begin(d); err != nil {
					t.Errorf("Begin: %v", err)
					return
				}
				no := denial()
				if err := l.Deny(no); err != nil {
					t.Errorf("Deny: %v", err)
					return
				}
				if err := l.Settle(settlement(d)); err != nil {
					t.Errorf("Settle: %v", err)
					return
				}
				ids[w] = append(ids[w], d.ID, no.ID)
			}
		})
	}
	group.Wait()
	closeIn(t, l, time.Minute)
	h.plane.check(t)

	got := h.plane.of(boot(1))
	if len(got.records) != workers*each*3 || !got.final {
		t.Fatalf("%d records, final %t; want %d, true", len(got.records), got.final, workers*each*3)
	}
	seen := map[string]bool{}
	settled := 0
	for _, r := range got.records {
		switch {
		case r.GetSettlement() != nil:
			settled++
			if of := got.records[r.GetSettlement().GetIntent()-1]; of.GetIntent().GetId() != r.GetSettlement().GetDecision() {
				t.Fatalf("settlement %d does not lead to its intent", r.GetSequence())
			}
		case r.GetIntent() != nil:
			seen[r.GetIntent().GetId()] = true
		default:
			seen[r.GetDenial().GetId()] = true
		}
	}
	for _, list := range ids {
		for _, id := range list {
			if !seen[id] {
				t.Fatalf("decision %s is missing", id)
			}
		}
	}
	if len(seen) != workers*each*2 || settled != workers*each {
		t.Errorf("%d decisions, %d settlements; want %d, %d", len(seen), settled, workers*each*2, workers*each)
	}
}

func TestClose_LeavesNothingBehindOnceAllIsReceipted(t *testing.T) {
	t.Parallel()
	h := setup(t)
	l := h.open(t, nil)
	mustForward(t, l)
	closeIn(t, l, time.Minute)
	if err := l.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := l.Begin(intent()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Begin after Close: %v", err)
	}
	if bytes, pending := l.Stats(); bytes != 0 || pending != 0 {
		t.Errorf("Stats = %d bytes, %d pending", bytes, pending)
	}
	boots, err := listBoots(h.dir)
	if err != nil || len(boots) != 0 {
		t.Errorf("boots left: %v, %v", boots, err)
	}
	h.plane.check(t)
	h.plane.checkChain(t, boot(1))
}

func TestClose_LeavesTheRestToTheNextStart(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.wire.set(down, nil)
	l := h.open(t, nil)
	mustForward(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Close: %v", err)
	}
	h.wire.set(nil, nil)
	closeIn(t, h.open(t, nil), time.Minute)
	h.plane.check(t)
	h.plane.checkChain(t, boot(1), boot(2))
	if b := h.plane.of(boot(1)); len(b.records) != 2 || b.number != 1 {
		t.Errorf("%d records in %d segments; want 2 in 1: a closed boot got a second final segment", len(b.records), b.number)
	}
}

func TestChain_RunsAcrossBoots(t *testing.T) {
	t.Parallel()
	h := setup(t)
	var boots []string
	for n := range 6 {
		l := h.open(t, func(c *Config) { c.SegmentRecords = 4 })
		boots = append(boots, boot(h.boots))
		for range n * 3 {
			mustForward(t, l)
		}
		switch n % 3 {
		case 0: // Dies before it has sent anything.
			crash(l)
		case 1: // Dies while it sends.
			l.Start(t.Context())
			crash(l)
		case 2:
			closeIn(t, l, time.Minute)
		}
	}
	closeIn(t, h.open(t, nil), time.Minute)
	boots = append(boots, boot(h.boots))
	h.plane.check(t)
	h.plane.checkChain(t, boots...)
	for n := range 6 {
		if got := len(h.plane.of(boots[n]).records); got != n*6 {
			t.Errorf("boot %d: %d records, want %d", n, got, n*6)
		}
	}
}

func TestOpen_RefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	h := setup(t)
	l := h.open(t, nil)
	h.boots++
	if _, err := Open(h.config()); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second Open: %v", err)
	}
	closeIn(t, l, time.Minute)
	closeIn(t, h.open(t, nil), time.Minute)
}

func TestOpen_RefusesABootTwice(t *testing.T) {
	t.Parallel()
	h := setup(t)
	crash(h.open(t, nil))
	if _, err := Open(h.config()); err == nil || !strings.Contains(err.Error(), "has been here before") {
		t.Errorf("Open: %v", err)
	}
}

func TestOpen_RefusesABadConfig(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for name, spoil := range map[string]func(*Config){
		"no directory": func(c *Config) { c.Dir = "" },
		"no boot":      func(c *Config) { c.Boot = "boot-1" },
		"no sender":    func(c *Config) { c.Sender = nil },
		"bound":        func(c *Config) { c.MaxBytes = -1 },
		"a file":       func(c *Config) { c.Dir = filepath.Join(h.dir, "file") },
	} {
		cfg := h.config()
		spoil(&cfg)
		if err := os.WriteFile(filepath.Join(h.dir, "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFull_BlocksDecisionsAndKeepsRoomForSettlements(t *testing.T) {
	t.Parallel()
	h := setup(t)
	const most = 64 << 10
	l := h.open(t, func(c *Config) { c.MaxBytes = most })
	l.Start(t.Context())
	h.wire.set(down, nil)
	var err error
	opened := []int{}
	decisions := 0
	var settle []func() error
	for err == nil {
		d := intent()
		if err = l.Begin(d); err == nil {
			decisions++
			opened = append(opened, int(d.Sequence))
			settle = append(settle, func() error { return l.Settle(settlement(d)) })
		}
	}
	if !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Begin: %v", err)
	}
	for i, s := range settle {
		if err := s(); err != nil {
			t.Fatalf("settlement of intent %d: %v", opened[i], err)
		}
	}
	if bytes, _ := l.Stats(); bytes > most {
		t.Errorf("the spool has %d bytes, bound %d", bytes, most)
	}
	h.wire.set(nil, nil)
	closeIn(t, l, time.Minute)
	h.plane.check(t)
	if got := len(h.plane.of(boot(1)).records); got != 2*decisions {
		t.Errorf("%d records, want %d", got, 2*decisions)
	}
}

// A segment of one record is larger than its log file: sealing takes the room that was left.
func TestFull_TakesSettlementsAfterSealingHasTakenTheirRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, func(c *Config) { c.MaxBytes, c.SegmentRecords = 16<<10, 1 })
		h.wire.set(down, nil)
		var open []*record.Decision
		for {
			d := intent()
			if l.Begin(d) != nil {
				break
			}
			open = append(open, d)
		}
		l.Start(t.Context())
		pass(time.Second)
		if bytes, _ := l.Stats(); bytes+int64(len(open))*settlementRoom <= 16<<10 {
			t.Fatalf("sealing has left room for %d settlements beside %d bytes", len(open), bytes)
		}
		for _, d := range open {
			if err := l.Settle(settlement(d)); err != nil {
				t.Errorf("Settle: %v", err)
			}
		}
		h.wire.set(nil, nil)
		closeIn(t, l, time.Minute)
		h.plane.check(t)
	})
}

func TestFull_TakesDecisionsAgainWhenSegmentsAreReceipted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, func(c *Config) { c.MaxBytes = 64 << 10 })
		h.wire.set(down, nil)
		l.Start(t.Context())
		for l.Deny(denial()) == nil {
		}
		pass(10 * time.Second)
		for l.Deny(denial()) == nil { // Sealing has made room: a segment is smaller than its log file.
		}
		h.wire.set(nil, nil)
		pass(10 * time.Second)
		if err := l.Deny(denial()); err != nil {
			t.Errorf("Deny: %v", err)
		}
		closeIn(t, l, time.Minute)
		h.plane.check(t)
	})
}

// After a failed sync nothing says what of the file is on the disk, and a later sync would not either.
func TestWriteError_GoesOnInANewFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		d := mustForward(t, l)
		broken := l.writer.log
		broken.use.Lock()
		err := broken.f.Close() // The sync that is due finds no file.
		broken.use.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		pass(2 * syncEvery)
		if err := l.Begin(intent()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "sync") {
			t.Errorf("Begin after a failed sync: %v", err)
		}
		if err := l.Settle(settlement(d)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Settle after a failed sync: %v", err)
		}
		pass(2 * probeEvery)
		mustForward(t, l)
		closeIn(t, l, time.Minute)
		h.plane.check(t)
		if b := h.plane.of(boot(1)); len(b.records) != 4 {
			t.Errorf("%d records, want 4", len(b.records))
		}
	})
}

func TestIdle_ShowsSilenceEachSecondWhileConnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		pass(10*time.Second + cutEvery/2)
		if got := h.plane.of(boot(1)).empty; got != 10 {
			t.Errorf("connected: %d empty segments in 10 s, want 10", got)
		}
		h.wire.set(down, nil)
		pass(time.Minute)
		if _, pending := l.Stats(); pending != 1 {
			t.Errorf("not connected: %d segments wait, want 1", pending)
		}
		mustForward(t, l)
		pass(time.Minute)
		if _, pending := l.Stats(); pending != 2 {
			t.Errorf("with records: %d segments wait, want 2", pending)
		}
		h.wire.set(nil, nil)
		closeIn(t, l, time.Minute)
		h.plane.check(t)
		h.plane.checkChain(t, boot(1))
	})
}

func TestMetrics_SayWhatWaits(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.wire.set(down, nil)
	l := h.open(t, func(c *Config) { c.SegmentRecords = 2 })
	l.Start(t.Context())
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(l)
	mustForward(t, l)
	mustForward(t, l)
	for l.shipper.pending() < 2 {
		<-time.After(time.Millisecond)
	}
	const want = `
# HELP tollgate_spool_available 1 where the log takes records.
# TYPE tollgate_spool_available gauge
tollgate_spool_available 1
# HELP tollgate_spool_pending_segments Sealed segments without a receipt.
# TYPE tollgate_spool_pending_segments gauge
tollgate_spool_pending_segments 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "tollgate_spool_pending_segments", "tollgate_spool_available"); err != nil {
		t.Error(err)
	}
	if bytes, _ := l.Stats(); bytes == 0 {
		t.Error("no bytes")
	}
	h.wire.set(nil, nil)
	closeIn(t, l, time.Minute)
}
