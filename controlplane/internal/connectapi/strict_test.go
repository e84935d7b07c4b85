package connectapi

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAPI_JSONIsStrict(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for body, want := range map[string]string{
		`{"custmer": {}}`:                       "custmer",
		`{"customer": {"externalID": "x"}}`:     "externalID",
		`{"customer": {"externalId": 5}}`:       "externalId",
		`{"customer": {"metadata": {"a": {}}}}`: "a",
		`{"customer": []}`:                      "unexpected token [",
		`[]`:                                    "",
		``:                                      "empty",
		`{`:                                     "",
		`{"customer": {"externalId": "x"}} {}`:  "",
	} {
		for _, contentType := range []string{"application/json", "application/json; charset=utf-8"} {
			res := a.post("CustomerService/CreateCustomer", body, "Content-Type", contentType)
			if res.Status != http.StatusBadRequest || res.Code != "invalid_argument" || !strings.Contains(res.Message, want) {
				t.Errorf("%s: %s: %d %s", contentType, body, res.Status, res.Body)
			}
			if strings.Contains(res.Message, "\u00a0") {
				t.Errorf("%s: the message has a space of a random kind: %q", body, res.Message)
			}
		}
	}
	if res := a.post("CustomerService/ListCustomers", "{}"); res.Body != "{}" {
		t.Errorf("something was stored: %s", res.Body)
	}
	// An underscore is the proto's own name, which JSON may use (ProtoJSON).
	if res := a.post("CustomerService/CreateCustomer", `{"customer": {"external_id": "x"}}`); res.Status != http.StatusOK || strings.Contains(res.Body, "external_id") {
		t.Errorf("%s", res.Body)
	}
}

func TestAPI_LimitsOfTheProtosAreKept(t *testing.T) {
	t.Parallel()
	a := setup(t)
	long := strings.Repeat("x", 300)
	for _, tt := range []struct{ call, body, field string }{
		{"CustomerService/ListCustomers", `{"pageSize": -1}`, "page_size"},
		{"CustomerService/GetCustomer", `{}`, "id"},
		{"CustomerService/CreateCustomer", `{}`, "customer"},
		{"CustomerService/CreateCustomer", `{"customer": {"externalId": "` + long + `"}}`, "customer.external_id"},
		{"CatalogService/CreateFeature", `{"feature": {"key": "a", "type": 77}}`, "feature.type"},
		{"CatalogService/PublishPlanVersion", `{"plan": "free"}`, "version"},
		{"CatalogService/UpdatePlanDraft", `{"planVersion": {"rateLimits": [{"key": "a", "limit": 1, "per": "1s"}, {"key": "b", "limit": 0, "per": "1s"}]}}`, "plan_version.rate_limits[1].limit"},
		{"UsageService/QueryUsage", `{"license": "l", "meter": "m", "from": "2026-01-01T00:00:00Z"}`, "to"},
		{"FleetService/WaitForEpoch", `{"timeout": "61s"}`, "timeout"},
		{"CatalogService/CreateFeature", `{"feature": {"key": "UPPER", "type": "FEATURE_TYPE_BOOLEAN"}}`, "feature.key"},
		{"LicenseService/IssueLicense", `{"license": {"plan": "free"}}`, "license.customer"},
		{"AccessService/CreateToken", `{"token": {}}`, "token.role"},
		{"CatalogService/CreateFeature", `{"feature": {"key": "a", "type": "FEATURE_TYPE_STATIC", "meter": "m"}}`, "feature.meter"},
	} {
		res := a.post(tt.call, tt.body)
		if res.Code != "invalid_argument" || !strings.Contains(res.Message, tt.field) {
			t.Errorf("%s %.100s: want %s, got %s", tt.call, tt.body, tt.field, res.Body)
			continue
		}
		named := slices.ContainsFunc(res.Details, func(d detail) bool { return d.Type == "google.rpc.BadRequest" })
		if !named {
			t.Errorf("%s %.100s: details %v", tt.call, tt.body, res.Details)
		}
	}
}

func TestAPI_QueriesThatMakeNoSenseAreTheCallersFault(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for _, body := range []string{
		`{"license": "l", "meter": "m", "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}`,
		`{"license": "l", "meter": "m", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "window": "90s"}`,
		`{"license": "l", "meter": "m", "from": "2000-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "window": "60s"}`,
	} {
		if res := a.post("UsageService/QueryUsage", body); res.Code != "invalid_argument" || strings.Contains(res.Message, "query usage") {
			t.Errorf("%s: %s", body, res.Body)
		}
	}
	if res := a.post("UsageService/QueryUsage", `{"license": "l", "meter": "m", "from": "2026-01-01T00:00:30.5Z", "to": "2126-01-02T00:00:00Z"}`); res.Status != http.StatusOK {
		t.Errorf("unaligned and future bounds: %s", res.Body)
	}
	if res := a.post("DecisionService/GetDecision", `{"id": "dec_none"}`); res.Code != "not_found" {
		t.Errorf("%s", res.Body)
	}
}

// endless is a body that never ends.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.sent.Add(int64(len(p)))
	return len(p), nil
}

func TestAPI_LargeBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	a := setup(t)
	body := &endless{}
	if res := a.send("/tollgate.admin.v1.CatalogService/ApplyCatalog", body); res.Code != "resource_exhausted" {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	// Whatever lies in buffers on the way.
	if sent := body.sent.Load(); sent > 4*maxRequest {
		t.Errorf("%d bytes were taken", sent)
	}
}
