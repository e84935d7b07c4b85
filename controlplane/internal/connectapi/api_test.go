package connectapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

const demo = `version: 1
meters: [{key: requests, aggregation: count}]
features: [{key: reports, type: boolean}, {key: calls, type: metered, meter: requests}]
plans:
- key: free
  name: Free
  entitlements: [{feature: calls, quota: {limit: 1000, period: month, mode: hard}}]
  rate_limits: [{key: free-rate, limit: 5, per: 1s, burst: 5, scope: license}]
  rate_cards: [{key: base, kind: flat, amount: "0.00", currency: USD}]
services: [{key: sample, endpoints: ["http://127.0.0.1:9000"]}]
routes: [{key: reports, service: sample, match: {path: "/reports/*", methods: [GET]}, requires: [reports], meter: requests, cost: {fixed: 1}}]
`

// apply brings the demo in, and returns the answer.
func (a *api) apply(yaml string) map[string]any {
	a.t.Helper()
	return a.object("CatalogService/ApplyCatalog", fmt.Sprintf(`{"yaml": %q}`, yaml))
}

func TestAPI_SpeaksEveryProtocol(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for name, c := range a.protocols() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			customers := adminv1connect.NewCustomerServiceClient(c.http, a.url, c.options...)
			made, err := customers.CreateCustomer(t.Context(), &adminv1.CreateCustomerRequest{Customer: &adminv1.Customer{
				ExternalId: name, TimeZone: "Europe/Berlin", Metadata: map[string]string{"a": "b"},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if made.GetEpoch().GetNumber() == 0 || !strings.HasPrefix(made.GetCustomer().GetId(), "cus_") {
				t.Errorf("%v", made)
			}
			got, err := customers.GetCustomer(t.Context(), &adminv1.GetCustomerRequest{Id: made.GetCustomer().GetId()})
			if err != nil || got.GetCustomer().GetExternalId() != name || got.GetCustomer().GetMetadata()["a"] != "b" {
				t.Errorf("%v, %v", got, err)
			}
			listed, err := customers.ListCustomers(t.Context(), &adminv1.ListCustomersRequest{Filter: fmt.Sprintf("external_id = %q", name)})
			if err != nil || len(listed.GetCustomers()) != 1 {
				t.Errorf("%v, %v", listed, err)
			}

			_, err = customers.CreateCustomer(t.Context(), &adminv1.CreateCustomerRequest{Customer: &adminv1.Customer{ExternalId: name}})
			ce, ok := errors.AsType[*connect.Error](err)
			if !ok || ce.Code() != connect.CodeAlreadyExists {
				t.Fatalf("the same customer again: %v", err)
			}
			if fields := violations(t, ce); !slices.Equal(fields, []string{"customer.external_id"}) {
				t.Errorf("fields in question: %q", fields)
			}
		})
	}
}

// violations are the fields that an error's details name.
func violations(t *testing.T, ce *connect.Error) (fields []string) {
	t.Helper()
	for _, d := range ce.Details() {
		v, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		if bad, ok := v.(*errdetails.BadRequest); ok {
			for _, f := range bad.GetFieldViolations() {
				fields = append(fields, f.GetField())
			}
		}
	}
	return fields
}

func TestAPI_FromCatalogToKey(t *testing.T) {
	t.Parallel()
	a := setup(t)
	first := a.apply(demo)
	if changes, ok := first["changes"].([]any); !ok || len(changes) < 6 {
		t.Errorf("changes %v", first["changes"])
	}
	again := a.apply(demo)
	if again["changes"] != nil || fmt.Sprint(again["epoch"]) != fmt.Sprint(first["epoch"]) {
		t.Errorf("applied again: %v, first epoch %v", again, first["epoch"])
	}
	customer := at(a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "acme"}}`), "customer", "id")
	issued := a.object("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free"}}`, customer))
	license := at(issued, "license", "id")
	if at(issued, "license", "status") != "LICENSE_STATUS_ACTIVE" || at(issued, "license", "planVersion") != 1.0 || at(issued, "license", "customer") != customer {
		t.Errorf("issued %v", issued)
	}
	key := a.object("CredentialService/CreateApiKey", fmt.Sprintf(`{"license": %q, "displayName": "k"}`, license))
	secret, _ := key["secret"].(string)
	if !strings.HasPrefix(secret, "tg_live_") || at(key, "epoch") == nil {
		t.Errorf("key %v", key)
	}
	if listed := a.post("CredentialService/ListApiKeys", "{}").Body; strings.Contains(listed, secret) || !strings.Contains(listed, "key_") {
		t.Errorf("keys %s", listed)
	}
	id, _ := at(key, "apiKey", "id").(string)
	if revoked := a.object("CredentialService/RevokeApiKey", fmt.Sprintf(`{"id": %q}`, id)); at(revoked, "apiKey", "revokeTime") == nil {
		t.Errorf("revoked %v", revoked)
	}
	for verb, want := range map[string]string{"SuspendLicense": "LICENSE_STATUS_SUSPENDED"} {
		if got := at(a.object("LicenseService/"+verb, fmt.Sprintf(`{"id": %q}`, license)), "license", "status"); got != want {
			t.Errorf("%s: %v", verb, got)
		}
	}
	if strings.Contains(a.log.String(), secret) || strings.Contains(a.log.String(), a.owner) {
		t.Error("I12: a secret is in the log")
	}
}

func TestAPI_PlansGoFromDraftToPublished(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.apply(demo)
	draft := a.object("CatalogService/CreatePlanDraft", `{"plan": "free"}`)
	if at(draft, "planVersion", "version") != 2.0 || at(draft, "planVersion", "state") != "PLAN_VERSION_STATE_DRAFT" {
		t.Fatalf("draft %v", draft)
	}
	updated := a.object("CatalogService/UpdatePlanDraft", `{"planVersion": {"plan": "free", "version": 2, "entitlements": [
		{"feature": "reports", "enabled": true}, {"feature": "calls", "quota": {"limit": "2000", "period": "PERIOD_DAY"}}]}, "updateMask": "entitlements"}`)
	if got := fmt.Sprint(at(updated, "planVersion", "rateLimits")); !strings.Contains(got, "free-rate") {
		t.Errorf("the mask did not keep the rate limits: %v", updated)
	}
	published := a.object("CatalogService/PublishPlanVersion", `{"plan": "free", "version": 2, "migration": "MIGRATION_NEW_ONLY"}`)
	if at(published, "planVersion", "state") != "PLAN_VERSION_STATE_PUBLISHED" {
		t.Errorf("published %v", published)
	}
	newest := a.post("CatalogService/GetPlanVersion", `{"plan": "free"}`)
	for _, want := range []string{`"limit":"2000"`, `"period":"PERIOD_DAY"`, `"mode":"QUOTA_MODE_HARD"`, `"per":"1s"`, `"version":2`, `"amount":"0.00"`} {
		if !strings.Contains(strings.ReplaceAll(newest.Body, " ", ""), want) {
			t.Errorf("no %s in %s", want, newest.Body)
		}
	}
	if res := a.post("CatalogService/PublishPlanVersion", `{"plan": "free", "version": 2}`); res.Code != "failed_precondition" {
		t.Errorf("published twice: %s", res.Body)
	}
	if res := a.post("CatalogService/PublishPlanVersion", `{"plan": "free", "version": 2, "migration": "MIGRATION_FILTER"}`); res.Code != "invalid_argument" {
		t.Errorf("a migration that is not supported: %s", res.Body)
	}
}

func TestAPI_MasksAndEtags(t *testing.T) {
	t.Parallel()
	a := setup(t)
	made := a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "acme", "displayName": "Acme", "timeZone": "UTC"}}`)
	id, etag := at(made, "customer", "id"), at(made, "customer", "etag")
	update := func(fields, mask string) answer {
		return a.post("CustomerService/UpdateCustomer", fmt.Sprintf(`{"customer": {"id": %q, %s}, "updateMask": %q}`, id, fields, mask))
	}
	if res := update(`"displayName": "New", "externalId": "other"`, "displayName"); res.Status != http.StatusOK || !strings.Contains(res.Body, `"acme"`) || !strings.Contains(res.Body, `"New"`) {
		t.Errorf("a mask changes what it names, and only that: %s", res.Body)
	}
	for _, mask := range []string{"color", "displayName,createTime", "id"} {
		if res := update(`"displayName": "X"`, mask); res.Code != "invalid_argument" || !strings.Contains(res.Message, "update_mask") {
			t.Errorf("mask %q: %s", mask, res.Body)
		}
	}
	if res := update(fmt.Sprintf(`"displayName": "Stale", "etag": %q`, etag), "displayName"); res.Code != "aborted" {
		t.Errorf("a stale etag: %s", res.Body)
	}
	fresh := at(a.object("CustomerService/GetCustomer", fmt.Sprintf(`{"id": %q}`, id)), "customer", "etag")
	if res := update(fmt.Sprintf(`"displayName": "Fresh", "etag": %q`, fresh), "displayName"); res.Status != http.StatusOK {
		t.Errorf("the current etag: %s", res.Body)
	}
}

func TestAPI_PagesGoThroughTheWholeListOnce(t *testing.T) {
	t.Parallel()
	a := setup(t)
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("m-%d", i))
		a.object("CatalogService/CreateMeter", fmt.Sprintf(`{"meter": {"key": "m-%d", "aggregation": "AGGREGATION_COUNT"}}`, i))
	}
	var got []string
	token := ""
	for pages := 1; ; pages++ {
		page := a.object("CatalogService/ListMeters", fmt.Sprintf(`{"pageSize": 3, "pageToken": %q}`, token))
		meters, _ := page["meters"].([]any)
		for _, m := range meters {
			key, _ := at(m, "key").(string)
			got = append(got, key)
		}
		if token, _ = page["nextPageToken"].(string); token == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if page := a.object("CatalogService/ListMeters", `{"pageSize": 100000}`); page["nextPageToken"] != nil {
		t.Errorf("a page size beyond 1,000 is clamped, not refused: %v", page)
	}
	token, _ = a.object("CatalogService/ListMeters", `{"pageSize": 3}`)["nextPageToken"].(string)
	for name, call := range map[string][2]string{
		"of another list":   {"CatalogService/ListFeatures", fmt.Sprintf(`{"pageToken": %q}`, token)},
		"of another filter": {"CatalogService/ListMeters", fmt.Sprintf(`{"pageToken": %q, "filter": "aggregation = sum"}`, token)},
		"broken":            {"CatalogService/ListMeters", `{"pageToken": "abc"}`},
		"of another search": {"DecisionService/SearchDecisions", fmt.Sprintf(`{"pageToken": %q}`, token)},
		"of the fleet":      {"FleetService/ListNodes", fmt.Sprintf(`{"pageToken": %q}`, token)},
	} {
		if res := a.post(call[0], call[1]); res.Code != "invalid_argument" || !strings.Contains(res.Message, "page_token") {
			t.Errorf("a token %s: %d %s", name, res.Status, res.Body)
		}
	}
}

func TestAPI_FiltersRefuseFieldsTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for call, known := range map[string]string{
		"CatalogService/ListMeters": "aggregation", "CatalogService/ListFeatures": "meter", "CatalogService/ListPlans": "archived",
		"CustomerService/ListCustomers": "external_id", "LicenseService/ListLicenses": "status", "CredentialService/ListApiKeys": "license",
		"TrafficService/ListServices": "archived", "TrafficService/ListRoutes": "service", "DecisionService/SearchDecisions": "outcome",
		"FleetService/ListNodes": "state",
	} {
		res := a.post(call, `{"filter": "color = \"red\""}`)
		if res.Code != "invalid_argument" || !strings.Contains(res.Message, "color") || !strings.Contains(res.Message, known) {
			t.Errorf("%s: %s", call, res.Body)
		}
		if res := a.post(call, fmt.Sprintf(`{"filter": "%s = \"true\" OR"}`, known)); res.Code != "invalid_argument" {
			t.Errorf("%s: %s", call, res.Body)
		}
	}
}
