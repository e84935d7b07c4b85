package connectapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/descriptorpb"

	"tollgate/controlplane/internal/audit"
)

// writes are all calls that write, in an order in which they can be made. $x is what an earlier one called x.
var writes = []struct{ call, body, as, path string }{
	{"CatalogService/ApplyCatalog", `{"yaml": "version: 1\nmeters:\n  - {key: applied, aggregation: count}\n"}`, "", ""},
	{"CatalogService/CreateMeter", `{"meter": {"key": "m", "aggregation": "AGGREGATION_COUNT"}}`, "", ""},
	{"CatalogService/UpdateMeter", `{"meter": {"key": "m", "displayName": "M"}}`, "", ""},
	{"CatalogService/CreateFeature", `{"feature": {"key": "f", "type": "FEATURE_TYPE_METERED", "meter": "m"}}`, "", ""},
	{"CatalogService/UpdateFeature", `{"feature": {"key": "f", "displayName": "F"}}`, "", ""},
	{"CatalogService/CreatePlan", `{"plan": {"key": "p"}}`, "", ""},
	{"CatalogService/UpdatePlan", `{"plan": {"key": "p", "displayName": "P"}}`, "", ""},
	{"CatalogService/CreatePlanDraft", `{"plan": "p"}`, "", ""},
	{"CatalogService/UpdatePlanDraft", `{"planVersion": {"plan": "p", "version": 1, "entitlements": [{"feature": "f"}]}}`, "", ""},
	{"CatalogService/PublishPlanVersion", `{"plan": "p", "version": 1}`, "", ""},
	{"CatalogService/CreatePlanDraft", `{"plan": "p"}`, "", ""},
	{"CatalogService/DiscardPlanDraft", `{"plan": "p", "version": 2}`, "", ""},
	{"CatalogService/CreatePlanDraft", `{"plan": "p"}`, "", ""},
	{"CatalogService/UpdatePlanDraft", `{"planVersion": {"plan": "p", "version": 3, "rateLimits": [{"key": "l", "limit": 1, "per": "1s"}]}}`, "", ""},
	{"CatalogService/PublishPlanVersion", `{"plan": "p", "version": 3}`, "", ""},
	{"CatalogService/RollbackPlan", `{"plan": "p"}`, "", ""},
	{"TrafficService/CreateService", `{"service": {"key": "s", "endpoints": ["http://127.0.0.1:9000"]}}`, "", ""},
	{"TrafficService/UpdateService", `{"service": {"key": "s", "displayName": "S"}, "updateMask": "displayName"}`, "", ""},
	{"TrafficService/CreateRoute", `{"route": {"key": "r", "service": "s", "match": {"path": "/r"}}}`, "", ""},
	{"TrafficService/UpdateRoute", `{"route": {"key": "r", "displayName": "R"}, "updateMask": "displayName"}`, "", ""},
	{"CustomerService/CreateCustomer", `{"customer": {"externalId": "c"}}`, "customer", "id"},
	{"CustomerService/UpdateCustomer", `{"customer": {"id": "$customer", "displayName": "C"}, "updateMask": "displayName"}`, "", ""},
	{"LicenseService/IssueLicense", `{"license": {"customer": "$customer", "plan": "p", "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2098-01-01T00:00:00Z"}}`, "license", "id"},
	{"CredentialService/CreateApiKey", `{"license": "$license"}`, "api_key", "id"},
	{"CredentialService/RevokeApiKey", `{"id": "$api_key"}`, "", ""},
	{"LicenseService/ChangePlan", `{"id": "$license", "plan": "p", "version": 3}`, "", ""},
	{"LicenseService/CreateOverride", `{"license": "$license", "feature": "f", "value": true, "reason": "r"}`, "override", "id"},
	{"LicenseService/DeleteOverride", `{"license": "$license", "id": "$override"}`, "", ""},
	{"LicenseService/CreateGrant", `{"license": "$license", "feature": "f", "units": "5", "expiresAt": "2099-01-01T00:00:00Z"}`, "", ""},
	{"UsageService/IngestEvents", `{"events": [{"id": "1", "source": "s", "type": "m", "subject": "$license", "time": "$now"}]}`, "", ""},
	{"UsageService/CorrectUsage", `{"license": "$license", "meter": "m", "units": "2", "time": "$now", "reason": "r"}`, "", ""},
	{"LicenseService/SetPastDue", `{"id": "$license", "graceUntil": "2099-01-01T00:00:00Z"}`, "", ""},
	{"LicenseService/ResumeLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/SuspendLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/ResumeLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/RenewLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/CancelLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/RevokeLicense", `{"id": "$license"}`, "", ""},
	{"AccessService/CreateToken", `{"token": {"role": "ROLE_VIEWER"}}`, "token", "id"},
	{"AccessService/RevokeToken", `{"id": "$token"}`, "", ""},
	{"TrafficService/ArchiveRoute", `{"key": "r"}`, "", ""},
	{"TrafficService/ArchiveService", `{"key": "s"}`, "", ""},
	{"CatalogService/ArchivePlan", `{"key": "p"}`, "", ""},
	{"CatalogService/UnarchivePlan", `{"key": "p"}`, "", ""},
	{"CatalogService/ArchivePlan", `{"key": "p"}`, "", ""},
	{"CatalogService/ArchiveFeature", `{"key": "f"}`, "", ""},
	{"CatalogService/UnarchiveFeature", `{"key": "f"}`, "", ""},
	{"CatalogService/ArchiveFeature", `{"key": "f"}`, "", ""},
	{"CatalogService/ArchiveMeter", `{"key": "m"}`, "", ""},
	{"CatalogService/UnarchiveMeter", `{"key": "m"}`, "", ""},
	{"CustomerService/ArchiveCustomer", `{"id": "$customer"}`, "", ""},
}

func TestAudit_EveryWriteLeavesOneEvent(t *testing.T) {
	missing := map[string]bool{}
	for _, s := range services() {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			if o, ok := m.Options().(*descriptorpb.MethodOptions); ok && o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
				continue
			}
			missing[fmt.Sprintf("%s/%s", s.Name(), m.Name())] = true
		}
	}
	a := setup(t)
	log := audit.NewService(a.db.Audit())
	made := map[string]string{"now": time.Now().UTC().Format(time.RFC3339Nano)}
	for _, w := range writes {
		delete(missing, w.call)
		body := w.body
		for name, id := range made {
			body = strings.ReplaceAll(body, "$"+name, id)
		}
		_, _, before, err := log.Events(t.Context(), audit.List{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		res := a.object(w.call, body)
		if w.as != "" {
			for _, field := range []string{w.as, "apiKey"} {
				if id, ok := at(res, field, w.path).(string); ok {
					made[w.as] = id
				}
			}
		}
		events, _, head, err := log.Events(t.Context(), audit.List{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		e := events[0]
		if head.Sequence != before.Sequence+1 || !strings.HasSuffix(e.Procedure, w.call) || e.Before == "" || e.After == "" || e.Before == e.After {
			t.Errorf("%s: %d events, the last is %s from %s to %s", w.call, head.Sequence-before.Sequence, e.Procedure, e.Before, e.After)
		}
	}
	for call := range missing {
		t.Errorf("%s writes and is not tried here", call)
	}
}
