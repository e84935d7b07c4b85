package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// A control plane of the next version goes together with nodes of this one: what they may pass over, they do; what they must not, they refuse, and say so
// where the fleet is shown, and serve by the rules before.
func TestI1_NodesAndAControlPlaneOfTheNextVersion(t *testing.T) {
	next := filepath.Join(t.TempDir(), "tollgate")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "nextversion", "-o", next, "./cmd/tollgate")
	build.Dir = "../../controlplane"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the next version: %v\n%s", err, out)
	}
	s := system.StartBinary(t, next, system.Dir(t))
	r, c := s.Ready(t), s.Client(t)
	service := func(key string) *adminv1.Epoch {
		res, err := c.Traffic.CreateService(t.Context(), &adminv1.CreateServiceRequest{Service: &adminv1.Service{Key: key, Endpoints: []string{"http://127.0.0.1:1"}}})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetEpoch()
	}
	taken := service("other")
	if res, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{Epoch: taken}); err != nil || res.GetEnforced() == 0 || res.GetEnforced() != res.GetTotal() {
		t.Fatalf("%v of the nodes passed over what they may: %v", res, err)
	}
	service("next-one")
	for _, n := range r.Nodes {
		system.Eventually(t, 20*time.Second, n.Name+" counts what it refuses", func() error {
			if got := system.Metric(t, n.OpsURL, "tollgate_rules_rejected_total", `reason="needs"`); got == 0 {
				return fmt.Errorf("%d refused", got)
			}
			return nil
		})
	}
	system.Eventually(t, 20*time.Second, "the fleet shows it", func() error {
		res, err := c.Fleet.ListNodes(t.Context(), &adminv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		for _, n := range res.GetNodes() {
			if n.GetRefuses() != "needs" || n.GetEpoch().GetNumber() != taken.GetNumber() {
				return fmt.Errorf("%s", n)
			}
		}
		return nil
	})
	expect(t, r, r.Demo.Keys["enterprise"], "/hello", http.StatusOK)
}
