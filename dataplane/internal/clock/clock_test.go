package clock_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/dataplane/internal/clock"
)

// machine is a Source that a test moves.
type machine struct {
	wall time.Time
	boot time.Duration
}

func (m *machine) Wall() time.Time     { return m.wall }
func (m *machine) Boot() time.Duration { return m.boot }

// pass lets time pass, a part of it asleep.
func (m *machine) pass(d time.Duration) { m.wall, m.boot = m.wall.Add(d), m.boot+d }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	stale = 15 * time.Second
	grace = 15 * time.Minute
)

// setup is a machine whose clock is right, and a clock that has heard one heartbeat at noon.
func setup() (*machine, *clock.Clock) {
	m := &machine{wall: noon, boot: time.Hour}
	c := clock.New(m)
	c.Heard(noon, c.Tick(), stale, grace)
	return m, c
}

func is(t *testing.T, c *clock.Clock, want time.Time) {
	t.Helper()
	if got := c.Date(); !got.Equal(want) {
		t.Errorf("the date is %v, want %v", got, want)
	}
}

func TestClock_TheMachinesClockCountsUntilSomethingIsHeard(t *testing.T) {
	t.Parallel()
	m := &machine{wall: noon.AddDate(10, 0, 0)}
	c := clock.New(m)
	is(t, c, noon.AddDate(10, 0, 0))
	if floor, ok := c.Floor(); ok {
		t.Errorf("%v has to be kept", floor)
	}
	// It was wrong, and binds nobody.
	c.Heard(noon, c.Tick(), stale, grace)
	is(t, c, noon)
}

func TestClock_SetFarAheadExpiresNothingWhileHeartbeatsCome(t *testing.T) {
	t.Parallel()
	m, c := setup()
	m.wall = noon.AddDate(1, 0, 0)
	passed := time.Duration(0)
	for range 60 {
		m.pass(stale - 1)
		passed += stale - 1
		is(t, c, noon.Add(passed))
		c.Heard(noon.Add(passed), c.Tick(), stale, grace)
	}
}

func TestClock_SetAheadAloneLeadsByAtMostTheGraceAge(t *testing.T) {
	t.Parallel()
	m, c := setup()
	m.wall = noon.Add(time.Minute)
	m.pass(stale - 1)
	is(t, c, noon.Add(stale-1))
	m.pass(1)
	is(t, c, noon.Add(time.Minute+stale))
	m.wall = noon.AddDate(1, 0, 0)
	is(t, c, noon.Add(stale+grace))
	m.pass(48 * time.Hour)
	held := noon.Add(stale + grace + 48*time.Hour)
	is(t, c, held)
	// The next heartbeats are before that: the date stands still until they have caught up.
	signed := noon.Add(stale + 48*time.Hour)
	for range 90 {
		c.Heard(signed, c.Tick(), stale, grace)
		is(t, c, held)
		signed = signed.Add(10 * time.Second)
		m.pass(10 * time.Second)
	}
	c.Heard(signed, c.Tick(), stale, grace)
	m.pass(time.Second)
	is(t, c, held.Add(time.Second))
}

func TestI6_AClockSetBackRevivesNothing(t *testing.T) {
	t.Parallel()
	for name, silent := range map[string]time.Duration{"fresh": time.Second, "stale": time.Minute, "for long": 100 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, c := setup()
			m.pass(silent)
			before := c.Date()
			m.wall = noon.AddDate(-1, 0, 0)
			is(t, c, before)
			m.pass(time.Second)
			is(t, c, before.Add(time.Second))

			// Nor does a restart.
			floor, ok := c.Floor()
			if !ok {
				t.Fatal("nothing has to be kept")
			}
			again := clock.New(&machine{wall: m.wall})
			again.Resume(floor, grace)
			is(t, again, floor)
		})
	}
}

func TestClock_AfterARestartTheMachinesClockLeadsByAtMostTheGraceAge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ off, leads time.Duration }{
		"a short stop": {time.Minute, time.Minute}, "a long one, or a clock set ahead": {24 * time.Hour, grace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &machine{wall: noon.Add(tt.off)}
			c := clock.New(m)
			c.Resume(noon, grace)
			is(t, c, noon.Add(tt.leads))
			m.pass(time.Hour)
			is(t, c, noon.Add(tt.leads+time.Hour))
			c.Heard(noon.Add(24*time.Hour), c.Tick(), stale, grace)
			is(t, c, noon.Add(24*time.Hour))
		})
	}
	t.Run("of which a heartbeat came first", func(t *testing.T) {
		t.Parallel()
		_, c := setup()
		c.Resume(noon.Add(time.Hour), grace)
		is(t, c, noon.Add(time.Hour))
	})
}

// The time for which a machine was suspended has passed: its boot clock says so, whatever its own clock says.
func TestClock_SuspendCounts(t *testing.T) {
	t.Parallel()
	m, c := setup()
	tick := c.Tick()
	m.boot += 3 * time.Hour
	is(t, c, noon.Add(3*time.Hour))
	if d := c.Now().Tick.Sub(tick); d != 3*time.Hour {
		t.Errorf("%v have elapsed", d)
	}
}

// Publishers' clocks differ a little: what one says after the other does not make the date go back.
func TestClock_HeartbeatsOfPublishersThatDiffer(t *testing.T) {
	t.Parallel()
	m, c := setup()
	last := c.Date()
	for i := range 100 {
		m.pass(time.Second)
		signed := noon.Add(time.Duration(i+1) * time.Second)
		if i%3 == 1 {
			signed = signed.Add(-700 * time.Millisecond)
		}
		c.Heard(signed, c.Tick(), stale, grace)
		if now := c.Date(); now.Before(last) {
			t.Fatalf("from %v back to %v", last, now)
		} else if last = now; last.Before(signed) {
			t.Fatalf("it is %v, and was signed at %v", last, signed)
		}
	}
	is(t, c, noon.Add(100*time.Second))
}

func TestClock_AReplayedHeartbeatDoesNotHoldTheDateUp(t *testing.T) {
	t.Parallel()
	m, c := setup()
	for range 20 {
		m.pass(10 * time.Second)
		c.Heard(noon, c.Tick(), stale, grace)
	}
	is(t, c, noon.Add(200*time.Second))
}

// Whatever clocks do, the date never goes back, is never before what is signed and has elapsed, and never leads that by more than the grace age,
// the second that an earlier heartbeat may have been quicker, and what it led before.
func TestClock_NeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{wall: noon, boot: time.Hour}
		c := clock.New(m)
		c.Heard(noon, c.Tick(), stale, grace)
		signed, came, last, ticked := noon, m.boot, noon, c.Tick()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			second := func(most int, name string) time.Duration {
				return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Second
			}
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				m.pass(second(7200, "passes"))
			case 1:
				m.wall = noon.Add(second(200_000, "set") - 100_000*time.Second)
			case 2:
				m.boot += second(7200, "sleeps")
			case 3:
				heard := signed.Add(m.boot - came).Add(-second(3, "differs"))
				c.Heard(heard, c.Tick(), stale, grace)
				if heard.After(signed) {
					signed, came = heard, m.boot
				}
			}
			now := c.Now()
			counted := signed.Add(m.boot - came)
			if now.Date.Before(last) || now.Tick.Before(ticked) || now.Date.Before(counted) {
				t.Fatalf("from %v to %v, which is at least %v", last, now.Date, counted)
			}
			if most := counted.Add(grace + time.Second); now.Date.After(most) && now.Date.After(last) {
				t.Fatalf("it is %v, and may be at most %v", now.Date, most)
			}
			last, ticked = now.Date, now.Tick
		}
	})
}

func TestSystem_Elapses(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]clock.Source{"system": clock.System(), "monotonic": clock.Monotonic()} {
		before := source.Boot()
		for deadline := time.Now().Add(10 * time.Second); source.Boot() == before; {
			if time.Now().After(deadline) {
				t.Fatalf("%s stands still at %v", name, before)
			}
		}
		if source.Boot() < before {
			t.Errorf("%s goes back", name)
		}
	}
}

func TestClock_NowAllocatesNothing(t *testing.T) {
	c := clock.New(clock.System())
	c.Heard(time.Now(), c.Tick(), stale, grace)
	if n := testing.AllocsPerRun(100, func() { _ = c.Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestClock_AHeartbeatThatWasLongUnderWayDoesNotHoldTheDateUp(t *testing.T) {
	t.Parallel()
	m, c := setup()
	for beat := range 20 {
		m.pass(time.Second)
		late := time.Duration(beat%7) * 100 * time.Millisecond
		c.Heard(m.wall.Add(-late), c.Tick(), stale, grace)
		if behind := m.wall.Sub(c.Date()); behind < 0 || behind > 20*time.Millisecond {
			t.Fatalf("%v behind after a heartbeat that was %v late", behind, late)
		}
	}
}

func TestClock_ADateThatLeadsFallsBackToTheHeartbeats(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"by little": 900 * time.Millisecond, "by more than a way takes": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, c := setup()
			signed := noon.Add(-ahead) // A control plane that is slower than the one before.
			for range 1000 {
				m.pass(time.Second)
				signed = signed.Add(time.Second)
				c.Heard(signed, c.Tick(), stale, grace)
			}
			is(t, c, signed)
		})
	}
}
