package decision_test

import (
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// spanCase is a period worked out by hand from the calendar and the zone's rules. Times are RFC 3339, at the offset that clocks
// showed. No zone is none given; no anchor is the zero time; no end is a period without one.
type spanCase struct{ name, zone, anchor, now, start, end string }

func checkSpans(t *testing.T, p decision.Period, cases []spanCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parse := func(s string) time.Time {
				if s == "" {
					return time.Time{}
				}
				at, err := time.Parse(time.RFC3339, s)
				if err != nil {
					t.Fatal(err)
				}
				return at
			}
			var l *time.Location
			if tt.zone != "" {
				l = zone(t, tt.zone)
			}
			s := decision.SpanAt(p, l, parse(tt.anchor), parse(tt.now))
			if !s.Start.Equal(parse(tt.start)) || !s.End.Equal(parse(tt.end)) || s.End.IsZero() != (tt.end == "") {
				t.Errorf("%v to %v, want %s to %s", s.Start, s.End, tt.start, tt.end)
			}
		})
	}
}

func TestSpanAt_MinutesAreFullOnLocalClocks(t *testing.T) {
	t.Parallel()
	checkSpans(t, decision.Minute, []spanCase{
		{"a minute", "UTC", "", "2026-11-23T12:34:56Z", "2026-11-23T12:34:00Z", "2026-11-23T12:35:00Z"},
		{"its first instant", "UTC", "", "2026-11-23T12:34:00Z", "2026-11-23T12:34:00Z", "2026-11-23T12:35:00Z"},
		{"the last nanosecond of a year", "UTC", "", "2026-12-31T23:59:59.999999999Z", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"},
		{"the last before clocks go forward", "Europe/Berlin", "", "2026-03-29T01:59:30+01:00", "2026-03-29T01:59:00+01:00", "2026-03-29T03:00:00+02:00"},
		// 44 minutes and 30 seconds behind UTC, until midnight of 7 January 1972.
		{"an offset with seconds", "Africa/Monrovia", "", "1972-01-01T00:00:00Z", "1971-12-31T23:59:30Z", "1972-01-01T00:00:30Z"},
		{"cut by a change of half a minute", "Africa/Monrovia", "", "1972-01-07T00:44:40Z", "1972-01-07T00:44:30Z", "1972-01-07T00:45:00Z"},
	})
}

func TestSpanAt_HoursAreFullOnLocalClocks(t *testing.T) {
	t.Parallel()
	checkSpans(t, decision.Hour, []spanCase{
		{"an hour", "UTC", "", "2026-11-23T12:34:56Z", "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z"},
		{"no zone is UTC", "", "", "2026-11-23T12:34:56+05:45", "2026-11-23T06:00:00Z", "2026-11-23T07:00:00Z"},
		{"quarters of hours", "Asia/Kathmandu", "", "2026-11-23T18:19:56+05:45", "2026-11-23T18:00:00+05:45", "2026-11-23T19:00:00+05:45"},
		{"half hours behind UTC", "Pacific/Marquesas", "", "2026-11-23T23:59:59-09:30", "2026-11-23T23:00:00-09:30", "2026-11-24T00:00:00-09:30"},
		{"the hour before one that is skipped", "Europe/Berlin", "", "2026-03-29T01:59:59+01:00", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"the first of two", "Europe/Berlin", "", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"},
		{"the second of two", "Europe/Berlin", "", "2026-10-25T02:30:00+01:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
		{"full before half of it comes twice", "Australia/Lord_Howe", "", "2026-04-05T01:10:00+11:00", "2026-04-05T01:00:00+11:00", "2026-04-05T02:00:00+11:00"},
		{"the half that comes twice", "Australia/Lord_Howe", "", "2026-04-05T01:40:00+10:30", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"},
		{"its first half is skipped", "Australia/Lord_Howe", "", "2026-10-04T02:45:00+11:00", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"},
		{"its second half is skipped", "America/Caracas", "", "2016-05-01T02:15:00-04:30", "2016-05-01T02:00:00-04:30", "2016-05-01T03:00:00-04:00"},
		{"half of it again, in a new offset", "America/Caracas", "", "2007-12-09T02:45:00-04:30", "2007-12-09T02:30:00-04:30", "2007-12-09T03:00:00-04:30"},
		{"half of it, before clocks go back to midnight", "Asia/Colombo", "", "1996-10-26T00:20:00+06:30", "1996-10-26T00:00:00+06:30", "1996-10-26T00:00:00+06:00"},
		{"full after that", "Asia/Colombo", "", "1996-10-26T00:20:00+06:00", "1996-10-26T00:00:00+06:00", "1996-10-26T01:00:00+06:00"},
	})
}

func TestSpanAt_DaysBeginAtTheFirstMidnight(t *testing.T) {
	t.Parallel()
	checkSpans(t, decision.Day, []spanCase{
		{"ahead of UTC it is tomorrow", "Asia/Tokyo", "", "2026-11-23T15:00:00Z", "2026-11-24T00:00:00+09:00", "2026-11-25T00:00:00+09:00"},
		{"behind UTC it is yesterday", "America/Los_Angeles", "", "2026-11-23T07:59:59Z", "2026-11-22T00:00:00-08:00", "2026-11-23T00:00:00-08:00"},
		{"23 hours", "Europe/Berlin", "", "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"25 hours", "Europe/Berlin", "", "2026-10-25T12:00:00+01:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		{"23.5 hours", "Australia/Lord_Howe", "", "2026-10-04T12:00:00+11:00", "2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00"},
		{"24.5 hours", "Australia/Lord_Howe", "", "2026-04-05T10:30:00+10:30", "2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30"},
		{"22 hours", "Antarctica/Troll", "", "2024-03-31T12:00:00+02:00", "2024-03-31T00:00:00+00:00", "2024-04-01T00:00:00+02:00"},
		{"26 hours", "Antarctica/Troll", "", "2024-10-27T12:00:00+00:00", "2024-10-27T00:00:00+02:00", "2024-10-28T00:00:00+00:00"},
		{"Ramadan begins", "Africa/Casablanca", "", "2024-03-10T12:00:00+00:00", "2024-03-10T00:00:00+01:00", "2024-03-11T00:00:00+00:00"},
		{"without midnight", "America/Sao_Paulo", "", "2018-11-04T10:00:00-02:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		{"without midnight, on Friday", "Asia/Amman", "", "2021-03-26T12:00:00+03:00", "2021-03-26T01:00:00+03:00", "2021-03-27T00:00:00+03:00"},
		{"without 44.5 minutes after midnight", "Africa/Monrovia", "", "1972-01-07T12:00:00Z", "1972-01-07T00:44:30Z", "1972-01-08T00:00:00Z"},
		{"without its last half hour", "Asia/Pyongyang", "", "2018-05-04T23:00:00+08:30", "2018-05-04T00:00:00+08:30", "2018-05-05T00:00:00+09:00"},
		{"without its last hour", "America/Nuuk", "", "2024-03-30T22:30:00-02:00", "2024-03-30T00:00:00-02:00", "2024-03-31T00:00:00-01:00"},
		{"its last half hour comes twice", "Asia/Pyongyang", "", "2015-08-14T23:45:00+08:30", "2015-08-14T00:00:00+09:00", "2015-08-15T00:00:00+08:30"},
		{"its last hour comes twice", "America/Sao_Paulo", "", "2018-02-17T23:30:00-03:00", "2018-02-17T00:00:00-02:00", "2018-02-18T00:00:00-03:00"},
		{"midnight comes twice: after the first", "Asia/Amman", "", "2021-10-29T00:30:00+03:00", "2021-10-29T00:00:00+03:00", "2021-10-30T00:00:00+02:00"},
		{"midnight comes twice: after the second", "Asia/Amman", "", "2021-10-29T00:30:00+02:00", "2021-10-29T00:00:00+03:00", "2021-10-30T00:00:00+02:00"},
		{"midnight comes twice, behind UTC", "America/Havana", "", "2024-11-03T00:00:00-05:00", "2024-11-03T00:00:00-04:00", "2024-11-04T00:00:00-05:00"},
		// Clocks went back from a minute past midnight, so 28 October was over when most of its last hour came again.
		{"yesterday's date again", "America/St_Johns", "", "2006-10-28T23:30:00-03:30", "2006-10-29T00:00:00-02:30", "2006-10-30T00:00:00-03:30"},
		{"the day before that", "America/St_Johns", "", "2006-10-28T23:30:00-02:30", "2006-10-28T00:00:00-02:30", "2006-10-29T00:00:00-02:30"},
		{"before a day that did not exist", "Pacific/Apia", "", "2011-12-29T23:59:59-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"after a day that did not exist", "Pacific/Apia", "", "2011-12-31T00:00:00+14:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"},
		{"before another one", "Pacific/Kwajalein", "", "1993-08-20T12:00:00-12:00", "1993-08-20T00:00:00-12:00", "1993-08-22T00:00:00+12:00"},
		{"29 February", "UTC", "", "2000-02-29T12:00:00Z", "2000-02-29T00:00:00Z", "2000-03-01T00:00:00Z"},
		{"28 February 2100", "UTC", "", "2100-02-28T12:00:00Z", "2100-02-28T00:00:00Z", "2100-03-01T00:00:00Z"},
		{"28 February 1900", "UTC", "", "1900-02-28T12:00:00Z", "1900-02-28T00:00:00Z", "1900-03-01T00:00:00Z"},
	})
}

func TestSpanAt_WeeksBeginOnMonday(t *testing.T) {
	t.Parallel()
	checkSpans(t, decision.Week, []spanCase{
		{"Sunday is the last day", "UTC", "", "2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
		{"Monday is the first", "UTC", "", "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"},
		{"Monday here, Sunday in UTC", "Pacific/Auckland", "", "2026-11-22T11:30:00Z", "2026-11-23T00:00:00+13:00", "2026-11-30T00:00:00+13:00"},
		{"week 53, in the next year", "UTC", "", "2021-01-03T12:00:00Z", "2020-12-28T00:00:00Z", "2021-01-04T00:00:00Z"},
		{"week 1, in the year before", "UTC", "", "2024-12-30T12:00:00Z", "2024-12-30T00:00:00Z", "2025-01-06T00:00:00Z"},
		{"a year that begins on Monday", "UTC", "", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "2024-01-08T00:00:00Z"},
		{"a year that ends on Sunday", "UTC", "", "2023-12-31T23:59:59Z", "2023-12-25T00:00:00Z", "2024-01-01T00:00:00Z"},
		{"with 29 February", "UTC", "", "2024-03-01T12:00:00Z", "2024-02-26T00:00:00Z", "2024-03-04T00:00:00Z"},
		{"167 hours", "Europe/Berlin", "", "2026-03-29T23:59:59+02:00", "2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"169 hours", "Europe/Berlin", "", "2026-10-25T02:30:00+01:00", "2026-10-19T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		{"six days, over a year's end", "Pacific/Apia", "", "2011-12-31T02:00:00+14:00", "2011-12-26T00:00:00-10:00", "2012-01-02T00:00:00+14:00"},
	})
}

func TestSpanAt_MonthsAndYearsAreTheCalendars(t *testing.T) {
	t.Parallel()
	checkSpans(t, decision.Month, []spanCase{
		{"February", "UTC", "", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"February with 29 days", "UTC", "", "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"December", "UTC", "", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"the clock goes back on the first", "America/New_York", "", "2026-11-23T07:00:00-05:00", "2026-11-01T00:00:00-04:00", "2026-12-01T00:00:00-05:00"},
		{"summer is Dublin's standard time", "Europe/Dublin", "", "2024-10-31T12:00:00+00:00", "2024-10-01T00:00:00+01:00", "2024-11-01T00:00:00+00:00"},
		{"it is the next month ahead of UTC", "Asia/Kathmandu", "", "2026-06-30T18:15:00Z", "2026-07-01T00:00:00+05:45", "2026-08-01T00:00:00+05:45"},
		{"it is the last month behind UTC", "America/St_Johns", "", "2026-01-01T03:29:59Z", "2025-12-01T00:00:00-03:30", "2026-01-01T00:00:00-03:30"},
		{"of 30 days, for once", "Pacific/Apia", "", "2011-12-15T12:00:00-10:00", "2011-12-01T00:00:00-10:00", "2012-01-01T00:00:00+14:00"},
		{"begins at 0:40", "Pacific/Kiritimati", "", "1979-10-15T12:00:00-10:00", "1979-10-01T00:40:00-10:00", "1979-11-01T00:00:00-10:00"},
	})
	checkSpans(t, decision.Year, []spanCase{
		{"365 days", "UTC", "", "2026-11-23T12:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"366 days", "UTC", "", "2024-12-31T23:59:59Z", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		{"366 days by a zone's rule alone", "Europe/Berlin", "", "2088-12-31T12:00:00+01:00", "2088-01-01T00:00:00+01:00", "2089-01-01T00:00:00+01:00"},
		{"a day's end ahead of UTC", "Pacific/Kiritimati", "", "2026-12-31T10:00:00Z", "2027-01-01T00:00:00+14:00", "2028-01-01T00:00:00+14:00"},
		{"a day's start behind UTC", "Pacific/Pago_Pago", "", "2027-01-01T10:59:59Z", "2026-01-01T00:00:00-11:00", "2027-01-01T00:00:00-11:00"},
		{"begins and ends in summer", "Australia/Sydney", "", "2026-07-01T12:00:00+10:00", "2026-01-01T00:00:00+11:00", "2027-01-01T00:00:00+11:00"},
		{"ends at a quarter past midnight", "Asia/Kathmandu", "", "1985-12-31T23:59:59+05:30", "1985-01-01T00:00:00+05:30", "1986-01-01T00:15:00+05:45"},
		{"has no last day", "Pacific/Kiritimati", "", "1994-12-30T23:59:59-10:00", "1994-01-01T00:00:00-10:00", "1995-01-01T00:00:00+14:00"},
	})
}

func TestSpanAt_BillingKeepsTheAnchorsDay(t *testing.T) {
	t.Parallel()
	checkSpans(t, decision.Billing, []spanCase{
		{"begins with the anchor", "UTC", "2026-06-15T08:30:00Z", "2026-06-15T08:30:00Z", "2026-06-15T08:30:00Z", "2026-07-15T08:30:00Z"},
		{"a nanosecond before the anchor", "UTC", "2026-06-15T08:30:00Z", "2026-06-15T08:29:59.999999999Z", "2026-05-15T08:30:00Z", "2026-06-15T08:30:00Z"},
		{"years before the anchor", "UTC", "2026-08-31T08:30:00Z", "2020-03-01T00:00:00Z", "2020-02-29T08:30:00Z", "2020-03-31T08:30:00Z"},
		{"over a year's end", "UTC", "2026-06-15T08:30:00Z", "2027-01-01T00:00:00Z", "2026-12-15T08:30:00Z", "2027-01-15T08:30:00Z"},
		{"no anchor is the first", "", "", "2026-11-23T12:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"31st: to February", "UTC", "2026-01-31T10:00:00Z", "2026-02-28T09:59:59Z", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"},
		{"31st: from February", "UTC", "2026-01-31T10:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z"},
		{"31st: to April", "UTC", "2026-01-31T10:00:00Z", "2026-04-01T00:00:00Z", "2026-03-31T10:00:00Z", "2026-04-30T10:00:00Z"},
		{"31st: to June", "UTC", "2026-01-31T10:00:00Z", "2026-06-01T00:00:00Z", "2026-05-31T10:00:00Z", "2026-06-30T10:00:00Z"},
		{"31st: July and August have it", "UTC", "2026-01-31T10:00:00Z", "2026-08-01T00:00:00Z", "2026-07-31T10:00:00Z", "2026-08-31T10:00:00Z"},
		{"31st: from September", "UTC", "2026-01-31T10:00:00Z", "2026-10-01T00:00:00Z", "2026-09-30T10:00:00Z", "2026-10-31T10:00:00Z"},
		{"31st: from November", "UTC", "2026-01-31T10:00:00Z", "2026-12-01T00:00:00Z", "2026-11-30T10:00:00Z", "2026-12-31T10:00:00Z"},
		{"31st: a February of 29 days", "UTC", "2026-01-31T10:00:00Z", "2028-03-01T00:00:00Z", "2028-02-29T10:00:00Z", "2028-03-31T10:00:00Z"},
		{"30th: to February and back", "UTC", "2026-01-30T10:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T10:00:00Z", "2026-03-30T10:00:00Z"},
		{"29 February: in a common year", "UTC", "2024-02-29T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-29T00:00:00Z"},
		{"29 February: comes back", "UTC", "2024-02-29T00:00:00Z", "2028-03-01T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-29T00:00:00Z"},
		{"29 February: 2000 has one", "UTC", "2024-02-29T00:00:00Z", "2000-03-01T00:00:00Z", "2000-02-29T00:00:00Z", "2000-03-29T00:00:00Z"},
		{"29 February: 2100 has none", "UTC", "2024-02-29T00:00:00Z", "2100-03-01T00:00:00Z", "2100-02-28T00:00:00Z", "2100-03-29T00:00:00Z"},
		{"29 February: 1900 has none", "UTC", "2024-02-29T00:00:00Z", "1900-03-01T00:00:00Z", "1900-02-28T00:00:00Z", "1900-03-29T00:00:00Z"},
		{"28 February is no month's end", "UTC", "2026-02-28T10:00:00Z", "2026-04-01T00:00:00Z", "2026-03-28T10:00:00Z", "2026-04-28T10:00:00Z"},
		{"the last nanosecond of a month", "UTC", "2026-01-31T23:59:59.999999999Z", "2026-03-01T00:00:00Z", "2026-02-28T23:59:59.999999999Z", "2026-03-31T23:59:59.999999999Z"},
		{"the 31st only ahead of UTC", "Pacific/Auckland", "2026-01-30T12:00:00Z", "2026-03-01T00:00:00+13:00", "2026-02-28T01:00:00+13:00", "2026-03-31T01:00:00+13:00"},
		{"the first only in UTC", "America/New_York", "2026-03-01T04:00:00Z", "2026-03-30T00:00:00-04:00", "2026-03-28T23:00:00-04:00", "2026-04-28T23:00:00-04:00"},
		{"keeps its hour in summer", "Europe/Berlin", "2026-01-15T10:00:00+01:00", "2026-07-20T00:00:00+02:00", "2026-07-15T10:00:00+02:00", "2026-08-15T10:00:00+02:00"},
		{"its time is skipped", "Europe/Berlin", "2026-01-29T02:30:00+01:00", "2026-04-01T00:00:00+02:00", "2026-03-29T03:00:00+02:00", "2026-04-29T02:30:00+02:00"},
		{"its time comes twice", "Europe/Berlin", "2026-09-25T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-11-25T02:30:00+01:00"},
		{"its time comes again", "Europe/Berlin", "2026-09-25T02:30:00+02:00", "2026-10-25T02:15:00+01:00", "2026-10-25T02:30:00+02:00", "2026-11-25T02:30:00+01:00"},
		// The period is the wall time's, so it begins an hour before the anchor.
		{"is the second of two", "Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+02:00", "2026-11-25T02:30:00+01:00"},
		{"midnight that is skipped", "America/Sao_Paulo", "2018-10-04T00:00:00-03:00", "2018-11-20T00:00:00-02:00", "2018-11-04T01:00:00-02:00", "2018-12-04T00:00:00-02:00"},
		{"a day that is skipped: to it", "Pacific/Apia", "2011-11-30T09:00:00-10:00", "2011-12-15T00:00:00-10:00", "2011-11-30T09:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"a day that is skipped: from it", "Pacific/Apia", "2011-11-30T09:00:00-10:00", "2012-01-15T00:00:00+14:00", "2011-12-31T00:00:00+14:00", "2012-01-30T09:00:00+14:00"},
		{"a month's end that is skipped", "Pacific/Kiritimati", "1994-10-31T12:00:00-10:00", "1995-01-10T00:00:00+14:00", "1995-01-01T00:00:00+14:00", "1995-01-31T12:00:00+14:00"},
		// From 2:00 Central to 4:00 Eastern, which is daylight time at once.
		{"skipped by two hours, on the zone's last recorded change", "America/Indiana/Winamac", "2007-02-11T03:30:00-06:00", "2007-03-20T00:00:00-04:00", "2007-03-11T04:00:00-04:00", "2007-04-11T03:30:00-04:00"},
		{"half an hour that is skipped", "Australia/Lord_Howe", "2026-09-04T02:15:00+10:30", "2026-10-10T00:00:00+11:00", "2026-10-04T02:30:00+11:00", "2026-11-04T02:15:00+11:00"},
		{"nanoseconds: the last before", "UTC", "2026-01-31T10:00:00.123456789Z", "2026-02-28T10:00:00.123456788Z", "2026-01-31T10:00:00.123456789Z", "2026-02-28T10:00:00.123456789Z"},
		{"nanoseconds: the first", "UTC", "2026-01-31T10:00:00.123456789Z", "2026-02-28T10:00:00.123456789Z", "2026-02-28T10:00:00.123456789Z", "2026-03-31T10:00:00.123456789Z"},
		{"nanoseconds that are skipped", "Europe/Berlin", "2026-01-29T02:30:00.5+01:00", "2026-03-29T12:00:00+02:00", "2026-03-29T03:00:00+02:00", "2026-04-29T02:30:00.5+02:00"},
	})
}

func TestSpanAt_LifetimeIsFromTheAnchorOn(t *testing.T) {
	t.Parallel()
	checkSpans(t, decision.Lifetime, []spanCase{
		{"after the anchor", "Europe/Berlin", "2026-01-31T10:00:00.5Z", "2099-01-01T00:00:00Z", "2026-01-31T10:00:00.5Z", ""},
		{"at the anchor", "Europe/Berlin", "2026-01-31T10:00:00.5Z", "2026-01-31T10:00:00.5Z", "2026-01-31T10:00:00.5Z", ""},
		{"before the anchor", "Europe/Berlin", "2026-01-31T10:00:00.5Z", "2025-01-01T00:00:00Z", "2026-01-31T10:00:00.5Z", ""},
	})
}
