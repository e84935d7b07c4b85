package ruleset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// kept is what a Follower has on disk, if it has one.
type kept struct {
	disk Disk
	// restoring: what is applied comes from there. Only the following goroutine uses it, and keep does not run meanwhile.
	restoring bool
	early     early
	failing   atomic.Bool
	// seen is the last heartbeat that counted; proven: one did in this process, or an earlier one's holds still. What is left may then be
	// believed by the next process.
	seen atomic.Pointer[[]byte]
	// stranded: what is on disk may be signed by a key that no longer counts, and would not be taken after a restart.
	stranded atomic.Bool
	// resumed is how old the heartbeat was that an earlier process left.
	resumed atomic.Int64
	proven  atomic.Bool
	// froze asks keep to write down that a generation is frozen.
	froze chan struct{}
	// copying is held while a snapshot is written.
	copying sync.Mutex
}

// early is the newest heartbeat that came while the disk was read. It counts only then: one that names an epoch on the way to the last one must
// not make that fresh.
type early struct {
	mu sync.Mutex
	// over: the disk has been read, and nothing is kept for later.
	over bool
	raw  []byte
	came time.Time
}

// keep keeps a heartbeat for later; false: it counts now.
func (e *early) keep(raw []byte, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.raw, e.came = raw, now
	}
	return !e.over
}

// end is what was kept; nil: nothing.
func (e *early) end() (raw []byte, came time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	return e.raw, e.came
}

// heard notes a heartbeat that counts.
func (k *kept) heard(raw []byte) {
	k.seen.Store(&raw)
	k.proven.Store(true)
}

// restore brings into force what the last process left, verified like anything else. What does not fit together is dropped whole.
func (f *Follower) restore(ctx context.Context) {
	defer func() {
		if raw, came := f.disk.early.end(); raw != nil && ctx.Err() == nil {
			f.hear(raw, came)
		}
	}()
	d := f.disk.disk
	if !f.awaitTrust(ctx) {
		f.unchanged()
		return
	}
	if d == nil {
		return
	}
	if floor := d.Floor(); !floor.IsZero() {
		f.clock.Resume(floor, 0)
		f.fresh.notBefore(floor)
		defer f.resumeClock(floor)
	}
	least := d.Least()
	raw, age, clean := d.LastSeen()
	var seen *rulesv1.Heartbeat
	if raw != nil {
		seen = f.openHeartbeat(raw)
	}
	if seen != nil {
		// It counted, so what it names was enforced, and may be all that a power cut has left of that.
		least = later(least, epochOf(seen))
	}
	f.fresh.noneBefore(least)
	f.disk.restoring = true
	defer func() {
		f.disk.restoring = false
		// Only now: what is on disk was enforced before the fork was seen.
		if g := d.Frozen(); g != 0 && g >= f.Epoch().Generation {
			f.freeze(decision.Epoch{Generation: g, Number: f.Epoch().Number})
		}
	}()
	newest, whole := d.Newest()
	if newest == (decision.Epoch{}) {
		if !whole || raw != nil {
			d.Forget(least)
		}
		return
	}
	err := f.loadSnapshot(ctx, d)
	if err == nil {
		err = d.ChangeSets(func(raw []byte) bool { return f.take(raw, true, true) && ctx.Err() == nil })
	}
	if ctx.Err() != nil {
		f.unchanged()
		return
	}
	at := f.Epoch()
	switch {
	case err == nil && at != newest:
		err = fmt.Errorf("it leads to %d.%d, and not to %d.%d", at.Generation, at.Number, newest.Generation, newest.Number)
	case err == nil && !whole:
		err = errors.New("a part of it cannot be read")
	}
	if err != nil {
		f.log.Error("the rules on disk are not whole: waiting for the control plane's", "error", err)
		// As far as it verified, it was enforced.
		least = later(least, at)
		d.Forget(least)
		f.fresh.noneBefore(least)
		f.current.Store(nil)
		f.frozen.Store(0)
		clear(f.known)
		f.fresh.enforced(decision.Epoch{}, defaultAges)
		f.metrics.epoch.Set(0)
		return
	}
	f.diskDid(nil)
	if raw == nil {
		f.log.Info("took the rules on disk", "generation", at.Generation, "number", at.Number, "serves_offline", false)
		return
	}
	now := f.clock.Wall()
	if seen == nil {
		return
	}
	signed := seen.GetTime().AsTime()
	f.resumeClock(signed.Add(age))
	state, _ := f.Current()
	trusted := (clean || state.Settings().OfflineStart) && at.Compare(least) >= 0
	f.fresh.resume(signed, age, trusted, now)
	f.disk.resumed.Store(int64(age))
	f.disk.seen.Store(&raw)
	f.disk.proven.Store(trusted)
	f.log.Info("took the rules on disk", "generation", at.Generation, "number", at.Number, "seen", signed, "serves_offline", trusted)
}

func epochOf(h *rulesv1.Heartbeat) decision.Epoch {
	return decision.Epoch{Generation: h.GetGeneration(), Number: h.GetNumber()}
}

func later(a, b decision.Epoch) decision.Epoch {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}

// unchanged leaves the disk as clean as it was.
func (f *Follower) unchanged() {
	if d := f.disk.disk; d != nil {
		_, _, clean := d.LastSeen()
		f.disk.proven.Store(clean)
	}
}

// resumeClock goes on from a date that an earlier process left.
func (f *Follower) resumeClock(floor time.Time) {
	grace := defaultAges.grace
	if e := f.current.Load(); e != nil {
		grace = e.ages.grace
	}
	f.clock.Resume(floor, grace)
	f.fresh.notBefore(floor)
}

// appendToDisk keeps change sets before they are enforced: all of them, and then the disk is asked once to make them durable. Where that fails they are enforced
// all the same: a revocation must not wait for a disk.
func (f *Follower) appendToDisk(all []accepted) {
	durable := slices.ContainsFunc(all, func(c accepted) bool { return !c.history })
	var failed error
	for i, c := range all {
		failed = cmp.Or(failed, f.disk.disk.Append(c.state.Epoch(), c.raw, durable && i == len(all)-1))
	}
	f.diskDid(failed)
}

// diskDid notes how the disk does, and says so when that changes.
func (f *Follower) diskDid(err error) {
	switch was := f.disk.failing.Swap(err != nil); {
	case err != nil && !was:
		f.log.Error("the rules cannot be kept on disk: after a restart this node waits for the control plane", "error", err)
	case err == nil && was:
		f.log.Info("the rules are kept on disk again")
	}
	kept := 1.0
	if err != nil {
		kept = 0
	}
	f.metrics.kept.Set(kept)
}

// How often the disk is looked after, and when the log of change sets is long enough for a newer snapshot to take its place.
const (
	keepEvery    = time.Second
	shortenEvery = 30 * time.Second
	longBytes    = 16 << 20
	longChanges  = 1024
)

// keep writes heartbeats, and keeps the log short, until ctx ends.
func (f *Follower) keep(ctx context.Context) {
	if f.disk.disk == nil {
		return
	}
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	var shortened time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.disk.froze:
		}
		f.keepFrozen()
		if last := f.disk.seen.Load(); last != nil {
			_ = f.disk.disk.Seen(*last, f.seenAge()) // Once more in a second.
		}
		if floor, known := f.clock.Floor(); known {
			_ = f.disk.disk.KeepFloor(floor, false)
		}
		bytes, changes := f.disk.disk.Logged()
		long := bytes >= longBytes || changes >= longChanges || f.disk.disk.Missing() != (decision.Epoch{})
		if stranded := f.disk.stranded.Load(); stranded || long && time.Since(shortened) >= shortenEvery {
			shortened = time.Now()
			if err := f.shorten(ctx, stranded); err != nil && ctx.Err() == nil {
				f.log.Info("no newer snapshot was kept on disk: trying again", "error", err)
			}
		}
	}
}

// shorten keeps the newest snapshot that is not ahead of what is enforced, in place of the change sets up to it, and of those that could not be
// kept. stranded: one of the same epoch takes the place of the one that is kept, for its signature counts.
func (f *Follower) shorten(ctx context.Context, stranded bool) error {
	names, err := f.source.Snapshots(ctx)
	if err != nil {
		return err
	}
	for _, name := range newestFirst(names) {
		at := manifestEpoch(name)
		if at.Compare(f.Epoch()) > 0 {
			continue
		}
		// In a generation with two contents it may be the other one.
		if at.Generation == f.frozen.Load() || at.Compare(f.disk.disk.Missing()) < 0 {
			return nil
		}
		raw, m, err := f.manifest(ctx, f.source, name)
		if err != nil {
			return err
		}
		if said := (decision.Epoch{Generation: m.GetGeneration(), Number: m.GetNumber()}); said != at {
			return fmt.Errorf("snapshot %s holds %d.%d", name, said.Generation, said.Number)
		}
		c := f.copySnapshot(at)
		defer c.release()
		// Only now: while this waited, one that is ahead may have been put.
		own, err := f.disk.disk.Snapshots(ctx)
		if err != nil {
			return err
		}
		if own = newestFirst(own); len(own) > 0 {
			if c := at.Compare(manifestEpoch(own[0])); c < 0 || c == 0 && !stranded {
				return nil
			}
		}
		for i := range m.GetChunkSha256() {
			chunk, err := chunk(ctx, f.source, name, m, i)
			if err != nil {
				return err
			}
			if c.chunk(i, chunk); c.err != nil {
				return c.err
			}
		}
		if err := c.end(raw); err != nil {
			return err
		}
		if stranded {
			f.disk.stranded.Store(false)
		}
		f.diskDid(nil)
		return nil
	}
	return nil
}

// seenAge is how old the heartbeat is that is kept.
func (f *Follower) seenAge() time.Duration {
	if age, known := f.fresh.age(); known {
		return age
	}
	return time.Duration(f.disk.resumed.Load())
}

// keepFrozen writes down which generation is frozen, once.
func (f *Follower) keepFrozen() {
	g := f.frozen.Load()
	if g == 0 || g == f.disk.disk.Frozen() {
		return
	}
	if err := f.disk.disk.Freeze(g); err != nil {
		f.log.Warn("that the rules are frozen is not on disk: trying again", "generation", g, "error", err)
	}
}

// closeDisk leaves what the next process begins with.
func (f *Follower) closeDisk() {
	if f.disk.disk == nil {
		return
	}
	f.keepFrozen()
	var last []byte
	if p := f.disk.seen.Load(); p != nil {
		last = *p
	}
	if floor, known := f.clock.Floor(); known {
		if err := f.disk.disk.KeepFloor(floor, true); err != nil {
			f.log.Warn("the date is not kept on disk", "error", err)
		}
	}
	if err := f.disk.disk.Close(last, f.seenAge(), f.disk.proven.Load()); err != nil {
		f.log.Warn("the rules on disk are not closed: the next start waits for the control plane", "error", err)
	}
}
