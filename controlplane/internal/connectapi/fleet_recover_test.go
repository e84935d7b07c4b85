package connectapi

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/controlplane/internal/fleet"
	"tollgate/dataplane/decision"
)

func TestI6_RecoverOpensAGenerationAboveAllThatIsKnown(t *testing.T) {
	t.Parallel()
	a := setup(t)
	const call = "FleetService/RecoverRules"
	if res := a.object(call, `{}`); at(res, "needed") != nil || at(res, "epoch") != nil {
		t.Errorf("nothing is ahead: %v", res)
	}
	a.heads = fleet.Heads{
		Database: decision.Epoch{Generation: 1, Number: 30}, Stream: decision.Epoch{Generation: 1, Number: 80},
		Nodes: decision.Epoch{Generation: 3, Number: 7}, Ahead: "the rules stream is at 1.80", Lost: 50,
		Changes: []fleet.LostChange{{Kind: "api_key", ID: "key_1", What: "revoked", Epoch: decision.Epoch{Generation: 1, Number: 80}}},
	}
	before := fmt.Sprint(a.object("FleetService/ListNodes", `{}`))
	tried := a.object(call, `{"validateOnly": true}`)
	if epoch := fmt.Sprint(at(tried, "epoch")); epoch != "map[generation:4 number:81]" {
		t.Errorf("tried: %v", tried)
	}
	done := a.object(call, `{"requestId": "r"}`)
	if epoch := fmt.Sprint(at(done, "epoch")); epoch != "map[generation:4 number:81]" || at(done, "lost") != "50" {
		t.Errorf("done: %v", done)
	}
	epoch, err := a.licensing.Epoch(t.Context())
	if err != nil || epoch.Generation != 4 || epoch.Number != 81 {
		t.Errorf("the head is %v, %v", epoch, err)
	}
	// All has changed by then, and the answer has not.
	a.heads = fleet.Heads{}
	if again := a.object(call, `{"requestId": "r"}`); fmt.Sprint(again) != fmt.Sprint(done) {
		t.Errorf("again: %v, first %v", again, done)
	}
	if after := fmt.Sprint(a.object("FleetService/ListNodes", `{}`)); after != before {
		t.Errorf("nodes %s became %s", before, after)
	}
}

func TestAPI_DrainsOnlyWhoIsSilent(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.silentNode("gone")
	if err := a.fleet.Report(t.Context(), fleet.Node{Name: "there", Boot: "b", Report: 1, State: "fresh"}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ name, body, code, says string }{
		{"one that reports", `{"name": "there"}`, "failed_precondition", "still reports"},
		{"one that is not there", `{"name": "nobody"}`, "not_found", "nobody"},
		{"none", `{}`, "invalid_argument", "name"},
	} {
		if res := a.post("FleetService/DrainNode", r.body); res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %d %s, want %s, %s", r.name, res.Status, res.Body, r.code, r.says)
		}
	}
	total := func() string {
		return fmt.Sprint(at(a.object("FleetService/WaitForEpoch", `{"timeout": "0s"}`), "total"))
	}
	if got := total(); got != "2" {
		t.Errorf("%s nodes count, want 2", got)
	}
	if res := a.object("FleetService/DrainNode", `{"name": "gone"}`); at(res, "node", "state") != fleet.Drained {
		t.Errorf("%v", res)
	}
	if got := total(); got != "1" {
		t.Errorf("%s nodes count, want 1", got)
	}
}
