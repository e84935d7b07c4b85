package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// System is this machine.
func System() Source {
	s := boottime{}
	if _, err := s.read(); err != nil {
		// A sandbox may lack the clock: then time that is slept through is not counted.
		return Monotonic()
	}
	return s
}

type boottime struct{}

func (boottime) read() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), err
}

func (boottime) Wall() time.Time { return time.Now() }

func (b boottime) Boot() time.Duration {
	d, _ := b.read() // A clock that could be read once can be read.
	return d
}
