package clock

import (
	"sync"
	"sync/atomic"
	"time"

	"tollgate/dataplane/decision"
)

// Clock is a node's time. See the package comment.
type Clock struct {
	source Source
	// last is the latest date that was given out, in Unix nanoseconds; 0: none that binds.
	last atomic.Int64
	// known is nil before anything is known but the machine's clock.
	known atomic.Pointer[known]

	mu sync.Mutex // Of who changes known.
}

// known is what dates follow from. Immutable.
type known struct {
	// date was, or will be, at boot.
	date time.Time
	boot time.Duration
	// alone is from when on the machine's clock may lead, by at most lead.
	alone time.Duration
	lead  time.Duration
	// signed is the newest time that a heartbeat bore; zero: none was heard.
	signed time.Time
}

// New makes a Clock that knows nothing yet but the source.
func New(source Source) *Clock { return &Clock{source: source} }

// Now is the present moment.
func (c *Clock) Now() decision.Moment {
	boot := c.source.Boot()
	return decision.Moment{Date: c.date(boot), Tick: tick(boot)}
}

// Date is Now's.
func (c *Clock) Date() time.Time { return c.date(c.source.Boot()) }

// Tick is Now's.
func (c *Clock) Tick() time.Time { return tick(c.source.Boot()) }

// tick is elapsed time as a time.Time, which deadlines are easier to write with. It is never zero.
func tick(boot time.Duration) time.Time { return time.Unix(0, 0).UTC().Add(boot) }

func untick(t time.Time) time.Duration { return t.Sub(tick(0)) }

func (c *Clock) date(boot time.Duration) time.Time {
	k := c.known.Load()
	if k == nil {
		return c.Wall()
	}
	date := k.at(boot)
	if boot >= k.alone {
		if wall := c.Wall(); wall.After(date) {
			date = wall
			if most := k.at(boot).Add(k.lead); date.After(most) {
				date = most
			}
		}
	}
	return c.hold(date)
}

func (k *known) at(boot time.Duration) time.Time { return k.date.Add(boot - k.boot) }

// hold is date, or the latest one that was given out.
func (c *Clock) hold(date time.Time) time.Time {
	n := date.UnixNano()
	for {
		last := c.last.Load()
		if n <= last {
			return time.Unix(0, last).UTC()
		}
		if c.last.CompareAndSwap(last, n) {
			return time.Unix(0, n).UTC()
		}
	}
}

const (
	// jitter is by how much a heartbeat may have been longer under way than another: behind by more, it is the control plane's clock that differs.
	jitter = time.Second
	// forget is the share of elapsed time by which the date falls behind what earlier heartbeats made of it, so that neither a quick clock of
	// this machine nor a slow one of the control plane's leads for long. It is many times what clocks differ by.
	forget = 1000
)

// Heard says that a heartbeat that counts came at a tick, with a signed time. After stale without another, the machine's clock may lead by at most grace.
// One that is no newer than those before, as a replayed one, does not hold the date up; nor does one that was longer under way.
func (c *Clock) Heard(signed, came time.Time, stale, grace time.Duration) {
	boot := untick(came)
	c.mu.Lock()
	defer c.mu.Unlock()
	next := known{date: signed, boot: boot, alone: boot + stale, lead: grace, signed: signed}
	if k := c.known.Load(); k != nil {
		c.date(c.source.Boot()) // What was true until now holds.
		switch ahead := k.at(boot).Sub(signed); {
		case !signed.After(k.signed):
			next.date, next.boot, next.signed = k.date, k.boot, k.signed
		case !k.signed.IsZero() && ahead <= jitter:
			next.date = signed.Add(max(0, ahead-(boot-k.boot)/forget))
		}
	}
	c.known.Store(&next)
}

// Resume goes on from where an earlier process left, with the machine's clock leading by at most grace. It may be called again, with another grace.
func (c *Clock) Resume(floor time.Time, grace time.Duration) {
	boot := c.source.Boot()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold(floor)
	switch k := c.known.Load(); {
	case k == nil:
		c.known.Store(&known{date: floor, boot: boot, alone: boot, lead: grace})
	case k.signed.IsZero():
		next := *k
		next.lead = grace
		c.known.Store(&next)
	}
}

// Floor is the date that must be kept over a restart; false where none is known that binds.
func (c *Clock) Floor() (time.Time, bool) {
	if c.known.Load() == nil {
		return time.Time{}, false
	}
	return c.Date(), true
}

// Wall is the machine's clock, which anyone may set.
func (c *Clock) Wall() time.Time { return c.source.Wall().Round(0) }

// Latest is the later one of the date and the machine's clock: what has begun by either may have begun.
func (c *Clock) Latest() time.Time {
	date := c.Date()
	if wall := c.Wall(); wall.After(date) {
		return wall
	}
	return date
}
