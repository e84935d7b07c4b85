package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// A term that was saved is enforced by every node, its denial says which term it was, and archiving it lets requests through again.
func TestTerm_SavedIsEnforced(t *testing.T) {
	s := system.Start(t, system.Dir(t))
	r, c := s.Ready(t), s.Client(t)
	ctx := t.Context()
	license, key := newLicense(t, c, "terms-co", "pro")
	used := func() int64 { return usage(t, c, license) }
	expect(t, r, key, "/hello", http.StatusOK)

	wait := func(epoch *adminv1.Epoch) {
		t.Helper()
		waited, err := c.Fleet.WaitForEpoch(ctx, &adminv1.WaitForEpochRequest{Epoch: epoch, Timeout: durationpb.New(5 * time.Second)})
		if err != nil || waited.GetEnforced() != waited.GetTotal() {
			t.Fatalf("%d of %d nodes enforce the epoch, %v", waited.GetEnforced(), waited.GetTotal(), err)
		}
	}
	made, err := c.Traffic.CreateTerm(ctx, &adminv1.CreateTermRequest{Term: &adminv1.Term{
		Key: "no-hello", On: "license:" + license, When: `request.path == "/hello" && !("let-me" in request.query)`,
		Effect: adminv1.TermEffect_TERM_EFFECT_BLOCK, Message: "No greetings.",
	}})
	if err != nil {
		t.Fatal(err)
	}
	wait(made.GetEpoch())
	for _, n := range r.Nodes {
		status, body, err := system.Get(n.ProxyURL+"/hello", key)
		if err != nil || status != http.StatusForbidden || !strings.Contains(body, `"code":"blocked_by_term"`) ||
			!strings.Contains(body, `"policy":"no-hello"`) || !strings.Contains(body, "No greetings.") {
			t.Errorf("%s: %d %s %v", n.Name, status, body, err)
		}
		if status, body, err := system.Get(n.ProxyURL+"/hello?let-me=1", key); err != nil || status != http.StatusOK {
			t.Errorf("%s, where it does not hold: %d %s %v", n.Name, status, body, err)
		}
		// It is on another licence.
		if status, body, err := system.Get(n.ProxyURL+"/hello", r.Demo.Keys["enterprise"]); err != nil || status != http.StatusOK {
			t.Errorf("%s, another licence: %d %s %v", n.Name, status, body, err)
		}
	}

	changed, err := c.Traffic.UpdateTerm(ctx, &adminv1.UpdateTermRequest{Term: &adminv1.Term{
		Key: "no-hello", On: "license:" + license, When: "true", Effect: adminv1.TermEffect_TERM_EFFECT_COST, Cost: new(int64(7)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	wait(changed.GetEpoch())
	before := int64(0)
	system.Eventually(t, 5*time.Second, "usage is complete", func() error {
		if before = used(); before != int64(2*len(r.Nodes)) {
			return fmt.Errorf("usage %d", before)
		}
		return nil
	})
	if status, body, err := system.Get(r.Nodes[0].ProxyURL+"/hello", key); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
	system.Eventually(t, 5*time.Second, "the term's cost is metered", func() error {
		if n := used() - before; n != 7 {
			return fmt.Errorf("%d units", n)
		}
		return nil
	})

	gone, err := c.Traffic.ArchiveTerm(ctx, &adminv1.ArchiveTermRequest{Key: "no-hello"})
	if err != nil {
		t.Fatal(err)
	}
	wait(gone.GetEpoch())
	expect(t, r, key, "/hello", http.StatusOK)
	system.Eventually(t, 5*time.Second, "the denials are logged", func() error {
		res, err := c.Decisions.SearchDecisions(ctx, &adminv1.SearchDecisionsRequest{
			Filter: fmt.Sprintf(`license = %q AND code = "blocked_by_term"`, license), From: timestamppb.New(time.Now().Add(-time.Hour)),
		})
		if err != nil {
			return err
		}
		if n := len(res.GetDecisions()); n != len(r.Nodes) {
			return fmt.Errorf("%d decisions", n)
		}
		for _, d := range res.GetDecisions() {
			if d.GetPolicy() != "no-hello" || d.GetOutcome() != "block" || d.GetCost() != 0 {
				return errors.New(d.String())
			}
		}
		return nil
	})
}
