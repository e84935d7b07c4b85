package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// One node of two is blocked while both serve. It goes on by the rules that it has, it is lent nothing, its usage waits, and is exact once it is
// taken back.
func TestI4_ABlockedNodesUsageWaitsAndIsExactAfterwards(t *testing.T) {
	s := system.Start(t, system.Dir(t), "--nodes", "2")
	r, c := s.Ready(t), s.Client(t)
	lic := licenseOf(t, c, "enterprise-co").GetId()
	newPlan(t, c, "lent", 1000)
	_, lentKey := newLicense(t, c, "lent-co", "lent")
	blocked, free := r.Nodes[0], r.Nodes[1]
	const each = 100
	var served int64
	serve := func() {
		t.Helper()
		load := &system.Load{URLs: []string{blocked.ProxyURL + "/hello", free.ProxyURL + "/hello"}, Key: r.Demo.Keys["enterprise"], Requests: 2 * each, Connections: 4}
		counts := load.Start(t).Wait()
		if counts[http.StatusOK] != 2*each {
			t.Fatalf("answers %v, want %d times 200", counts, 2*each)
		}
		served += 2 * each
	}
	used := func(want func() error) {
		t.Helper()
		system.Eventually(t, time.Minute, "usage is as it should be", want)
	}
	exactly := func() error {
		if got := usage(t, c, lic); got != served {
			return fmt.Errorf("usage %d, served %d", got, served)
		}
		return nil
	}
	serve()
	used(exactly)

	res, err := c.Fleet.BlockNode(t.Context(), &adminv1.BlockNodeRequest{Name: blocked.Name, Reason: "stolen"})
	if err != nil || res.GetNode().GetState() != "blocked" {
		t.Fatalf("%v, %v", res, err)
	}
	before := served
	serve()
	quarantined := func() (n int64) {
		for _, p := range r.ControlPlanes {
			n += system.Metric(t, p.OpsURL, "tollgate_ingest_segments_total", `result="blocked"`)
		}
		return n
	}
	system.Eventually(t, time.Minute, "the blocked node has sent again what was not taken, and the other's is in", func() error {
		first := quarantined()
		pending := system.Metric(t, free.OpsURL, "tollgate_spool_pending_segments", "")
		if got := usage(t, c, lic); first < 3 || pending > 1 || got <= before {
			return fmt.Errorf("%d segments quarantined, %d of the other pending, usage %d of %d", first, pending, got, served)
		}
		return nil
	})
	if got := usage(t, c, lic); got >= served {
		t.Errorf("usage %d of %d served: what the blocked node signed is billed", got, served)
	}
	list, err := c.Fleet.ListNodes(t.Context(), &adminv1.ListNodesRequest{Filter: `state = "blocked"`})
	if err != nil || len(list.GetNodes()) != 1 || list.GetNodes()[0].GetName() != blocked.Name || list.GetNodes()[0].GetBlockReason() != "stolen" {
		t.Errorf("%v, %v", list, err)
	}
	waited, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{})
	if err != nil || waited.GetTotal() != 1 {
		t.Errorf("%v, %v; want one node to count", waited, err)
	}
	if code, body, err := system.Get(blocked.ProxyURL+"/hello", lentKey); err != nil || code == http.StatusOK {
		t.Errorf("the blocked node was lent something: %d %s, %v", code, body, err)
	}
	lent := func(url string) error {
		code, body, err := system.Get(url+"/hello", lentKey)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%d %s", code, body)
		}
		return err
	}
	system.Eventually(t, time.Minute, "the other node is lent units", func() error { return lent(free.ProxyURL) })
	log, err := os.ReadFile(filepath.Join(r.DataDir, "logs", blocked.Name+".log"))
	if err != nil || !strings.Contains(string(log), "this node is blocked") || !strings.Contains(string(log), "tollgate fleet unblock") {
		t.Errorf("the node does not say that it is blocked: %v\n%s", err, log)
	}

	if _, err := c.Fleet.UnblockNode(t.Context(), &adminv1.UnblockNodeRequest{Name: blocked.Name}); err != nil {
		t.Fatal(err)
	}
	system.Eventually(t, time.Minute, "it is lent units again", func() error { return lent(blocked.ProxyURL) })
	serve()
	used(exactly)
	if got := upstreamCount(t, r); got < served {
		t.Errorf("the upstream served %d, clients were answered %d times", got, served)
	}
}
