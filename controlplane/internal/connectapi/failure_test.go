package connectapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
)

func TestAPI_APanicIsAnInternalErrorAndTheServerLives(t *testing.T) {
	t.Parallel()
	// A service without a store panics at its first read.
	a := setupOn(t, pgtest.Open(t), func(c *Config) { c.Metering = metering.NewService(nil) })
	res := a.post("DecisionService/GetDecision", `{"id": "dec_1"}`)
	if res.Status != http.StatusInternalServerError || res.Code != "internal" || strings.Contains(res.Message, "nil pointer") {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	id := res.Header.Get(requestIDHeader)
	if !strings.Contains(res.Message, id) || !strings.Contains(a.log.String(), id) || !strings.Contains(a.log.String(), "nil pointer") {
		t.Errorf("the log does not have the call %s: %s", id, a.log.String())
	}
	if res := a.post("AccessService/WhoAmI", "{}"); res.Status != http.StatusOK {
		t.Errorf("after a panic: %s", res.Body)
	}
}

func TestAPI_WithoutPostgresItSaysUnavailableAndComesBack(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	a := setupOn(t, db)
	a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "acme"}}`)
	server.Kill(t)
	for _, call := range [][2]string{
		{"CustomerService/ListCustomers", "{}"},
		{"CustomerService/CreateCustomer", `{"customer": {"externalId": "other"}}`},
		{"DecisionService/SearchDecisions", "{}"},
		{"FleetService/ListNodes", "{}"},
		{"FleetService/WaitForEpoch", `{"timeout": "1s"}`},
	} {
		res := a.post(call[0], call[1])
		if res.Status != http.StatusServiceUnavailable || res.Code != "unavailable" || !strings.Contains(res.Message, "database") {
			t.Errorf("%s: %d %s", call[0], res.Status, res.Body)
		}
	}
	server.Restart(t)
	if res := a.post("CustomerService/ListCustomers", "{}"); !strings.Contains(res.Body, "acme") || strings.Contains(res.Body, "other") {
		t.Errorf("after the restart: %s", res.Body)
	}
}

func TestHandler_RefusesAConfigWithHoles(t *testing.T) {
	t.Parallel()
	if _, err := Handler(Config{Others: http.NotFoundHandler()}); err == nil {
		t.Error("accepted")
	}
}

func TestAPI_ShowsTheFleetAndWaitsForIt(t *testing.T) {
	t.Parallel()
	a := setup(t)
	epoch, err := a.licensing.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	report := func(name string, number uint64, seq uint64) {
		t.Helper()
		if err := a.fleet.Report(t.Context(), fleet.Node{
			Name: name, Boot: "b1", Version: "v", Epoch: licensing.Epoch{Generation: epoch.Generation, Number: number}, State: "fresh",
			Lag: 12 * time.Millisecond, SpoolBytes: 5, ProxyRPS: 1.5, Report: seq,
		}); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(body string) string { return fmt.Sprint(a.object("FleetService/WaitForEpoch", body)) }
	if got := wait(`{"timeout": "0s"}`); got != "map[]" {
		t.Errorf("without nodes: %s", got)
	}
	report("node-1", epoch.Number, 1)
	report("node-2", epoch.Number-1, 1)
	if got := wait(`{"timeout": "0.1s"}`); got != "map[enforced:1 total:2]" {
		t.Errorf("one is behind: %s", got)
	}
	if got := wait(fmt.Sprintf(`{"epoch": {"generation": "%d", "number": "%d"}, "timeout": "10s"}`, epoch.Generation, epoch.Number-1)); got != "map[enforced:2 total:2]" {
		t.Errorf("for the one before: %s", got)
	}
	report("node-2", epoch.Number, 2)
	if got := wait(`{}`); got != "map[enforced:2 total:2]" {
		t.Errorf("both: %s", got)
	}
	nodes := a.post("FleetService/ListNodes", `{"filter": "state = \"fresh\"", "pageSize": 1}`)
	for _, want := range []string{`"node-1"`, `"lagMs":"12"`, `"proxyRps":1.5`, `"spoolBytes":"5"`, `"nextPageToken"`, fmt.Sprintf(`"number":"%d"`, epoch.Number)} {
		if !strings.Contains(strings.ReplaceAll(nodes.Body, " ", ""), want) {
			t.Errorf("no %s in %s", want, nodes.Body)
		}
	}
	if strings.Contains(nodes.Body, "node-2") {
		t.Errorf("a page of one: %s", nodes.Body)
	}
	if res := a.post("FleetService/ListNodes", `{"filter": "state = \"block\""}`); res.Body != "{}" {
		t.Errorf("%s", res.Body)
	}
}
