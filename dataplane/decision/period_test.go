package decision_test

import (
	"encoding/binary"
	"testing"
	"time"
	_ "time/tzdata" // For machines that have no zones.

	"pgregory.net/rapid"

	"tollgate/dataplane/decision"
)

// hardZones are those whose clocks do more than to move an hour at two at night.
var hardZones = []string{
	"UTC", "Europe/Berlin", "America/New_York",
	"America/Sao_Paulo",   // Midnight did not exist, or the hour before it came twice.
	"Africa/Cairo",        // The same; and abolished, and brought back.
	"Asia/Beirut",         // The same.
	"Asia/Amman",          // Midnight came twice.
	"Asia/Gaza",           // Midnight came twice, or did not exist.
	"America/Havana",      // Midnight comes twice, or does not exist.
	"America/St_Johns",    // Clocks changed at a minute past midnight, by half past an hour from UTC.
	"Australia/Lord_Howe", // Half an hour of daylight saving.
	"Pacific/Apia",        // 30 December 2011 did not exist.
	"Asia/Pyongyang",      // Half an hour forward to midnight.
	"Asia/Kathmandu",      // Quarters of hours.
	"America/Caracas",
	"Africa/Monrovia",         // 44 minutes and 30 seconds at once.
	"Asia/Colombo",            // Half an hour back to midnight.
	"Pacific/Kiritimati",      // 31 December 1994 did not exist; 40 minutes at once over a month's midnight.
	"Pacific/Kwajalein",       // 21 August 1993 did not exist.
	"Pacific/Chatham",         // Quarters of hours, and daylight saving.
	"Antarctica/Troll",        // Two hours of daylight saving.
	"Africa/Casablanca",       // Clocks follow Ramadan.
	"America/Nuuk",            // Clocks change on the evening before.
	"America/Indiana/Winamac", // Its last recorded change is two hours at once, where its rule has one.
	"America/Ciudad_Juarez",   // The same, back over midnight.
}

// allZones are the hard ones and a wide sample of others.
var allZones = append([]string{
	"Africa/Johannesburg", "America/Adak", "America/Asuncion", "America/Bogota", "America/Los_Angeles", "America/Metlakatla",
	"America/Santiago", "America/Scoresbysund", "Antarctica/Casey", "Asia/Dhaka", "Asia/Jerusalem", "Asia/Kabul", "Asia/Kolkata",
	"Asia/Tehran", "Asia/Tokyo", "Atlantic/Azores", "Australia/Adelaide", "Australia/Eucla", "Australia/Sydney", "Etc/GMT+12",
	"Europe/Chisinau", "Europe/Dublin", "Europe/Istanbul", "Europe/London", "Europe/Moscow", "Pacific/Auckland", "Pacific/Easter",
	"Pacific/Marquesas", "Pacific/Norfolk", "Pacific/Pago_Pago",
}, hardZones...)

var allPeriods = []decision.Period{
	decision.Minute, decision.Hour, decision.Day, decision.Week, decision.Month, decision.Year, decision.Billing,
}

func zone(t failer, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// genInstant is a random time, often near one at which a zone's clocks change.
func genInstant(t *rapid.T, l *time.Location, label string) time.Time {
	at := time.Unix(rapid.Int64Range(0, time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).Unix()).Draw(t, label), 0).In(l)
	if _, end := at.ZoneBounds(); !end.IsZero() && rapid.IntRange(0, 2).Draw(t, label+" near a change") > 0 {
		at = end.Add(time.Duration(rapid.Int64Range(-30*3600, 30*3600).Draw(t, label+" off")) * time.Second)
	}
	return at
}

func TestSpanAt_PeriodsFollowEachOtherWithoutGapOrOverlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := zone(t, rapid.SampledFrom(allZones).Draw(t, "zone"))
		p := rapid.SampledFrom(allPeriods).Draw(t, "period")
		now := genInstant(t, l, "now")
		anchor := genInstant(t, l, "anchor")
		if rapid.Bool().Draw(t, "month's end") {
			anchor = time.Date(anchor.Year(), anchor.Month()+1, 0, anchor.Hour(), anchor.Minute(), anchor.Second(), 0, l)
		}
		s := decision.SpanAt(p, l, anchor, now)
		if !s.Contains(now) {
			t.Fatalf("%v to %v does not contain %v", s.Start, s.End, now)
		}
		for range 5 {
			next := decision.SpanAt(p, l, anchor, s.End)
			if !next.Start.Equal(s.End) {
				t.Fatalf("%v to %v is followed by %v to %v", s.Start, s.End, next.Start, next.End)
			}
			if !next.End.After(next.Start) {
				t.Fatalf("%v to %v is empty", next.Start, next.End)
			}
			last := next.End.Add(-time.Nanosecond)
			inside := next.Start.Add(time.Duration(rapid.Int64Range(0, int64(last.Sub(next.Start))).Draw(t, "inside")))
			for _, at := range []time.Time{inside, last} {
				if same := decision.SpanAt(p, l, anchor, at); !same.Start.Equal(next.Start) || !same.End.Equal(next.End) {
					t.Fatalf("%v to %v at its start, %v to %v at %v", next.Start, next.End, same.Start, same.End, at)
				}
			}
			s = next
		}
	})
}

// recorded is a zone of one recorded change, then a rule (RFC 9636, version 2). Offsets are in seconds.
func recorded(t *testing.T, before int32, change time.Time, after int32, rule string) *time.Location {
	t.Helper()
	header := func(times, types, chars uint32) []byte {
		b := append([]byte("TZif2"), make([]byte, 15+12)...)
		for _, n := range []uint32{times, types, chars} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	b := append(header(0, 0, 0), header(1, 2, 4)...)
	b = binary.BigEndian.AppendUint64(b, uint64(change.Unix()))
	b = append(b, 1)
	b = append(binary.BigEndian.AppendUint32(b, uint32(before)), 0, 0)
	b = append(binary.BigEndian.AppendUint32(b, uint32(after)), 1, 0)
	b = append(b, "LCL\x00\n"+rule+"\n"...)
	l, err := time.LoadLocationFromTZData("Recorded", b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Go tells that the offset after such a change began when the rule would have changed it.
func TestSpanAt_TheLastRecordedChangeIsNotTheRules(t *testing.T) {
	t.Parallel()
	// As Winamac in Indiana did: from 2:00 Central to 4:00 Eastern daylight time. The rule went forward an hour before.
	change := time.Date(2007, 3, 11, 8, 0, 0, 0, time.UTC)
	l := recorded(t, -6*3600, change, -4*3600, "EST5EDT,M3.2.0,M11.1.0")
	anchor := time.Date(2007, 2, 11, 3, 30, 0, 0, l)
	if s := decision.SpanAt(decision.Billing, l, anchor, change.AddDate(0, 0, 3)); !s.Start.Equal(change) {
		t.Errorf("time skipped by clocks: %v to %v, want a start of %v", s.Start, s.End, change)
	}
	// By an hour and a half, from 2:45 to 4:15: the hour from four on has three quarters.
	change = change.Add(45 * time.Minute)
	l = recorded(t, -6*3600, change, -4*3600-1800, "<-0430>4:30<-0330>,M1.1.0,M2.1.0")
	if s := decision.SpanAt(decision.Hour, l, change, change.Add(10*time.Minute)); !s.Start.Equal(change) || s.End.Sub(s.Start) != 45*time.Minute {
		t.Errorf("an hour cut by the change: %v to %v, want a start of %v", s.Start, s.End, change)
	}
}

// Go's zone bounds are wrong on that day (a search that trusted them never ended), and it is too rare for the random instants.
func TestSpanAt_TheLastDayOfALeapYear(t *testing.T) {
	t.Parallel()
	for _, name := range allZones {
		for _, year := range []int{2024, 2028, 2040, 2096} {
			l := zone(t, name)
			last := time.Date(year, 12, 31, 12, 0, 0, 0, l)
			for _, p := range allPeriods {
				if s := decision.SpanAt(p, l, last, last); !s.Contains(last) {
					t.Errorf("%s %d: period %d is %v to %v", name, year, p, s.Start, s.End)
				}
			}
			s := decision.SpanAt(decision.Year, l, last, last)
			if first, next := time.Date(year, 1, 1, 0, 0, 0, 0, l), time.Date(year+1, 1, 1, 0, 0, 0, 0, l); !s.Start.Equal(first) || !s.End.Equal(next) {
				t.Errorf("%s: the year %d is %v to %v", name, year, s.Start, s.End)
			}
		}
	}
}

func TestSpanAt_LifetimeHasOnePeriod(t *testing.T) {
	t.Parallel()
	s := newWorld(&decision.Quota{Limit: 3, Period: decision.Lifetime, Hard: true})
	// An anchor in the future is where the period begins; there is none before.
	s.license.Anchor = noon.AddDate(0, 1, 0)
	a, p := accounts{}, poolOf{newModelLender(3, 1, 1, 1, noon)}
	if taken := spendAll(t, s.state(t), a, p, noon) + spendAll(t, s.state(t), a, p, noon.AddDate(5, 0, 0)); taken != 3 {
		t.Errorf("%d units of 3 in a lifetime", taken)
	}
	if len(p.quotas) != 1 {
		t.Errorf("%d pools", len(p.quotas))
	}
}
