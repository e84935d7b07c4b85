package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// One system, many guarantees: the sub-tests run in order, each on keys of its own where it counts.
func TestTraffic(t *testing.T) {
	s := system.Start(t, system.Dir(t))
	t.Run("CurlsPrintedAnswerAsPrinted", func(t *testing.T) { curlsAnswerAsPrinted(t, s) })
	t.Run("I4_ForwardedIsCountedIsMetered", func(t *testing.T) { forwardedIsMetered(t, s) })
	t.Run("I3_RateHoldsAcrossNodes", func(t *testing.T) { rateHolds(t, s) })
	t.Run("I2_HardQuotaIsExact", func(t *testing.T) { hardQuotaIsExact(t, s) })
	t.Run("I7_PublishedIsEnforcedWithoutAFailedRequest", func(t *testing.T) { publishedIsEnforced(t, s) })
	t.Run("I7_RevokedKeyStopsOnAllNodes", func(t *testing.T) { revokedKeyStops(t, s) })
	t.Run("I7_KeysMoveInAndAreRotated", func(t *testing.T) { keysMoveIn(t, s) })
	t.Run("I6_ForgedChangeSetIsRefused", func(t *testing.T) { forgedChangeSet(t, s) })
}

// A printed curl stands below a comment that says which statuses it shows.
var (
	printedCurl = regexp.MustCompile(`(?m)^\s*# (.*\d{3}.*)\n\s*(curl .*)\n`)
	httpStatus  = regexp.MustCompile(`\b[2-5]\d\d\b`)
)

func curlsAnswerAsPrinted(t *testing.T, s *system.System) {
	out := s.Output(t)
	shown := map[string]bool{}
	for _, m := range printedCurl.FindAllStringSubmatch(out, -1) {
		got, err := exec.CommandContext(t.Context(), "bash", "-c", m[2]).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", m[2], err, got)
		}
		for _, status := range httpStatus.FindAllString(m[1], -1) {
			// A status line, or what -w prints.
			if !regexp.MustCompile(`(?m)^(HTTP/\S+ )?` + status + `\b`).Match(got) {
				t.Errorf("%s\nshows no %s:\n%s", m[2], status, got)
			}
			shown[status] = true
		}
	}
	for _, want := range []string{"200", "429", "403"} {
		if !shown[want] {
			t.Errorf("no curl that shows %s is printed:\n%s", want, out)
		}
	}
}

func forwardedIsMetered(t *testing.T, s *system.System) {
	const n = 20_000
	r, c := s.Ready(t), s.Client(t)
	lic := licenseOf(t, c, "enterprise-co")
	before, upstream := usage(t, c, lic.GetId()), upstreamCount(t, r)
	var nodes []int64
	for _, node := range r.Nodes {
		nodes = append(nodes, system.Metric(t, node.OpsURL, `tollgate_decisions_total`, `outcome="forward"`))
	}
	load := &system.Load{URLs: []string{r.ProxyURL + "/hello"}, Key: r.Demo.Keys["enterprise"], Requests: n, Connections: 64}
	counts := load.Start(t).Wait()
	if counts[http.StatusOK] != n || len(counts) != 1 {
		t.Fatalf("answers %v, want %d times 200", counts, n)
	}
	if got := upstreamCount(t, r) - upstream; got != n {
		t.Errorf("the upstream counted %d, want %d", got, n)
	}
	lag := system.Eventually(t, 5*time.Second, "usage is complete", func() error {
		if got := usage(t, c, lic.GetId()) - before; got != n {
			return fmt.Errorf("usage %d, want %d", got, n)
		}
		return nil
	})
	for i, node := range r.Nodes {
		share := float64(system.Metric(t, node.OpsURL, `tollgate_decisions_total`, `outcome="forward"`)-nodes[i]) / n
		t.Logf("%s took %.0f %%", node.Name, share*100)
		if share < 0.1 {
			t.Errorf("%s took %.1f %% of the requests, want at least 10 %%", node.Name, share*100)
		}
	}
	t.Logf("usage was complete %s after the load", lag.Round(time.Millisecond))
}

func rateHolds(t *testing.T, s *system.System) {
	const rate, burst = 5, 5
	r, c := s.Ready(t), s.Client(t)
	lic, key := newLicense(t, c, "rate-co", "free")
	load := &system.Load{URLs: []string{r.ProxyURL + "/hello"}, Key: key, For: 5 * time.Second, Connections: 64}
	counts := load.Start(t).Wait()
	ok := counts[http.StatusOK]
	t.Logf("answers %v", counts)
	if ok < 20 {
		t.Errorf("%d forwarded in 5 s on 5/s, want at least 20", ok)
	}
	if counts[http.StatusOK]+counts[http.StatusTooManyRequests] != total(counts) {
		t.Errorf("answers %v, want 200 and 429 alone", counts)
	}
	var times []time.Time
	system.Eventually(t, 10*time.Second, "all forwarded decisions are in", func() error {
		times = decisionTimes(t, c, lic)
		if len(times) != ok {
			return fmt.Errorf("%d decisions, %d answers", len(times), ok)
		}
		return nil
	})
	slices.SortFunc(times, time.Time.Compare)
	for i := range times {
		for j := i; j < len(times); j++ {
			window := times[j].Sub(times[i]).Seconds()
			if n := float64(j - i + 1); n > burst+rate*window+1e-6 {
				t.Fatalf("%.0f forwarded within %.3f s, at most %.1f are allowed", n, window, burst+rate*window)
			}
		}
	}
}

func hardQuotaIsExact(t *testing.T, s *system.System) {
	const limit, requests = 1000, 3000
	r, c := s.Ready(t), s.Client(t)
	newPlan(t, c, "thousand", limit)
	lic, key := newLicense(t, c, "thousand-co", "thousand")
	urls := []string{r.Nodes[0].ProxyURL + "/hello", r.Nodes[1].ProxyURL + "/hello"}
	load := &system.Load{URLs: urls, Key: key, Requests: requests, Connections: 64}
	counts := load.Start(t).Wait()
	t.Logf("answers %v", counts)
	if counts[http.StatusOK] != limit || counts[http.StatusTooManyRequests] != requests-limit {
		t.Errorf("answers %v, want %d times 200 and %d times 429", counts, limit, requests-limit)
	}
	system.Eventually(t, 10*time.Second, "usage is complete", func() error {
		if got := usage(t, c, lic); got != limit {
			return fmt.Errorf("usage %d, want %d", got, limit)
		}
		return nil
	})
}

func publishedIsEnforced(t *testing.T, s *system.System) {
	r, c := s.Ready(t), s.Client(t)
	ctx := t.Context()
	lic, key := newLicense(t, c, "publish-co", "pro")
	_ = lic
	load := &system.Load{URLs: []string{r.ProxyURL + "/hello"}, Key: r.Demo.Keys["enterprise"], Connections: 8}
	load.Start(t)

	_, oldKey := newLicense(t, c, "free-old-co", "free")
	expect(t, r, oldKey, "/reports/x", http.StatusForbidden)
	publish := func(migration adminv1.Migration) {
		t.Helper()
		draft, err := c.Catalog.CreatePlanDraft(ctx, &adminv1.CreatePlanDraftRequest{Plan: "free"})
		if err != nil {
			t.Fatal(err)
		}
		v := draft.GetPlanVersion()
		if !slices.ContainsFunc(v.GetEntitlements(), func(e *adminv1.Entitlement) bool { return e.GetFeature() == "reports" }) {
			v.Entitlements = append(v.Entitlements, &adminv1.Entitlement{Feature: "reports", Enabled: true})
		}
		// The test asks more than 5 times a second.
		for _, l := range v.GetRateLimits() {
			l.Limit, l.Burst = 1000, 1000
		}
		if _, err := c.Catalog.UpdatePlanDraft(ctx, &adminv1.UpdatePlanDraftRequest{PlanVersion: v}); err != nil {
			t.Fatal(err)
		}
		res, err := c.Catalog.PublishPlanVersion(ctx, &adminv1.PublishPlanVersionRequest{Plan: "free", Version: v.GetVersion(), Migration: migration})
		if err != nil {
			t.Fatal(err)
		}
		if (res.GetMoved() > 0) != (migration == adminv1.Migration_MIGRATION_NOW) {
			t.Errorf("%s moved %d licences", migration, res.GetMoved())
		}
	}
	publish(adminv1.Migration_MIGRATION_NEW_ONLY)
	_, newKey := newLicense(t, c, "free-new-co", "free")
	expect(t, r, newKey, "/reports/x", http.StatusOK)
	expect(t, r, oldKey, "/reports/x", http.StatusForbidden)
	publish(adminv1.Migration_MIGRATION_NOW)
	expect(t, r, oldKey, "/reports/x", http.StatusOK)
	expect(t, r, key, "/reports/x", http.StatusOK)
	if counts := load.Stop(); len(counts) != 1 || counts[http.StatusOK] == 0 {
		t.Errorf("answers while publishing %v, want 200 alone", counts)
	}
}

func revokedKeyStops(t *testing.T, s *system.System) {
	r, c := s.Ready(t), s.Client(t)
	lic, _ := newLicense(t, c, "revoke-co", "pro")
	key, err := c.Keys.CreateApiKey(t.Context(), &adminv1.CreateApiKeyRequest{License: lic})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, key.GetSecret(), "/hello", http.StatusOK)
	res, err := c.Keys.RevokeApiKey(t.Context(), &adminv1.RevokeApiKeyRequest{Id: key.GetApiKey().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, key.GetSecret(), "/hello", http.StatusUnauthorized)
	waited, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{Epoch: res.GetEpoch(), Timeout: durationpb.New(2 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if waited.GetEnforced() != waited.GetTotal() || int(waited.GetTotal()) != len(r.Nodes) {
		t.Errorf("%d of %d nodes enforce the epoch, want %d", waited.GetEnforced(), waited.GetTotal(), len(r.Nodes))
	}
	_, body, err := system.Get(r.ProxyURL+"/hello", key.GetSecret())
	if err != nil || !strings.Contains(body, `"code":"credential_revoked"`) {
		t.Errorf("answer %s, %v, want code credential_revoked", body, err)
	}
}

// expect waits until every node answers with status: within 1 s, as a published change must.
func expect(t *testing.T, r system.Ready, key, path string, status int) {
	t.Helper()
	for _, n := range r.Nodes {
		system.Eventually(t, time.Second, fmt.Sprintf("%s answers %d at %s", n.Name, status, path), func() error {
			got, body, err := system.Get(n.ProxyURL+path, key)
			if err != nil || got != status {
				return errors.Join(err, fmt.Errorf("%d %s", got, body))
			}
			return nil
		})
	}
}

// newPlan publishes a plan with a hard monthly quota of calls and nothing else.
func newPlan(t *testing.T, c *system.Client, plan string, limit int64) {
	t.Helper()
	ctx := t.Context()
	if _, err := c.Catalog.CreatePlan(ctx, &adminv1.CreatePlanRequest{Plan: &adminv1.Plan{Key: plan}}); err != nil {
		t.Fatal(err)
	}
	draft, err := c.Catalog.CreatePlanDraft(ctx, &adminv1.CreatePlanDraftRequest{Plan: plan})
	if err != nil {
		t.Fatal(err)
	}
	v := draft.GetPlanVersion()
	v.Entitlements = []*adminv1.Entitlement{{
		Feature: "calls",
		Quota:   &adminv1.Quota{Limit: limit, Period: adminv1.Period_PERIOD_MONTH, Mode: adminv1.QuotaMode_QUOTA_MODE_HARD},
	}}
	if _, err := c.Catalog.UpdatePlanDraft(ctx, &adminv1.UpdatePlanDraftRequest{PlanVersion: v}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Catalog.PublishPlanVersion(ctx, &adminv1.PublishPlanVersionRequest{Plan: plan, Version: v.GetVersion()}); err != nil {
		t.Fatal(err)
	}
}

func newLicense(t *testing.T, c *system.Client, externalID, plan string) (license, key string) {
	t.Helper()
	cus, err := c.Customers.CreateCustomer(t.Context(), &adminv1.CreateCustomerRequest{Customer: &adminv1.Customer{ExternalId: externalID}})
	if err != nil {
		t.Fatal(err)
	}
	lic, err := c.Licenses.IssueLicense(t.Context(), &adminv1.IssueLicenseRequest{License: &adminv1.License{Customer: cus.GetCustomer().GetId(), Plan: plan}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.Keys.CreateApiKey(t.Context(), &adminv1.CreateApiKeyRequest{License: lic.GetLicense().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{Epoch: k.GetEpoch()}); err != nil {
		t.Fatal(err)
	}
	return lic.GetLicense().GetId(), k.GetSecret()
}

func licenseOf(t *testing.T, c *system.Client, externalID string) *adminv1.License {
	t.Helper()
	cus, err := c.Customers.ListCustomers(t.Context(), &adminv1.ListCustomersRequest{Filter: fmt.Sprintf("external_id = %q", externalID)})
	if err != nil {
		t.Fatal(err)
	}
	if len(cus.GetCustomers()) != 1 {
		t.Fatalf("%d customers %s", len(cus.GetCustomers()), externalID)
	}
	lic, err := c.Licenses.ListLicenses(t.Context(), &adminv1.ListLicensesRequest{Filter: fmt.Sprintf("customer = %q", cus.GetCustomers()[0].GetId())})
	if err != nil {
		t.Fatal(err)
	}
	if len(lic.GetLicenses()) != 1 {
		t.Fatalf("%d licences of %s", len(lic.GetLicenses()), externalID)
	}
	return lic.GetLicenses()[0]
}

// usage is a licence's total of the meter requests, -1 where the API cannot be asked.
func usage(t *testing.T, c *system.Client, license string) int64 {
	t.Helper()
	res, err := c.Usage.QueryUsage(t.Context(), &adminv1.QueryUsageRequest{
		License: license, Meter: "requests",
		From: timestamppb.New(time.Now().Add(-40 * 24 * time.Hour)), To: timestamppb.New(time.Now().Add(24 * time.Hour)),
	})
	if err != nil {
		t.Logf("usage: %v", err)
		return -1
	}
	return res.GetTotal()
}

func upstreamCount(t *testing.T, r system.Ready) int64 {
	t.Helper()
	_, body, err := system.Get(r.UpstreamStatsURL, "")
	if err != nil {
		t.Fatal(err)
	}
	var stats struct {
		Requests int64 `json:"requests"`
	}
	if err := json.Unmarshal([]byte(body), &stats); err != nil {
		t.Fatal(err)
	}
	return stats.Requests
}

// decisionTimes are the times of a licence's forwarded decisions.
func decisionTimes(t *testing.T, c *system.Client, license string) []time.Time {
	t.Helper()
	var times []time.Time
	token := ""
	for {
		res, err := c.Decisions.SearchDecisions(t.Context(), &adminv1.SearchDecisionsRequest{
			Filter: fmt.Sprintf(`license = %q AND outcome = "forward"`, license), PageSize: 1000, PageToken: token,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range res.GetDecisions() {
			times = append(times, d.GetTime().AsTime())
		}
		if token = res.GetNextPageToken(); token == "" {
			return times
		}
	}
}

func total(counts map[int]int) int {
	n := 0
	for _, v := range counts {
		n += v
	}
	return n
}
