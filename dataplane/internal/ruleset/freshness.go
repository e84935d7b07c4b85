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
	"tollgate/dataplane/internal/clock"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
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

// farAhead is how far a heartbeat may be ahead of all that a node knows of time. A control plane whose clock is wrong by more must not set the
// dates of nodes, which never go back.
const farAhead = 24 * time.Hour

// freshness is what is known of the rules' age. Times are ticks of the node's clock, but for those that are signed.
type freshness struct {
	clock   *clock.Clock
	started int64
	// steady is what the machine's clock would say if nobody had set it since the start, less the tick.
	steady int64
	// at is when the last heartbeat came whose epoch is enforced, which may be before this process; never: it did not.
	at atomic.Int64

	mu sync.Mutex
	// signed is the newest time that a heartbeat bore, which came at signedAt. heard: one has counted in this process.
	signed   time.Time
	signedAt int64
	heard    bool
	// lead is the signed time less the tick of the heartbeat for which that was most.
	lead int64
	// newest is the newest epoch that a heartbeat named, arrived when it last did, and newestSigned what time that one bore.
	newest       decision.Epoch
	arrived      int64
	newestSigned time.Time
	// raw is that heartbeat.
	raw []byte
	// behind is since when newest is not enforced, or when that was last acted on; -1: it is.
	behind int64
	epoch  decision.Epoch
	// least is the newest epoch that an earlier process is known to have enforced: by an older one nothing is current.
	least decision.Epoch
}

func (f *freshness) start(c *clock.Clock) {
	f.clock = c
	tick := c.Tick().UnixNano()
	f.started = tick
	f.steady = c.Wall().UnixNano() - tick
	f.at.Store(never)
	f.behind = -1
}

const never = math.MinInt64

func (f *freshness) age() (time.Duration, bool) {
	at := f.at.Load()
	if at == never {
		return 0, false
	}
	return time.Duration(f.clock.Tick().UnixNano() - at), true
}

// resume goes on from a heartbeat that an earlier process took, and that was of an age, least, when that ended: none that is older counts again.
// trusted: what it said still holds, and it is as old as it says, if not older; not so where the clock was set back behind it.
func (f *freshness) resume(signed time.Time, least time.Duration, trusted bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tick, age := f.clock.Tick().UnixNano(), now.Sub(signed)
	if signed.After(f.signed) {
		f.signed, f.signedAt = signed, tick-int64(max(age, least))
	}
	if trusted && age >= 0 {
		f.at.Store(max(f.at.Load(), tick-int64(max(age, least))))
	}
}

// notBefore says that it is later than a date: a machine's clock that is behind that does not vouch for what was recorded then.
func (f *freshness) notBefore(date time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steady = max(f.steady, date.UnixNano()-f.clock.Tick().UnixNano())
}

// noneBefore says that an epoch was enforced, and that no heartbeat of an older one counts.
func (f *freshness) noneBefore(least decision.Epoch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if least.Compare(f.least) > 0 {
		f.least = least
	}
}

// enforced notes the epoch in force, and its ages. A heartbeat that came before it may count now: that is returned.
func (f *freshness) enforced(e decision.Epoch, a ages) (counts []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch = e
	if f.newest == (decision.Epoch{}) || f.newest.Compare(e) > 0 {
		return nil
	}
	f.behind = -1
	if f.arrived >= f.at.Load() {
		f.at.Store(f.arrived)
		f.clock.Heard(f.newestSigned, time.Unix(0, f.arrived), a.stale, a.grace)
	}
	return f.raw
}

// heartbeat takes a heartbeat that verified, raw as it came at a tick. It reports whether the rules are current by it, and whether change sets have been missing
// for too long. It fails where the heartbeat's time cannot be.
func (f *freshness) heartbeat(raw []byte, e decision.Epoch, signed time.Time, a ages, came time.Time) (counts, missing bool, err error) {
	at := came.UnixNano()
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Compare(f.least) < 0 {
		return false, false, fmt.Errorf("a heartbeat names epoch %d.%d, and %d.%d was enforced here before: it was recorded, or the database was restored and `tollgate recover` is due",
			e.Generation, e.Number, f.least.Generation, f.least.Number)
	}
	lead := signed.UnixNano() - at
	steady := time.Unix(0, f.steady+at)
	near := func(t time.Time) bool { return t.Sub(signed).Abs() <= a.stale }
	// A broker that passes each on later than the one before lets the rules grow old, and none of them is a replay.
	late := time.Duration(f.lead - lead)
	if f.heard && late > max(a.stale, defaultAges.stale) && !near(steady) {
		return false, false, fmt.Errorf("a heartbeat came %s later than those before it: it was held back or recorded, or a control plane's clock is behind another's",
			late.Round(time.Second))
	}
	if !signed.After(f.signed) && !near(steady) && !near(f.signed.Add(time.Duration(at-f.signedAt))) {
		return false, false, nil // Replayed, or held back.
	}
	// A process that has just started knows no time but its own: recorded heartbeats must not make old rules fresh. Short ages
	// must not turn a clock that is a little off into an outage.
	if !f.heard && steady.Sub(signed) > max(defaultAges.grace, a.grace) {
		return false, false, wrongTime(signed, "already", steady)
	}
	if latest := f.clock.Latest(); signed.Sub(latest) > farAhead {
		return false, false, wrongTime(signed, "not past", latest)
	}
	if !f.heard || lead > f.lead {
		f.lead = lead
	}
	f.heard = true
	if signed.After(f.signed) {
		f.signed, f.signedAt = signed, at
	}
	f.newest, f.arrived, f.newestSigned, f.raw = e, at, signed, raw
	if e.Compare(f.epoch) <= 0 {
		f.at.Store(at)
		f.behind = -1
		f.clock.Heard(signed, came, a.stale, a.grace)
		return true, false, nil
	}
	if f.behind < 0 {
		f.behind = at
		return false, false, nil
	}
	if at-f.behind < int64(patience) {
		return false, false, nil
	}
	f.behind = at
	return false, true, nil
}

// wrongTime is why a heartbeat does not count that was signed too far from what a node knows of time.
func wrongTime(signed time.Time, is string, known time.Time) error {
	return fmt.Errorf("a heartbeat was signed at %s, and it is %s %s: is the control plane's clock right, or this machine's?",
		signed.UTC().Format(time.RFC3339), is, known.UTC().Format(time.RFC3339))
}

// openHeartbeat verifies a heartbeat, and counts what does not. Nil: it does not count.
func (f *Follower) openHeartbeat(raw []byte) *rulesv1.Heartbeat {
	if f.verifier.Version() == 0 {
		return nil // No key counts yet.
	}
	opened, err := f.open(envelope.KindHeartbeat, raw)
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

// open opens a signed message. A certificate has to hold at the node's date, which nobody can set back; or at the machine's time, where that is later: a
// node that has not heard for long may not know yet how late it is.
func (f *Follower) open(kind envelope.Kind, raw []byte) (envelope.Opened, error) {
	date := f.clock.Date()
	opened, err := f.verifier.Open(kind, raw, date)
	if err == nil {
		return opened, nil
	}
	if latest := f.clock.Latest(); latest.Sub(date) > time.Second {
		return f.verifier.Open(kind, raw, latest)
	}
	return opened, err
}

// Heartbeat takes a heartbeat as it came. It never blocks.
func (f *Follower) Heartbeat(raw []byte) {
	if came := f.clock.Tick(); !f.disk.early.keep(raw, came) {
		f.hear(raw, came)
	}
}

// hear takes a heartbeat that came at a tick.
func (f *Follower) hear(raw []byte, came time.Time) {
	h := f.openHeartbeat(raw)
	if h == nil {
		return
	}
	at := epochOf(h)
	ages := defaultAges
	if e := f.current.Load(); e != nil {
		ages = e.ages
		if at == e.epoch() && len(h.GetHeadHash()) > 0 && !bytes.Equal(h.GetHeadHash(), e.hash) {
			f.freeze(at)
			return
		}
	}
	counts, missing, err := f.fresh.heartbeat(raw, at, h.GetTime().AsTime(), ages, came)
	if err != nil && f.loud("time") {
		f.log.Warn("a heartbeat does not count", "error", err)
	}
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
