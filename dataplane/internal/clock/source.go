package clock

import "time"

// Source is what a machine knows of time.
type Source interface {
	// Wall is the machine's clock, which anyone may set.
	Wall() time.Time
	// Boot is elapsed time since some moment, the same one for the life of a process.
	Boot() time.Duration
}

// Monotonic is a Source whose elapsed time is that of the Go runtime, which may leave out the time for which the machine was suspended. In a
// synctest bubble it is the bubble's.
func Monotonic() Source { return monotonic{time.Now()} }

type monotonic struct{ began time.Time }

func (m monotonic) Wall() time.Time     { return time.Now() }
func (m monotonic) Boot() time.Duration { return time.Since(m.began) }
