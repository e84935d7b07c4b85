package decision

import "time"

// Period is the length of a quota's periods.
type Period uint8

// The periods. Calendar periods begin at the customer's local midnight (hours and minutes at their full
// ones; weeks on Monday, ISO 8601). Billing periods are months from the licence's anchor. There is one lifetime.
const (
	Minute Period = iota + 1
	Hour
	Day
	Week
	Month
	Year
	Billing
	Lifetime
)

// Span is a period as instants: Start inclusive, End exclusive. A lifetime's End is zero: nothing ends it.
type Span struct{ Start, End time.Time }

// Contains reports whether t lies in the span.
func (s Span) Contains(t time.Time) bool {
	return !t.Before(s.Start) && (s.End.IsZero() || t.Before(s.End))
}

// Unix is the span in Unix seconds; end is 0 where nothing ends it.
func (s Span) Unix() (start, end int64) {
	if !s.End.IsZero() {
		end = s.End.Unix()
	}
	return s.Start.Unix(), end
}

// SpanAt is the period that contains now. zone is the customer's (nil: UTC), anchor the licence's.
//
// Minutes and hours are cut on elapsed time, so a day on which clocks change has 23 or 25 of them. A billing
// month ends on the anchor's day and time of day, or on the month's last day where it has no such day: an
// anchor of 31 January gives 28 February, then 31 March.
func SpanAt(p Period, zone *time.Location, anchor, now time.Time) Span {
	if zone == nil {
		zone = time.UTC
	}
	local := now.In(zone)
	y, m, d := local.Date()
	back := (int(local.Weekday()) + 6) % 7
	day := func(y int, m time.Month, d int) time.Time {
		return firstAt(time.Date(y, m, d, 0, 0, 0, 0, time.UTC), zone)
	}
	switch p {
	case Minute:
		return elapsed(local, time.Minute)
	case Hour:
		return elapsed(local, time.Hour)
	case Day:
		return around(now, func(n int) time.Time { return day(y, m, d+n) })
	case Week:
		return around(now, func(n int) time.Time { return day(y, m, d-back+7*n) })
	case Month:
		return around(now, func(n int) time.Time { return day(y, m+time.Month(n), 1) })
	case Year:
		return around(now, func(n int) time.Time { return day(y+n, 1, 1) })
	case Billing:
		a := anchor.In(zone)
		months := (y-a.Year())*12 + int(m) - int(a.Month())
		return around(now, func(n int) time.Time { return billing(a, months+n) })
	default:
		return Span{Start: anchor}
	}
}

// around is the span of starts that contains now. start has to rise with n, not strictly; start(0) is near now. The calendar
// alone does not say which period now is in: where clocks go back over a boundary, an hour before it comes again after it.
func around(now time.Time, start func(n int) time.Time) Span {
	n := 0
	for start(n).After(now) {
		n--
	}
	for !start(n + 1).After(now) {
		n++
	}
	return Span{start(n), start(n + 1)}
}

// elapsed cuts at full units of local wall time, by the offset in force. Where the offset changes by a part of a unit, the
// change is a boundary, too.
func elapsed(local time.Time, unit time.Duration) Span {
	offset := offsetAt(local)
	start := local.Add(offset % unit).Truncate(unit).Add(-(offset % unit))
	s := Span{start, start.Add(unit)}
	if change := changeAfter(start); !change.IsZero() && !change.After(local) && (offset-offsetAt(start))%unit != 0 {
		s.Start = change
	}
	if change := changeAfter(local); !change.IsZero() && change.Before(s.End) && (offset-offsetAt(change))%unit != 0 {
		s.End = change
	}
	return s
}

// changeAfter is an instant after t up to which t's offset holds; zero: it holds for ever. It is the next change of clocks, or at
// times the end of a year.
//
// Go's ZoneBounds counts 365 days in each year that only a rule describes, so on the last day of a leap year it tells an end that
// has passed. The true one is the year's: clocks change at none of the two. Its start is not used: that can be too early, where a
// zone's last recorded change falls into a year that its rule describes, too.
func changeAfter(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		end = end.Add(24 * time.Hour)
	}
	return end
}

func offsetAt(t time.Time) time.Duration {
	_, offset := t.Zone()
	return time.Duration(offset) * time.Second
}

// firstAt is the first instant at which clocks in zone show wall (written as a UTC time) or later. Unlike time.Date's, it is never
// the second of two, and where clocks skip wall, it is when they do.
func firstAt(wall time.Time, zone *time.Location) time.Time {
	// No zone is further from UTC than this.
	t := wall.Add(-26 * time.Hour).In(zone)
	for {
		at := wall.Add(-offsetAt(t)).In(zone)
		// The offset is known from t on, not before.
		if at.Before(t) {
			at = t
		}
		change := changeAfter(t)
		if change.IsZero() || at.Before(change) {
			return at
		}
		t = change
	}
}

// billing is the start of the billing month that is months after the anchor's.
func billing(anchor time.Time, months int) time.Time {
	first := time.Date(anchor.Year(), anchor.Month()+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	d := min(anchor.Day(), daysIn(first.Year(), first.Month()))
	return firstAt(time.Date(first.Year(), first.Month(), d, anchor.Hour(), anchor.Minute(), anchor.Second(), anchor.Nanosecond(), time.UTC), anchor.Location())
}

func daysIn(y int, m time.Month) int { return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day() }
