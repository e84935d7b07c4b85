package decision_test

import (
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // The zones' history must not depend on the machine.

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
	"Africa/Monrovia", // 44 minutes and 30 seconds at once.
}

// plainZones are a sample of the others, from all over the world.
var plainZones = []string{
	"America/Los_Angeles", "America/Chicago", "America/Santiago", "America/Asuncion", "America/Phoenix", "America/Nuuk",
	"Atlantic/Azores", "Europe/London", "Europe/Dublin", "Europe/Moscow", "Europe/Istanbul", "Africa/Casablanca", "Africa/Johannesburg",
	"Asia/Tehran", "Asia/Kolkata", "Asia/Tokyo", "Asia/Singapore", "Asia/Jerusalem", "Australia/Sydney", "Australia/Adelaide",
	"Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Honolulu", "Antarctica/Troll",
}

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
		l := zone(t, rapid.SampledFrom(slices.Concat(hardZones, plainZones)).Draw(t, "zone"))
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

// Go's zone bounds are wrong on that day (a search that trusted them never ended), and it is too rare for the random instants.
func TestSpanAt_TheLastDayOfALeapYear(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Concat(hardZones, plainZones) {
		for _, year := range []int{2024, 2028, 2040, 2096} {
			l := zone(t, name)
			last := time.Date(year, 12, 31, 12, 0, 0, 0, l)
			for _, p := range allPeriods {
				if s := decision.SpanAt(p, l, last, last); !s.Contains(last) {
					t.Errorf("%s %d: period %d is %v to %v", name, year, p, s.Start, s.End)
				}
			}
			s := decision.SpanAt(decision.Year, l, last, last)
			if next := time.Date(year+1, 1, 1, 0, 0, 0, 0, l); !s.End.Equal(next) || s.End.Sub(s.Start) != 366*24*time.Hour {
				t.Errorf("%s: the year %d is %v to %v", name, year, s.Start, s.End)
			}
		}
	}
}

func TestSpanAt_CutsWhereTheCalendarSays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, zone    string
		period        decision.Period
		anchor        string // RFC 3339; empty: none.
		now           string
		start, length string // RFC 3339, Go duration.
	}{
		{"minute", "UTC", decision.Minute, "", "2026-11-23T12:34:56Z", "2026-11-23T12:34:00Z", "1m"},
		{"hour", "Asia/Kathmandu", decision.Hour, "", "2026-11-23T12:34:56Z", "2026-11-23T12:15:00Z", "1h"},
		{"day of 23 hours", "Europe/Berlin", decision.Day, "", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "23h"},
		{"day of 25 hours", "Europe/Berlin", decision.Day, "", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "25h"},
		{"day of 24.5 hours", "Australia/Lord_Howe", decision.Day, "", "2026-04-05T00:00:00Z", "2026-04-04T13:00:00Z", "24h30m"},
		{"half an hour that comes twice", "Australia/Lord_Howe", decision.Hour, "", "2026-04-04T15:10:00Z", "2026-04-04T15:00:00Z", "30m"},
		{"day without midnight", "America/Sao_Paulo", decision.Day, "", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "23h"},
		{"day whose last hour comes twice", "America/Sao_Paulo", decision.Day, "", "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z", "25h"},
		{"day whose first hour comes twice", "Asia/Amman", decision.Day, "", "2021-10-28T21:30:00Z", "2021-10-28T21:00:00Z", "25h"},
		{"day that did not exist", "Pacific/Apia", decision.Day, "", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "24h"},
		{"week that misses a day", "Pacific/Apia", decision.Week, "", "2011-12-30T12:00:00Z", "2011-12-26T10:00:00Z", "144h"},
		{"week begins on Monday", "UTC", decision.Week, "", "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "168h"},
		{"month", "America/New_York", decision.Month, "", "2026-11-23T12:00:00Z", "2026-11-01T04:00:00Z", "721h"},
		{"leap year", "UTC", decision.Year, "", "2024-11-23T12:00:00Z", "2024-01-01T00:00:00Z", "8784h"},
		{"anchor on the 31st, in February", "UTC", decision.Billing, "2026-01-31T10:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T10:00:00Z", "744h"},
		{"anchor on the 31st, in March", "UTC", decision.Billing, "2026-01-31T10:00:00Z", "2026-04-01T00:00:00Z", "2026-03-31T10:00:00Z", "720h"},
		{"anchor on 29 February", "UTC", decision.Billing, "2024-02-29T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "696h"},
		{"anchor on a clock that goes forward", "Europe/Berlin", decision.Billing, "2026-01-29T01:30:00Z", "2026-04-01T00:00:00Z", "2026-03-29T01:00:00Z", "743h30m"},
		{"hour of a zone at half past", "Asia/Kolkata", decision.Hour, "", "2026-11-23T12:34:56Z", "2026-11-23T12:30:00Z", "1h"},
		{"an hour's last moment", "UTC", decision.Hour, "", "2026-11-23T23:59:59.999999999Z", "2026-11-23T23:00:00Z", "1h"},
		{"hour that comes again, the first time", "America/New_York", decision.Hour, "", "2026-11-01T05:30:00Z", "2026-11-01T05:00:00Z", "1h"},
		{"hour that comes again, the second time", "America/New_York", decision.Hour, "", "2026-11-01T06:30:00Z", "2026-11-01T06:00:00Z", "1h"},
		{"hour after one that is skipped", "Europe/Berlin", decision.Hour, "", "2026-03-29T01:30:00Z", "2026-03-29T01:00:00Z", "1h"},
		{"a day's last second at half past", "Asia/Kolkata", decision.Day, "", "2026-11-23T18:29:59Z", "2026-11-22T18:30:00Z", "24h"},
		{"the next day's first at half past", "Asia/Kolkata", decision.Day, "", "2026-11-23T18:30:00Z", "2026-11-23T18:30:00Z", "24h"},
		{"a day's last second at a quarter", "Asia/Kathmandu", decision.Day, "", "2026-11-23T18:14:59Z", "2026-11-22T18:15:00Z", "24h"},
		{"day 14 hours ahead", "Pacific/Kiritimati", decision.Day, "", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", "24h"},
		{"day 12 hours behind", "Etc/GMT+12", decision.Day, "", "2026-11-23T11:59:59Z", "2026-11-22T12:00:00Z", "24h"},
		{"29 February", "UTC", decision.Day, "", "2024-02-29T23:59:59Z", "2024-02-29T00:00:00Z", "24h"},
		{"day of 23 hours, west", "America/New_York", decision.Day, "", "2026-03-08T20:00:00Z", "2026-03-08T05:00:00Z", "23h"},
		{"day of 25 hours, west", "America/New_York", decision.Day, "", "2026-11-01T20:00:00Z", "2026-11-01T04:00:00Z", "25h"},
		{"day of 23.5 hours", "Australia/Lord_Howe", decision.Day, "", "2026-10-04T05:00:00Z", "2026-10-03T13:30:00Z", "23h30m"},
		{"week over a year's end", "UTC", decision.Week, "", "2027-01-01T00:00:00Z", "2026-12-28T00:00:00Z", "168h"},
		{"week that loses an hour", "Europe/Berlin", decision.Week, "", "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "167h"},
		{"week that gains an hour", "Europe/Berlin", decision.Week, "", "2026-10-25T12:00:00Z", "2026-10-18T22:00:00Z", "169h"},
		{"month that loses an hour", "Europe/Berlin", decision.Month, "", "2026-03-15T00:00:00Z", "2026-02-28T23:00:00Z", "743h"},
		{"month that gains an hour", "Europe/Berlin", decision.Month, "", "2026-10-15T00:00:00Z", "2026-09-30T22:00:00Z", "745h"},
		{"month that loses an hour, west", "America/New_York", decision.Month, "", "2026-03-31T12:00:00Z", "2026-03-01T05:00:00Z", "743h"},
		{"month that gains an hour, south", "Australia/Sydney", decision.Month, "", "2026-04-15T00:00:00Z", "2026-03-31T13:00:00Z", "721h"},
		{"month that loses its first midnight's hour", "America/Sao_Paulo", decision.Month, "", "2018-11-15T00:00:00Z", "2018-11-01T03:00:00Z", "719h"},
		{"February", "UTC", decision.Month, "", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "672h"},
		{"February of a leap year", "UTC", decision.Month, "", "2024-02-10T00:00:00Z", "2024-02-01T00:00:00Z", "696h"},
		{"February of 2000, which was one", "UTC", decision.Month, "", "2000-02-29T12:00:00Z", "2000-02-01T00:00:00Z", "696h"},
		{"February of 2100, which is none", "UTC", decision.Month, "", "2100-02-28T12:00:00Z", "2100-02-01T00:00:00Z", "672h"},
		{"year", "UTC", decision.Year, "", "2100-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "8760h"},
		{"year ahead", "Australia/Sydney", decision.Year, "", "2026-06-01T00:00:00Z", "2025-12-31T13:00:00Z", "8760h"},
		{"year behind, at half past", "America/St_Johns", decision.Year, "", "2026-01-01T03:30:00Z", "2026-01-01T03:30:00Z", "8760h"},
		{"a leap year's last day", "America/New_York", decision.Year, "", "2028-12-31T23:00:00Z", "2028-01-01T05:00:00Z", "8784h"},
		{"anchor on the 30th, in February", "UTC", decision.Billing, "2026-01-30T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "720h"},
		{"anchor on the 29th, in February", "UTC", decision.Billing, "2026-01-29T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "696h"},
		{"anchor on the 29th, in February of a leap year", "UTC", decision.Billing, "2024-01-29T00:00:00Z", "2024-03-01T00:00:00Z", "2024-02-29T00:00:00Z", "696h"},
		{"anchor at a month's last second", "UTC", decision.Billing, "2026-08-31T23:59:59Z", "2026-10-01T00:00:00Z", "2026-09-30T23:59:59Z", "744h"},
		{"anchor on 31 December, over the year's end", "UTC", decision.Billing, "2026-12-31T00:00:00Z", "2027-02-15T00:00:00Z", "2027-01-31T00:00:00Z", "672h"},
		{"at the anchor", "UTC", decision.Billing, "2026-05-31T12:00:00Z", "2026-05-31T12:00:00Z", "2026-05-31T12:00:00Z", "720h"},
		{"a second before the anchor", "UTC", decision.Billing, "2026-05-31T12:00:00Z", "2026-05-31T11:59:59Z", "2026-04-30T12:00:00Z", "744h"},
		{"anchor whose local hour moves", "America/Los_Angeles", decision.Billing, "2026-01-31T22:00:00Z", "2026-03-15T00:00:00Z", "2026-02-28T22:00:00Z", "743h"},
		{"anchor on a clock that goes back", "Europe/Berlin", decision.Billing, "2026-09-25T00:30:00Z", "2026-11-01T00:00:00Z", "2026-10-25T00:30:00Z", "745h"},
		{"before the anchor", "UTC", decision.Billing, "2026-06-15T00:00:00Z", "2026-06-14T00:00:00Z", "2026-05-15T00:00:00Z", "744h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parse := func(s string) time.Time {
				at, err := time.Parse(time.RFC3339, s)
				if err != nil && s != "" {
					t.Fatal(err)
				}
				return at
			}
			length, err := time.ParseDuration(tt.length)
			if err != nil {
				t.Fatal(err)
			}
			s := decision.SpanAt(tt.period, zone(t, tt.zone), parse(tt.anchor), parse(tt.now))
			if !s.Start.Equal(parse(tt.start)) || s.End.Sub(s.Start) != length {
				t.Errorf("%v to %v (%v), want %s and %s", s.Start.UTC(), s.End.UTC(), s.End.Sub(s.Start), tt.start, tt.length)
			}
		})
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
