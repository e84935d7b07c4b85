package decision

import (
	"math"
	"time"
)

// demand is an exponentially weighted average of units asked for per second, granted or not.
type demand struct {
	perSecond float64
	pending   int64 // Since since, not yet in the average.
	since     time.Time
}

const (
	// demandSpan is the average's time constant.
	demandSpan = time.Second
	// demandGrain is how much time the average takes in at once, at least.
	demandGrain = 20 * time.Millisecond
	// demandEnds is how long after the last request nothing more is expected.
	demandEnds = 10 * demandSpan
)

func (d *demand) add(units int64, now time.Time) {
	if d.since.IsZero() {
		d.since = now
	}
	d.pending += units
	if dt := now.Sub(d.since); dt >= demandGrain {
		w := 1 - math.Exp(-dt.Seconds()/demandSpan.Seconds())
		d.perSecond += w * (float64(d.pending)/dt.Seconds() - d.perSecond)
		d.pending, d.since = 0, now
	}
}

// over is the units to be expected in span: at least as many as were asked for in the last moments.
func (d *demand) over(span time.Duration, now time.Time) int64 {
	idle := now.Sub(d.since)
	if d.since.IsZero() || idle > demandEnds {
		return 0
	}
	rate := d.perSecond
	if idle > demandSpan {
		rate *= math.Exp(-(idle - demandSpan).Seconds() / demandSpan.Seconds())
	}
	return max(int64(math.Ceil(rate*span.Seconds())), d.pending)
}
