package connectapi

import (
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"tollgate/controlplane/internal/fleet"
	"tollgate/dataplane/decision"
)

func (a *api) report(name string, number uint64) {
	a.t.Helper()
	e := decision.Epoch{Generation: 1, Number: number}
	if err := a.fleet.Report(a.t.Context(), fleet.Node{Name: name, Boot: "b", Report: number, State: "fresh", Epoch: e, Proven: e, ProvenHash: []byte{1}}); err != nil {
		a.t.Fatal(err)
	}
}

// What a node says while it is blocked counts for nothing, and all of it is there again after that.
func TestI7_ABlockedNodeCountsForNothing(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.report("node-1", 5)
	a.report("node-2", 900)
	counts := func() string {
		t.Helper()
		res := a.object("FleetService/WaitForEpoch", `{"epoch": {"generation": "1", "number": "5"}, "timeout": "0s"}`)
		proven, _, known, err := a.db.Outbox().Proven(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		live, err := a.db.Lending().LiveNodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(at(res, "enforced"), "/", at(res, "total"), " proven ", proven.Number, " known ", known, " live ", live)
	}
	const all = "2/2 proven 900 known 2 live 2"
	if got := counts(); got != all {
		t.Fatalf("before: %s", got)
	}
	tried := a.object("FleetService/BlockNode", `{"name": "node-2", "reason": "stolen", "validateOnly": true}`)
	if at(tried, "node", "state") != fleet.Blocked || counts() != all {
		t.Errorf("only checked: %v, %s", tried, counts())
	}
	done := a.object("FleetService/BlockNode", `{"name": "node-2", "reason": "stolen"}`)
	if at(done, "node", "state") != fleet.Blocked || at(done, "node", "blockReason") != "stolen" || at(done, "node", "blockTime") == nil {
		t.Errorf("blocked: %v", done)
	}
	a.report("node-2", 901)
	if got := counts(); got != "1/1 proven 5 known 1 live 1" {
		t.Errorf("blocked: %s", got)
	}
	listed := a.object("FleetService/ListNodes", `{"filter": "state = \"blocked\""}`)
	if all := at(listed, "nodes").([]any); len(all) != 1 || at(all[0].(map[string]any), "blockReason") != "stolen" {
		t.Errorf("listed: %v", listed)
	}
	again := a.object("FleetService/BlockNode", `{"name": "node-2", "reason": "another"}`)
	if at(again, "node", "blockReason") != "stolen" || at(again, "node", "blockTime") != at(done, "node", "blockTime") {
		t.Errorf("blocked again: %v", again)
	}
	tried = a.object("FleetService/UnblockNode", `{"name": "node-2", "validateOnly": true}`)
	if at(tried, "node", "state") != "fresh" || counts() == all {
		t.Errorf("only checked: %v, %s", tried, counts())
	}
	for range 2 { // One that is not blocked stays as it is.
		if back := a.object("FleetService/UnblockNode", `{"name": "node-2"}`); at(back, "node", "state") != "fresh" || at(back, "node", "blockReason") != nil {
			t.Errorf("unblocked: %v", back)
		}
	}
	if got := counts(); got != "2/2 proven 901 known 2 live 2" {
		t.Errorf("after: %s", got)
	}
}

func TestBlockNode_RefusesBadInput(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.report("node-1", 5)
	before := a.events()
	for _, r := range []struct{ call, body, code, says string }{
		{"BlockNode", `{"reason": "r"}`, "invalid_argument", "name"},
		{"BlockNode", `{"name": "` + strings.Repeat("n", 129) + `", "reason": "r"}`, "invalid_argument", "name"},
		{"BlockNode", `{"name": "a\u0000", "reason": "r"}`, "invalid_argument", "name"},
		{"BlockNode", `{"name": "nobody", "reason": "r"}`, "not_found", "nobody"},
		{"BlockNode", `{"name": "node-1"}`, "invalid_argument", "reason"},
		{"BlockNode", `{"name": "node-1", "reason": "  "}`, "invalid_argument", "reason"},
		{"BlockNode", `{"name": "node-1", "reason": "a\nb"}`, "invalid_argument", "reason"},
		{"BlockNode", `{"name": "node-1", "reason": "` + strings.Repeat("r", 501) + `"}`, "invalid_argument", "reason"},
		{"UnblockNode", `{}`, "invalid_argument", "name"},
		{"UnblockNode", `{"name": "a\u0000"}`, "invalid_argument", "name"},
		{"UnblockNode", `{"name": "nobody"}`, "not_found", "nobody"},
	} {
		if res := a.post("FleetService/"+r.call, r.body); res.Code != r.code || !strings.Contains(res.Body, r.says) {
			t.Errorf("%s %.60s: %d %s, want %s of %s", r.call, r.body, res.Status, res.Body, r.code, r.says)
		}
	}
	if got := a.events(); got != before {
		t.Errorf("%d events of what was refused", got-before)
	}
	if state := at(a.object("FleetService/ListNodes", `{}`)["nodes"].([]any)[0].(map[string]any), "state"); state != "fresh" {
		t.Errorf("the node is %v", state)
	}
}

// A blocked key gets nothing more under any name; other keys that take its name over are not blocked, and its own stay so.
func TestJoin_ABlockedKeyGetsNothingMore(t *testing.T) {
	t.Parallel()
	a := setup(t)
	_, every := a.joinToken(`{"uses": 9}`)
	_, replace := a.joinToken(`{"node": "node-1", "replace": true, "uses": 9}`)
	stolen := newNode(t)
	joined, err := a.joins().Join(t.Context(), stolen.asks(t, every, "node-1"))
	if err != nil {
		t.Fatal(err)
	}
	res := a.object("FleetService/BlockNode", `{"name": "node-1", "reason": "stolen"}`) // It never reported.
	if at(res, "node", "natsUser") != stolen.user {
		t.Errorf("%v, want to be told the user to revoke in NATS, %s", res, stolen.user)
	}
	refused := func(when string) {
		t.Helper()
		for what, req := range map[string]struct {
			keys        joiningNode
			token, name string
		}{
			"the same call again":  {stolen, every, "node-1"},
			"by replace":           {stolen, replace, "node-1"},
			"another name":         {stolen, every, "node-2"},
			"its NATS user's key":  {joiningNode{newNode(t).key, stolen.user}, replace, "node-1"},
			"its key, a new user":  {joiningNode{stolen.key, newNode(t).user}, replace, "node-1"},
			"that and a new name":  {joiningNode{stolen.key, newNode(t).user}, every, "node-3"},
			"its user, a new name": {joiningNode{newNode(t).key, stolen.user}, every, "node-4"},
		} {
			_, err := a.joins().Join(t.Context(), req.keys.asks(t, req.token, req.name))
			wantCode(t, when+": "+what, err, connect.CodePermissionDenied, "node-1 is blocked: stolen")
		}
	}
	refused("blocked")
	_, err = a.joins().Renew(t.Context(), stolen.renews(joined.GetCertificate()))
	wantCode(t, "it renews", err, connect.CodePermissionDenied, "node-1 is blocked: stolen")
	_, err = a.joins().Join(t.Context(), newNode(t).asks(t, every, "node-1"))
	wantCode(t, "others without replace", err, connect.CodeAlreadyExists, "another node is called node-1")

	a.object("FleetService/UnblockNode", `{"name": "node-1"}`)
	if _, err := a.joins().Renew(t.Context(), stolen.renews(joined.GetCertificate())); err != nil {
		t.Errorf("unblocked, it renews: %v", err)
	}
	a.object("FleetService/BlockNode", `{"name": "node-1", "reason": "stolen"}`)
	heir := newNode(t)
	taken, err := a.joins().Join(t.Context(), heir.asks(t, replace, ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.joins().Renew(t.Context(), heir.renews(taken.GetCertificate())); err != nil {
		t.Errorf("the heir renews: %v", err)
	}
	a.object("FleetService/UnblockNode", `{"name": "node-1"}`) // The heir's, which is not blocked.
	refused("taken over")
}
