package licensing

import "time"

// nextTerm is the end of a licence's next term, the first that is after now: as long as the term from start to end was, in whole months
// of the customer's calendar where it was that, else in elapsed time.
func nextTerm(start, end, now time.Time, zone *time.Location) time.Time {
	local := start.In(zone)
	months := 12*(end.In(zone).Year()-local.Year()) + int(end.In(zone).Month()-local.Month())
	if months > 0 && addMonths(local, months).Equal(end) {
		for n := 2 * months; ; n += months {
			if next := addMonths(local, n); next.After(now) && next.After(end) {
				return next.UTC()
			}
		}
	}
	length := end.Sub(start)
	next := end.Add(length)
	if !next.After(now) {
		next = end.Add(length * (now.Sub(end)/length + 1))
	}
	return next
}

// addMonths keeps the day and time of day; where the month has no such day, it is the month's last.
func addMonths(local time.Time, n int) time.Time {
	y, m, d := local.Date()
	last := time.Date(y, m+time.Month(n)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(y, m+time.Month(n), min(d, last), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), local.Location())
}
