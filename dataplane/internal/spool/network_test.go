package spool

import (
	"context"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tollgate/dataplane/internal/record"
)

// network is a Sender that does to segments and receipts what networks and brokers do.
type network struct {
	plane *plane

	mu       sync.Mutex
	log      *Log
	segments [][]byte
	receipts [][]byte
	refusing bool
}

func (n *network) Send(_ context.Context, segment []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refusing {
		return errDown
	}
	n.segments = append(n.segments, segment)
	return nil
}

// undated hides a test's deadline, which cannot be asked for in a bubble.
type undated struct{ testing.TB }

// take picks one of list, and leaves it there if it is to come again.
func take(rt *rapid.T, list *[][]byte) []byte {
	if len(*list) == 0 {
		return nil
	}
	// The first is the likeliest, or little would ever be committed.
	i := 0
	if rapid.IntRange(0, 3).Draw(rt, "out of order") == 0 {
		i = rapid.IntRange(0, len(*list)-1).Draw(rt, "which")
	}
	raw := (*list)[i]
	if rapid.IntRange(0, 4).Draw(rt, "again") > 0 {
		*list = append((*list)[:i:i], (*list)[i+1:]...)
	}
	return raw
}

// deliverSegment brings a segment to the plane, whose receipt is then under way.
func (n *network) deliverSegment(rt *rapid.T) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if raw := take(rt, &n.segments); raw != nil {
		n.receipts = append(n.receipts, n.plane.ingest(raw))
	}
}

func (n *network) deliverReceipt(rt *rapid.T) {
	n.mu.Lock()
	raw, log := take(rt, &n.receipts), n.log
	n.mu.Unlock()
	if raw != nil {
		log.Receipt(raw)
	}
}

// lose wipes what is under way, as a broker that lost its disk.
func (n *network) lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.segments, n.receipts = nil, nil
}

// heal delivers all at once, from now on.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refusing = false
}

// TestI4_ExactlyOnceOverAnyNetworkAndAnyCrash lets a node append, die, restart, run idle and meet a full spool, while segments and
// receipts are lost, repeated and reordered. What was appended is then with the control plane, once, in order, and in one chain.
func TestI4_ExactlyOnceOverAnyNetworkAndAnyCrash(t *testing.T) {
	t.Parallel()
	dir, runs := memoryDir(t), 0
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(undated{t}, func(rt *rapid.T) {
			runs++
			own := filepath.Join(dir, strconv.Itoa(runs))
			h := setupIn(t, own)
			n := &network{plane: h.plane}
			small := func(c *Config) {
				c.Sender, c.SegmentRecords, c.MaxBytes = n, rapid.IntRange(1, 6).Draw(rt, "segment records"), 24<<10
			}
			wrote := map[string][]string{}
			var open []*record.Decision
			start := func() *Log {
				l := h.open(t, small)
				n.mu.Lock()
				n.log = l
				n.mu.Unlock()
				open = nil
				l.Start(t.Context())
				return l
			}
			l := start()
			note := func(id string) { wrote[boot(h.boots)] = append(wrote[boot(h.boots)], id) }
			rt.Repeat(map[string]func(*rapid.T){
				"begin": func(*rapid.T) {
					if d := intent(); l.Begin(d) == nil {
						note(d.ID)
						open = append(open, d)
					}
				},
				"settle": func(rt *rapid.T) {
					if len(open) == 0 {
						return
					}
					if err := l.Settle(settlement(open[0])); err != nil {
						rt.Fatalf("Settle: %v", err)
					}
					note("settled " + open[0].ID)
					open = open[1:]
				},
				"deny": func(*rapid.T) {
					if d := denial(); l.Deny(d) == nil {
						note(d.ID)
					}
				},
				"pass": func(rt *rapid.T) {
					pass(time.Duration(rapid.IntRange(1, 4000).Draw(rt, "milliseconds")) * time.Millisecond)
				},
				"segment": n.deliverSegment,
				"receipt": n.deliverReceipt,
				"lose":    func(*rapid.T) { n.lose() },
				"refuse": func(rt *rapid.T) {
					n.mu.Lock()
					defer n.mu.Unlock()
					n.refusing = rapid.Bool().Draw(rt, "refusing")
				},
				"crash": func(*rapid.T) {
					synctest.Wait()
					crash(l)
					l = start()
				},
			})
			n.heal()
			done := make(chan error, 1)
			go func() { done <- l.Close(t.Context()) }()
			for closed := false; !closed; {
				pass(100 * time.Millisecond)
				n.mu.Lock()
				for _, raw := range n.segments {
					n.receipts = append(n.receipts, h.plane.ingest(raw))
				}
				receipts := n.receipts
				n.segments, n.receipts = nil, nil
				n.mu.Unlock()
				for _, raw := range receipts {
					l.Receipt(raw)
				}
				select {
				case err := <-done:
					if closed = true; err != nil {
						rt.Fatalf("Close: %v", err)
					}
				default:
				}
			}
			h.plane.check(rt)
			var boots []string
			for b := range h.boots {
				boots = append(boots, boot(b+1))
				compare(rt, boot(b+1), h.plane.of(boot(b+1)), wrote[boot(b+1)])
			}
			h.plane.checkChain(rt, boots...)
			if l.counts.forks.Load() > 0 {
				rt.Error("a fork was seen")
			}
		})
	})
}

func compare(rt *rapid.T, boot string, got bootLog, want []string) {
	rt.Helper()
	if len(got.records) != len(want) {
		rt.Fatalf("boot %s: %d records, want %d", boot, len(got.records), len(want))
	}
	for i, r := range got.records {
		id := r.GetIntent().GetId() + r.GetDenial().GetId()
		if s := r.GetSettlement(); s != nil {
			id = "settled " + s.GetDecision()
		}
		if id != want[i] {
			rt.Fatalf("boot %s: record %d is %q, want %q", boot, i+1, id, want[i])
		}
	}
}
