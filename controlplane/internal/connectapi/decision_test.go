package connectapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/metering"
	"tollgate/dataplane/decision"
)

// ledger commits one segment of a boot's log.
func (a *api) ledger(fill func(*metering.Entries)) {
	a.t.Helper()
	e := metering.NewEntries(8)
	fill(e)
	answers, err := a.db.Ledger().Commit(a.t.Context(), []metering.Segment{{
		Place:   metering.Place{Node: "node-1", Boot: "b1", Number: 1, Hash: []byte("h"), SealedAt: time.Now()},
		Entries: e,
	}})
	if err != nil || answers[0].Admission != metering.Committed {
		a.t.Fatalf("%v, %v", answers, err)
	}
}

func TestAPI_DecisionsAndUsage(t *testing.T) {
	t.Parallel()
	a := setup(t)
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	a.ledger(func(e *metering.Entries) {
		for i := range 5 {
			id := fmt.Sprintf("dec_%02d", i)
			e.Intent(metering.Decision{
				ID: id, Time: noon.Add(time.Duration(i) * time.Second), Node: "node-1", Boot: "b1", Sequence: uint64(i), Epoch: decision.Epoch{Generation: 1, Number: 7},
				Outcome: decision.Forward, Code: decision.OK, License: "lic_1", Customer: "cus_1", Plan: "free", PlanVersion: 3, Credential: "key_1", Route: "hello",
				Method: "GET", Path: "/hello",
			}, []metering.Charge{{Meter: "requests", Feature: "calls", Units: 2}}, true)
			e.Settlement(metering.Settlement{Decision: id, Code: decision.OK, Status: 200, UpstreamStatus: 200, Duration: 3 * time.Millisecond, Billed: true})
		}
		e.Denial(metering.Decision{
			ID: "dec_99", Time: noon.Add(time.Minute), Node: "node-1", Boot: "b1", Sequence: 9, Epoch: decision.Epoch{Generation: 1, Number: 7},
			Outcome: decision.Throttle, Code: decision.RateLimited, License: "lic_1", Customer: "cus_1", Plan: "free", PlanVersion: 3, Credential: "key_1",
			Route: "hello", Method: "GET", Path: "/hello", Policy: "free-rate", Status: 429,
		})
	})

	usage := a.object("UsageService/QueryUsage", `{"license": "lic_1", "meter": "requests", "from": "2026-11-24T00:00:00Z", "to": "2026-11-25T00:00:00Z", "window": "3600s"}`)
	if usage["total"] != "10" || fmt.Sprint(usage["rows"]) != "[map[start:2026-11-24T12:00:00Z units:10]]" {
		t.Errorf("usage %v", usage)
	}

	var ids []string
	token := ""
	for {
		page := a.object("DecisionService/SearchDecisions", fmt.Sprintf(`{"filter": "license = lic_1", "from": "2026-11-24T12:00:01Z", "pageSize": 2, "pageToken": %q}`, token))
		decisions, _ := page["decisions"].([]any)
		for _, d := range decisions {
			id, _ := at(d, "id").(string)
			ids = append(ids, id)
		}
		if token, _ = page["nextPageToken"].(string); token == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "dec_99 dec_04 dec_03 dec_02 dec_01" {
		t.Errorf("newest first, from the bound on: %s", got)
	}
	first, _ := a.object("DecisionService/SearchDecisions", `{"from": "2026-11-24T12:00:01Z", "pageSize": 2}`)["nextPageToken"].(string)
	if res := a.post("DecisionService/SearchDecisions", fmt.Sprintf(`{"from": "2026-11-24T12:00:02Z", "pageToken": %q}`, first)); res.Code != "invalid_argument" {
		t.Errorf("a token of other bounds: %s", res.Body)
	}
	throttled := a.post("DecisionService/SearchDecisions", `{"filter": "outcome = \"throttle\" AND code = \"rate_limited\""}`).Body
	if !strings.Contains(throttled, "dec_99") || strings.Contains(throttled, "dec_0") {
		t.Errorf("%s", throttled)
	}

	got := a.object("DecisionService/GetDecision", `{"id": "dec_99"}`)
	if at(got, "decision", "code") != "rate_limited" || at(got, "decision", "outcome") != "throttle" || at(got, "decision", "seq") != "9" {
		t.Errorf("decision %v", got)
	}
	trace, _ := got["trace"].([]any)
	if len(trace) != len(decision.Steps()) {
		t.Fatalf("trace %v", trace)
	}
	for i, want := range []string{"read passed", "route passed", "identify passed", "license passed", "features passed", "terms passed", "rates rate_limited"} {
		if s := fmt.Sprintf("%v %v", at(trace[i], "step"), at(trace[i], "result")); s != want {
			t.Errorf("step %d: %s, want %s", i, s, want)
		}
	}
	if s := fmt.Sprint(at(trace[6], "source")); !strings.Contains(s, "free-rate") || !strings.Contains(s, "free@3") {
		t.Errorf("source %s", s)
	}
}
