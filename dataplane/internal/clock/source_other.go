//go:build !linux

package clock

// System is this machine.
func System() Source { return Monotonic() }
