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
	day := func(y int, m time.Month, d int) time.Time { return startOfDay(y, m, d, zone) }
	switch p {
	case Minute:
		return elapsed(local, time.Minute)
	case Hour:
		return elapsed(local, time.Hour)
	case Day:
		return Span{day(y, m, d), day(y, m, d+1)}
	case Week:
		back := (int(local.Weekday()) + 6) % 7
		return Span{day(y, m, d-back), day(y, m, d-back+7)}
	case Month:
		return Span{day(y, m, 1), day(y, m+1, 1)}
	case Year:
		return Span{day(y, 1, 1), day(y+1, 1, 1)}
	case Billing:
		return billing(zone, anchor, now)
	default:
		return Span{Start: anchor}
	}
}

// elapsed cuts at multiples of unit of local wall time, by the offset in force now.
func elapsed(local time.Time, unit time.Duration) Span {
	_, offset := local.Zone()
	shift := time.Duration(offset) * time.Second % unit
	start := local.Add(shift).Truncate(unit).Add(-shift)
	return Span{start, start.Add(unit)}
}

// startOfDay is the first instant of a local day. Where midnight does not exist because clocks go forward
// over it, the day begins when they do; time.Date may answer with an instant of the day before.
func startOfDay(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	want := time.Date(y, m, d, 12, 0, 0, 0, zone)
	if t.Day() == want.Day() {
		return t
	}
	_, end := t.ZoneBounds()
	return end
}

func billing(zone *time.Location, anchor, now time.Time) Span {
	a := anchor.In(zone)
	at := func(months int) time.Time {
		first := time.Date(a.Year(), a.Month()+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
		d := min(a.Day(), daysIn(first.Year(), first.Month()))
		return time.Date(first.Year(), first.Month(), d, a.Hour(), a.Minute(), a.Second(), a.Nanosecond(), zone)
	}
	n := now.In(zone)
	months := (n.Year()-a.Year())*12 + int(n.Month()) - int(a.Month())
	for at(months).After(now) {
		months--
	}
	for !at(months + 1).After(now) {
		months++
	}
	return Span{at(months), at(months + 1)}
}

func daysIn(y int, m time.Month) int { return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day() }
