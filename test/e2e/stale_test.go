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

// A node that hears nothing serves while its rules are stale and in grace, and blocks when they are too old. When NATS goes on, it is fresh with no
// restart.
func TestI8_RulesGrowOldAndFreshAgain(t *testing.T) {
	s := system.Start(t, system.Dir(t))
	r, c := s.Ready(t), s.Client(t)
	settings := &adminv1.FleetSettings{
		StaleAfter: durationpb.New(3 * time.Second), GraceAfter: durationpb.New(6 * time.Second), BlockAfter: durationpb.New(9 * time.Second),
		LoanHorizon: durationpb.New(time.Minute),
	}
	res, err := c.Fleet.UpdateFleetSettings(t.Context(), &adminv1.UpdateFleetSettingsRequest{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{Epoch: res.GetEpoch()}); err != nil {
		t.Fatal(err)
	}
	node, nats := r.Nodes[0], s.PID(t, "nats")
	is := func(state string, status int, code string) func() error {
		return func() error {
			if system.Metric(t, node.OpsURL, "tollgate_rules_state", fmt.Sprintf("state=%q", state)) != 1 {
				return fmt.Errorf("the rules are not %s", state)
			}
			got, body, err := system.Get(node.ProxyURL+"/hello", r.Demo.Keys["enterprise"])
			if err != nil || got != status || !strings.Contains(body, code) {
				return fmt.Errorf("%s: %d %s, %w", state, got, body, err)
			}
			return nil
		}
	}
	system.Eventually(t, 10*time.Second, "the node is fresh", is("fresh", http.StatusOK, ""))
	if err := syscall.Kill(nats, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Whatever the outcome, what is stopped has to go on for the system to end.
	t.Cleanup(func() { _ = syscall.Kill(nats, syscall.SIGCONT) })
	system.Eventually(t, 10*time.Second, "stale, and served", is("stale", http.StatusOK, ""))
	system.Eventually(t, 10*time.Second, "in grace, and served", is("grace", http.StatusOK, ""))
	system.Eventually(t, 10*time.Second, "blocked", is("block", http.StatusServiceUnavailable, "rules_unavailable"))
	if err := syscall.Kill(nats, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	system.Eventually(t, 20*time.Second, "fresh again", is("fresh", http.StatusOK, ""))
	if now := s.Ready(t).Nodes[0].PID; now != node.PID {
		t.Errorf("the node was restarted: %d became %d", node.PID, now)
	}
}
