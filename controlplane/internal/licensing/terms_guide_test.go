package licensing_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/catalog"
	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
)

// request is one for which every example of the guide holds.
type request struct{}

func (request) Header() map[string][]string {
	return map[string][]string{"X-Region": {"us"}, "X-Internal-Id": {"1"}}
}
func (request) Query() (map[string][]string, error) {
	return map[string][]string{"debug": {"1"}}, nil
}
func (request) ClientIP() string { return "203.0.113.9" }

// oneAccount is that of every licence.
type oneAccount struct{ of *decision.Account }

func (a oneAccount) Account(string) *decision.Account { return a.of }

// The guide's examples compile, and hold for a request that they are about; its file's terms are good ones.
func TestGuide_ItsConditionsCompileAndRun(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/guides/terms.md")
	if err != nil {
		t.Fatal(err)
	}
	file := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(string(page))
	examples := regexp.MustCompile("(?s)```cel\n(.*?)```").FindStringSubmatch(string(page))
	if file == nil || examples == nil {
		t.Fatal("the guide has no file or no examples")
	}
	c, err := catalog.Parse([]byte("version: 1\n" + file[1]))
	if err != nil || len(c.Terms) != 4 {
		t.Fatalf("%d terms, %v", len(c.Terms), err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	saturday := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	lines := strings.Split(strings.TrimSpace(examples[1]), "\n")
	for _, when := range lines {
		term := licensing.Term{Key: "t", When: when, Effect: licensing.TermBlock}
		if err := term.Validate(); err != nil {
			t.Errorf("%s: %v", when, err)
			continue
		}
		e := decision.Edit(nil)
		e.SetMeter(&decision.Meter{Key: "requests"})
		e.SetFeature(&decision.Feature{Key: "reports", Type: decision.Boolean})
		e.SetFeature(&decision.Feature{Key: "calls", Type: decision.Metered, Meter: "requests"})
		e.SetPlanVersion(&decision.PlanVersion{Plan: "p", Version: 1, Entitlements: []decision.Entitlement{
			{Feature: "reports", Enabled: true}, {Feature: "calls", Quota: &decision.Quota{Limit: 1, Period: decision.Day}},
		}})
		e.SetRoute(&decision.Route{Key: "r", Path: "/*", Meter: "requests", Cost: 100_000})
		e.SetCustomer(&decision.Customer{ID: "c"})
		e.SetLicense(&decision.License{
			ID: "l", Customer: "c", Phase: decision.Phase{Plan: "p", PlanVersion: 1}, Status: decision.Active, StartsAt: saturday.AddDate(0, -1, 0),
			EndsAt: saturday.Add(time.Hour), PastDue: true, GraceUntil: saturday.Add(time.Hour),
		})
		e.SetCredential(&decision.Credential{ID: "k", License: "l"})
		e.SetTerm(&decision.Term{Key: "t", Subject: decision.Subject{Kind: decision.SubjectAll}, When: when, Effect: decision.EffectBlock})
		s, err := e.Build(decision.Epoch{Generation: 1, Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		path := "/reports/1"
		if strings.Contains(when, "admin") {
			path = "/v2/admin/x"
		}
		r := decision.Request{Method: "POST", Path: path, Presented: decision.KeyCredential, KeyID: "k", Details: request{}}
		a := oneAccount{&decision.Account{}}
		var v decision.Verdict
		decision.Decide(&v, s, &r, a, saturday)
		if strings.Contains(when, "usage") {
			// The first was counted before the term holds.
			decision.Decide(&v, s, &r, a, saturday)
		}
		if v.Code != decision.BlockedByTerm {
			t.Errorf("%s: got %s", when, v.Code)
		}
	}
	if len(lines) < 10 {
		t.Errorf("%d examples", len(lines))
	}
}
