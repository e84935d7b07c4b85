package decision_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/dataplane/decision"
)

// reading is what clocks in l show at an instant, as a UTC time.
func reading(at time.Time, l *time.Location) time.Time {
	at = at.In(l)
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
}

// firstShows reports whether clocks show wall or later at that instant, and never did before. No zone's clocks go back by more
// than a day.
func firstShows(at time.Time, l *time.Location, wall time.Time) bool {
	if reading(at, l).Before(wall) || !reading(at.Add(-time.Nanosecond), l).Before(wall) {
		return false
	}
	for back := 5 * time.Minute; back <= 26*time.Hour; back += 5 * time.Minute {
		if !reading(at.Add(-back), l).Before(wall) {
			return false
		}
	}
	return true
}

// clamped is the billing month's start on clocks: the anchor's day, or the last that the month has.
func clamped(anchor time.Time, y int, m time.Month) time.Time {
	last := time.Date(y, m+1, 0, anchor.Hour(), anchor.Minute(), anchor.Second(), anchor.Nanosecond(), time.UTC)
	return last.AddDate(0, 0, min(anchor.Day()-last.Day(), 0))
}

func TestSpanAt_CalendarPeriodsBeginWhenClocksFirstShowIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := zone(t, rapid.SampledFrom(allZones).Draw(t, "zone"))
		p := rapid.SampledFrom([]decision.Period{decision.Day, decision.Week, decision.Month, decision.Year}).Draw(t, "period")
		now := genInstant(t, l, "now")
		s := decision.SpanAt(p, l, genInstant(t, l, "anchor"), now)
		for _, at := range []time.Time{s.Start, s.End} {
			shown := reading(at, l)
			y, m, d := shown.Date()
			switch p {
			case decision.Week:
				d -= (int(shown.Weekday()) + 6) % 7
			case decision.Month:
				d = 1
			case decision.Year:
				m, d = 1, 1
			}
			if !firstShows(at, l, time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) {
				t.Fatalf("%v to %v: a period %d's boundary in %v", s.Start, s.End, p, l)
			}
		}
	})
}

func TestSpanAt_BillingBeginsOnTheAnchorsClampedDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := zone(t, rapid.SampledFrom(allZones).Draw(t, "zone"))
		now := genInstant(t, l, "now")
		anchor := genInstant(t, l, "anchor").Add(time.Duration(rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")))
		s := decision.SpanAt(decision.Billing, l, anchor, now)
		wall := reading(anchor, l)
		// The month that clocks show is not the start's own if they skipped the end of that.
		month := reading(s.Start, l)
		if !firstShows(s.Start, l, clamped(wall, month.Year(), month.Month())) {
			month = time.Date(month.Year(), month.Month(), 0, 0, 0, 0, 0, time.UTC)
		}
		start, end := clamped(wall, month.Year(), month.Month()), clamped(wall, month.Year(), month.Month()+1)
		if !firstShows(s.Start, l, start) || !firstShows(s.End, l, end) {
			t.Fatalf("%v to %v in %v, want %v to %v on its clocks", s.Start, s.End, l, start, end)
		}
	})
}

func TestSpanAt_MonthEndsClampAndComeBack(t *testing.T) {
	t.Parallel()
	for _, name := range allZones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := zone(t, name)
			for day := 29; day <= 31; day++ {
				anchor := time.Date(2000, 1, day, 12, 30, 0, 0, l)
				at := time.Date(1978, 2, 15, 0, 0, 0, 0, l)
				for months := range 12 * 50 {
					s := decision.SpanAt(decision.Billing, l, anchor, at)
					if end := clamped(reading(anchor, l), 1978, time.February+time.Month(months)); !reading(s.End, l).Equal(end) && !firstShows(s.End, l, end) {
						t.Fatalf("anchor on the %d: %v to %v, want an end of %v on clocks", day, s.Start, s.End, end)
					}
					if months > 0 && !s.Start.Equal(at) {
						t.Fatalf("anchor on the %d: %v follows %v", day, s.Start, at)
					}
					at = s.End
				}
			}
		})
	}
}

// Hours and minutes are whole on clocks, but where an offset changed by a part of one.
func TestSpanAt_MinutesAndHoursAreWholeOnClocks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := zone(t, rapid.SampledFrom(allZones).Draw(t, "zone"))
		now := genInstant(t, l, "now").Add(time.Duration(rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")))
		for p, unit := range map[decision.Period]time.Duration{decision.Minute: time.Minute, decision.Hour: time.Hour} {
			s := decision.SpanAt(p, l, now, now)
			if length := s.End.Sub(s.Start); length <= 0 || length > unit {
				t.Fatalf("%v to %v", s.Start, s.End)
			}
			for _, at := range []time.Time{s.Start, s.End} {
				step := reading(at, l).Sub(reading(at.Add(-time.Nanosecond), l)) - time.Nanosecond
				if shown := reading(at, l); !shown.Equal(shown.Truncate(unit)) && step%unit == 0 {
					t.Fatalf("%v to %v, but clocks show %v", s.Start, s.End, shown)
				}
			}
		}
	})
}
