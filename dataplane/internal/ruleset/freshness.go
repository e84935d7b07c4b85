package ruleset

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// The states of a node's rules by their age.
const (
	stateFresh = "fresh"
	stateStale = "stale"
	stateGrace = "grace"
	stateBlock = "block"
)

// ages are those at which the state changes.
type ages struct{ stale, grace, block time.Duration }

var defaultAges = ages{15 * time.Second, 15 * time.Minute, 24 * time.Hour}

func agesOf(s *decision.Settings) ages {
	a := defaultAges
	for _, set := range []struct {
		to   *time.Duration
		from time.Duration
	}{{&a.stale, s.StaleAfter}, {&a.grace, s.GraceAfter}, {&a.block, s.BlockAfter}} {
		if set.from > 0 {
			*set.to = set.from
		}
	}
	return a
}

// patience is how long a heartbeat may name an epoch that is not enforced: change sets and heartbeats travel apart.
const patience = time.Second

// freshness is what is known of the rules' age. Times are of the monotonic clock, since started.
type freshness struct {
	started time.Time
	// at is when the last heartbeat came whose epoch is enforced, which may be before this process; never: it did not.
	at atomic.Int64

	mu sync.Mutex
	// signed is the newest time that a heartbeat bore. heard: one has counted in this process.
	signed time.Time
	heard  bool
	// lead is how far the publisher's clock is ahead of this process's, by the heartbeat that was furthest ahead.
	lead time.Duration
	// newest is the newest epoch that a heartbeat named, and arrived when it last did.
	newest  decision.Epoch
	arrived int64
	// raw is that heartbeat.
	raw []byte
	// behind is since when newest is not enforced, or when that was last acted on; -1: it is.
	behind int64
	epoch  decision.Epoch
}

func (f *freshness) start(now time.Time) {
	f.started = now
	f.at.Store(never)
	f.behind = -1
}

const never = math.MinInt64

func (f *freshness) since(t time.Time) int64 { return int64(t.Sub(f.started)) }

func (f *freshness) age() (time.Duration, bool) {
	at := f.at.Load()
	if at == never {
		return 0, false
	}
	return time.Since(f.started) - time.Duration(at), true
}

// resume goes on from a heartbeat that an earlier process took, and that was of an age, least, when that ended: none that is older counts again.
// trusted: what it said still holds, and it is as old as it says, if not older; not so where the clock was set back behind it.
func (f *freshness) resume(signed time.Time, least time.Duration, trusted bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if signed.After(f.signed) {
		f.signed = signed
	}
	age := now.Sub(signed)
	if trusted && age >= 0 {
		f.at.Store(max(f.at.Load(), f.since(now)-int64(max(age, least))))
	}
}

// enforced notes the epoch in force. A heartbeat that came before it may count now: that is returned.
func (f *freshness) enforced(e decision.Epoch) (counts []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch = e
	if f.newest == (decision.Epoch{}) || f.newest.Compare(e) > 0 {
		return nil
	}
	f.at.Store(max(f.at.Load(), f.arrived))
	f.behind = -1
	return f.raw
}

// heartbeat takes a heartbeat that verified, raw as it came. It reports whether the rules are current by it, and whether change sets have been missing for too
// long.
func (f *freshness) heartbeat(raw []byte, e decision.Epoch, signed time.Time, tolerance, oldest time.Duration, now time.Time) (counts, missing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.since(now)
	lead := signed.Sub(f.started) - time.Duration(at)
	// A broker that passes each on later than the one before lets the rules grow old, and none of them is a replay.
	slowed := f.heard && f.lead-lead > max(tolerance, defaultAges.stale)
	if (slowed || !signed.After(f.signed)) && now.Sub(signed).Abs() > tolerance {
		return false, false // Replayed, or held back.
	}
	// A process that has just started knows no time but its own: recorded heartbeats must not make old rules fresh.
	if !f.heard && now.Sub(signed) > oldest {
		return false, false
	}
	if !f.heard || lead > f.lead {
		f.lead = lead
	}
	f.heard = true
	if signed.After(f.signed) {
		f.signed = signed
	}
	f.newest, f.arrived, f.raw = e, at, raw
	if e.Compare(f.epoch) <= 0 {
		f.at.Store(at)
		f.behind = -1
		return true, false
	}
	if f.behind < 0 {
		f.behind = at
		return false, false
	}
	if at-f.behind < int64(patience) {
		return false, false
	}
	f.behind = at
	return false, true
}

// openHeartbeat verifies a heartbeat, and counts what does not. Nil: it does not count.
func (f *Follower) openHeartbeat(raw []byte, now time.Time) *rulesv1.Heartbeat {
	if f.verifier.Version() == 0 {
		return nil // No key counts yet.
	}
	opened, err := f.verifier.Open(envelope.KindHeartbeat, raw, now)
	if err != nil {
		f.refuse(openReason(err), fmt.Errorf("heartbeat: %w", err))
		return nil
	}
	h := &rulesv1.Heartbeat{}
	if err := proto.Unmarshal(opened.Payload, h); err != nil {
		f.refuse(refusedMalformed, fmt.Errorf("heartbeat: %w", err))
		return nil
	}
	if h.GetFleet() != f.verifier.Fleet() {
		f.refuse(refusedFleet, fmt.Errorf("it is a heartbeat of fleet %q", h.GetFleet()))
		return nil
	}
	if newest := h.GetKeySetVersion(); newest > f.verifier.Version() {
		// Somebody may keep the key set back, for a key that it leaves out.
		f.log.Debug("a heartbeat names a key set that has not come", "version", newest)
		return nil
	}
	return h
}

// Heartbeat takes a heartbeat as it came. It never blocks.
func (f *Follower) Heartbeat(raw []byte) {
	if now := time.Now(); !f.disk.early.keep(raw, now) {
		f.hear(raw, now)
	}
}

// hear takes a heartbeat that came at a time.
func (f *Follower) hear(raw []byte, now time.Time) {
	h := f.openHeartbeat(raw, now)
	if h == nil {
		return
	}
	at := decision.Epoch{Generation: h.GetGeneration(), Number: h.GetNumber()}
	tolerance, oldest := defaultAges.stale, defaultAges.grace
	if e := f.current.Load(); e != nil {
		// Short ages must not turn a clock that is a little off into an outage.
		tolerance, oldest = e.ages.stale, max(oldest, e.ages.grace)
		if at == e.epoch() && len(h.GetHeadHash()) > 0 && !bytes.Equal(h.GetHeadHash(), e.hash) {
			f.freeze(at)
			return
		}
	}
	counts, missing := f.fresh.heartbeat(raw, at, h.GetTime().AsTime(), tolerance, oldest, now)
	if counts {
		f.disk.heard(raw)
	}
	if missing {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}
