package front

import (
	"net/http"
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

func TestSetLimits_ToTheLetter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit         decision.Limit
		policy, state string
	}{
		{decision.Limit{Policy: "free-rate", Quota: 5, Window: time.Second, Remaining: 3}, `"free-rate";q=5;w=1`, `"free-rate";r=3;t=1`},
		{decision.Limit{Policy: "a", Quota: 1, Window: 200 * time.Millisecond, Remaining: 1}, `"a";q=5;w=1`, `"a";r=1;t=1`},
		{decision.Limit{Policy: "a", Quota: 2, Window: 300 * time.Millisecond}, `"a";q=6;w=1`, `"a";r=0;t=1`},
		{decision.Limit{Policy: "a", Quota: 10, Window: 1500 * time.Millisecond, Reset: 1001 * time.Millisecond}, `"a";q=13;w=2`, `"a";r=0;t=2`},
		{decision.Limit{Policy: "calls", Quota: 1000, Window: 30 * 24 * time.Hour, Remaining: 9, Reset: 59 * time.Minute}, `"calls";q=1000;w=2592000`, `"calls";r=9;t=3540`},
		{decision.Limit{Policy: "once", Quota: 3, Remaining: 1}, `"once";q=3`, `"once";r=1`},
		{decision.Limit{Policy: "q\"\\\x7fü", Quota: 1, Window: time.Second}, `"q";q=1;w=1`, `"q";r=0;t=1`},
	} {
		h := http.Header{}
		setLimits(h, []decision.Limit{c.limit})
		fields := map[string][]string(h)
		policy, state := fields[headerRateLimitPolicy][0], fields[headerRateLimit][0]
		if policy != c.policy || state != c.state {
			t.Errorf("%+v: %s, %s, want %s, %s", c.limit, policy, state, c.policy, c.state)
		}
	}
	h := http.Header{}
	setLimits(h, nil)
	if len(h) != 0 {
		t.Errorf("fields without limits: %v", h)
	}
}
