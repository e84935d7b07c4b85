package front

import (
	"net/http"
	"strconv"
	"time"

	"tollgate/dataplane/decision"
)

// setLimits writes the RateLimit fields (draft-ietf-httpapi-ratelimit-headers): a structured-field list with an item for
// each limit.
func setLimits(h http.Header, limits []decision.Limit) {
	if len(limits) == 0 {
		return
	}
	policy, state := make([]byte, 0, 64), make([]byte, 0, 64)
	for i := range limits {
		l := &limits[i]
		if i > 0 {
			policy, state = append(policy, ", "...), append(state, ", "...)
		}
		q, w := quotaPerWindow(l)
		policy = append(appendName(policy, l.Policy), ";q="...)
		policy = strconv.AppendInt(policy, q, 10)
		state = append(appendName(state, l.Policy), ";r="...)
		state = strconv.AppendInt(state, l.Remaining, 10)
		if w > 0 {
			policy = append(policy, ";w="...)
			policy = strconv.AppendInt(policy, w, 10)
			state = append(state, ";t="...)
			state = strconv.AppendInt(state, resetSeconds(l), 10)
		}
	}
	h[headerRateLimitPolicy] = []string{string(policy)}
	h[headerRateLimit] = []string{string(state)}
}

// appendName writes a key as a structured-field string (RFC 9651, 3.3.3). Keys are ASCII without quotes; anything else
// is left out, rather than breaking the field.
func appendName(b []byte, name string) []byte {
	b = append(b, '"')
	for i := range len(name) {
		if c := name[i]; c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// quotaPerWindow is a limit as units per whole seconds, rounded down. A window below a second is told as one second, one of a
// broken number of seconds as the next whole number. The window of a lifetime is 0.
func quotaPerWindow(l *decision.Limit) (units, seconds int64) {
	if l.Window%time.Second == 0 {
		return l.Quota, int64(l.Window / time.Second)
	}
	seconds = ceilSeconds(l.Window)
	return int64(float64(l.Quota) * float64(seconds) / l.Window.Seconds()), seconds
}

// resetSeconds is when a client may hope for more: never 0, so that one who waits it out does not come too early.
func resetSeconds(l *decision.Limit) int64 { return max(1, ceilSeconds(l.Reset)) }

func ceilSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
