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
	{"TrafficService/CreateTerm", `{"term": {"key": "t", "on": "route:r", "when": "true", "effect": "TERM_EFFECT_BLOCK"}}`, "", ""},
	{"TrafficService/UpdateTerm", `{"term": {"key": "t", "priority": 3}, "updateMask": "priority"}`, "", ""},
	{"TrafficService/CreateIssuer", `{"issuer": {"key": "i", "issuer": "https://idp.example", "discovery": true, "audiences": ["a"], "customerClaim": "sub"}}`, "", ""},
	{"TrafficService/UpdateIssuer", `{"issuer": {"key": "i", "jwksUrl": "https://idp.example/keys"}, "updateMask": "jwksUrl"}`, "", ""},
	{"CustomerService/CreateCustomer", `{"customer": {"externalId": "c"}}`, "customer", "id"},
	{"CustomerService/UpdateCustomer", `{"customer": {"id": "$customer", "displayName": "C"}, "updateMask": "displayName"}`, "", ""},
	{"LicenseService/IssueLicense", `{"license": {"customer": "$customer", "plan": "p", "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2098-01-01T00:00:00Z"}}`, "license", "id"},
	{"CredentialService/CreateApiKey", `{"license": "$license"}`, "api_key", "id"},
	{"CredentialService/UpdateApiKey", `{"apiKey": {"id": "$api_key", "displayName": "K"}, "updateMask": "displayName"}`, "", ""},
	{"CredentialService/RotateApiKey", `{"id": "$api_key", "overlap": "60s"}`, "", ""},
	{"CredentialService/RevokeApiKey", `{"id": "$api_key"}`, "", ""},
	{"CredentialService/ImportApiKeys", `{"apiKeys": [{"license": "$license", "sha256": "` + strings.Repeat("ab", 32) + `"}]}`, "", ""},
	{"CustomerService/ImportCustomers", "external_id\nimported\n", "", ""},
	{"LicenseService/ImportLicenses", "external_id,customer,plan,starts_at,ends_at\nimported,$customer,p,2020-01-01,2021-01-01\n", "", ""},
	{"LicenseService/ChangePlan", `{"id": "$license", "plan": "p", "version": 3}`, "", ""},
	{"LicenseService/CreateOverride", `{"license": "$license", "feature": "f", "value": true, "reason": "r"}`, "override", "id"},
	{"LicenseService/DeleteOverride", `{"license": "$license", "id": "$override"}`, "", ""},
	{"LicenseService/CreateGrant", `{"license": "$license", "feature": "f", "units": "5", "expiresAt": "2099-01-01T00:00:00Z"}`, "", ""},
	{"CatalogService/CreateAddOn", `{"addOn": {"key": "a", "entitlements": [{"feature": "f", "quota": {"limit": "9", "period": "PERIOD_DAY"}}]}}`, "", ""},
	{"CatalogService/UpdateAddOn", `{"addOn": {"key": "a", "rateCards": [{"key": "c", "kind": "flat", "amount": "5", "currency": "USD"}]}, "updateMask": "rateCards"}`, "", ""},
	{"LicenseService/AttachAddOn", `{"id": "$license", "addOn": "a"}`, "", ""},
	{"LicenseService/DetachAddOn", `{"id": "$license", "addOn": "a"}`, "", ""},
	{"CatalogService/ArchiveAddOn", `{"key": "a"}`, "", ""},
	{"CatalogService/UnarchiveAddOn", `{"key": "a"}`, "", ""},
	{"CatalogService/ArchiveAddOn", `{"key": "a"}`, "", ""},
	{"UsageService/IngestEvents", `{"events": [{"id": "1", "source": "s", "type": "m", "subject": "$license", "time": "$now"}]}`, "", ""},
	{"UsageService/CorrectUsage", `{"license": "$license", "meter": "m", "units": "2", "time": "$now", "reason": "r"}`, "", ""},
	{"LicenseService/SetPastDue", `{"id": "$license", "graceUntil": "2099-01-01T00:00:00Z"}`, "", ""},
	{"LicenseService/ResumeLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/SuspendLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/ResumeLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/RenewLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/CancelLicense", `{"id": "$license"}`, "", ""},
	{"LicenseService/RevokeLicense", `{"id": "$license"}`, "", ""},
	{"FleetService/UpdateFleetSettings", `{"settings": {"staleAfter": "16s"}, "updateMask": "staleAfter"}`, "", ""},
	{"FleetService/CreateJoinToken", `{"node": "node-9", "ttl": "60s"}`, "join_token", "id"},
	{"FleetService/RevokeJoinToken", `{"id": "$join_token"}`, "", ""},
	{"FleetService/SetKeySet", `{"signed": "$trust"}`, "", ""},
	{"FleetService/RecoverRules", `{"force": true}`, "", ""},
	{"FleetService/DrainNode", `{"name": "gone"}`, "", ""},
	{"FleetService/BlockNode", `{"name": "gone", "reason": "stolen"}`, "", ""},
	{"FleetService/UnblockNode", `{"name": "gone"}`, "", ""},
	{"AccessService/CreateToken", `{"token": {"role": "ROLE_VIEWER"}}`, "token", "id"},
	{"AccessService/RevokeToken", `{"id": "$token"}`, "", ""},
	{"TrafficService/ArchiveTerm", `{"key": "t"}`, "", ""},
	{"TrafficService/ArchiveIssuer", `{"key": "i"}`, "", ""},
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

// eachWrite makes every write by do, which returns its answer.
func eachWrite(do func(call, body string) map[string]any) {
	made := map[string]string{"now": time.Now().UTC().Format(time.RFC3339Nano), "trust": keySet(keySetRoot(), keySetFleet, 1, "cp")}
	for _, w := range writes {
		body := w.body
		for name, id := range made {
			body = strings.ReplaceAll(body, "$"+name, id)
		}
		res := do(w.call, body)
		if w.as == "" {
			continue
		}
		for _, field := range []string{w.as, "apiKey", "joinToken"} {
			if id, ok := at(res, field, w.path).(string); ok {
				made[w.as] = id
			}
		}
	}
}

// written makes a call, one that streams with body as its file.
func (a *api) written(call, body string) map[string]any {
	a.t.Helper()
	if clientStreams(services())["/tollgate.admin.v1."+call] {
		return a.streamed(call, body)
	}
	return a.object(call, body)
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
	a.silentNode("gone")
	eachWrite(func(call, body string) map[string]any {
		delete(missing, call)
		_, _, before, err := log.Events(t.Context(), audit.List{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		res := a.written(call, body)
		events, _, head, err := log.Events(t.Context(), audit.List{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		e := events[0]
		if head.Sequence != before.Sequence+1 || !strings.HasSuffix(e.Procedure, call) || e.Before == "" || e.After == "" || e.Before == e.After {
			t.Errorf("%s: %d events, the last is %s from %s to %s", call, head.Sequence-before.Sequence, e.Procedure, e.Before, e.After)
		}
		return res
	})
	for call := range missing {
		t.Errorf("%s writes and is not tried here", call)
	}
}
