package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// A node that hears nothing does what each route's policy says, through all ages of its rules. When NATS goes on, it is fresh with no restart.
func TestI8_RulesGrowOldAndFreshAgain(t *testing.T) {
	s := system.Start(t, system.Dir(t))
	r, c := s.Ready(t), s.Client(t)
	settings := &adminv1.FleetSettings{
		StaleAfter: durationpb.New(3 * time.Second), GraceAfter: durationpb.New(6 * time.Second), BlockAfter: durationpb.New(9 * time.Second),
		LoanHorizon: durationpb.New(time.Minute),
	}
	for key, policy := range map[string]adminv1.OnStale{"open": adminv1.OnStale_ON_STALE_SERVE, "closed": adminv1.OnStale_ON_STALE_BLOCK_AT_GRACE} {
		if _, err := c.Traffic.CreateRoute(t.Context(), &adminv1.CreateRouteRequest{Route: &adminv1.Route{
			Key: key, Service: "sample", Match: &adminv1.RouteMatch{Path: "/echo/" + key}, OnStale: policy,
		}}); err != nil {
			t.Fatal(err)
		}
	}
	res, err := c.Fleet.UpdateFleetSettings(t.Context(), &adminv1.UpdateFleetSettingsRequest{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{Epoch: res.GetEpoch()}); err != nil {
		t.Fatal(err)
	}
	node, nats := r.Nodes[0], s.PID(t, "nats")
	// hello has the default policy; open and closed have their own.
	const ok, no = http.StatusOK, http.StatusServiceUnavailable
	is := func(state string, hello, open, closed int) func() error {
		return func() error {
			if system.Metric(t, node.OpsURL, "tollgate_rules_state", fmt.Sprintf("state=%q", state)) != 1 {
				return fmt.Errorf("the rules are not %s", state)
			}
			for path, status := range map[string]int{"/hello": hello, "/echo/open": open, "/echo/closed": closed} {
				got, body, err := system.Get(node.ProxyURL+path, r.Demo.Keys["enterprise"])
				if err != nil || got != status || status == no && !strings.Contains(body, "rules_unavailable") {
					return fmt.Errorf("%s in %s: %d %s, %w", path, state, got, body, err)
				}
			}
			return nil
		}
	}
	system.Eventually(t, 10*time.Second, "the node is fresh", is("fresh", ok, ok, ok))
	if err := syscall.Kill(nats, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Whatever the outcome, what is stopped has to go on for the system to end.
	t.Cleanup(func() { _ = syscall.Kill(nats, syscall.SIGCONT) })
	system.Eventually(t, 10*time.Second, "stale, and served", is("stale", ok, ok, ok))
	system.Eventually(t, 10*time.Second, "in grace, and served but for who wants none of it", is("grace", ok, ok, no))
	system.Eventually(t, 10*time.Second, "blocked, but for who wants to go on", is("block", no, ok, no))
	if err := syscall.Kill(nats, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	system.Eventually(t, 20*time.Second, "fresh again", is("fresh", ok, ok, ok))
	if now := s.Ready(t).Nodes[0].PID; now != node.PID {
		t.Errorf("the node was restarted: %d became %d", node.PID, now)
	}
}
