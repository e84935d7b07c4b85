package connectapi

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
)

// sold is the shop with licences: one that lives and has an override and a grant, one that was revoked, and one that has expired.
type sold struct {
	*api
	customer, archived          string
	live, revoked, expired, key string
}

func sell(t *testing.T) sold {
	t.Helper()
	s := sold{api: shop(t)}
	id := func(call, body, object string) string {
		v, ok := at(s.object(call, body), object, "id").(string)
		if !ok {
			t.Fatalf("%s %s answers no id", call, body)
		}
		return v
	}
	s.customer = id("CustomerService/CreateCustomer", `{"customer": {"externalId": "acme"}}`, "customer")
	s.archived = id("CustomerService/CreateCustomer", `{"customer": {"externalId": "gone"}}`, "customer")
	s.object("CustomerService/ArchiveCustomer", fmt.Sprintf(`{"id": %q}`, s.archived))
	issue := func(more string) string {
		return id("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free" %s}}`, s.customer, more), "license")
	}
	s.live, s.revoked, s.expired = issue(``), issue(``), issue(`, "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2021-01-01T00:00:00Z"`)
	s.object("LicenseService/RevokeLicense", fmt.Sprintf(`{"id": %q}`, s.revoked))
	s.object("LicenseService/CreateOverride", fmt.Sprintf(`{"license": %q, "feature": "calls", "value": 5, "reason": "r", "startsAt": "2098-01-01T00:00:00Z", "endsAt": "2098-02-01T00:00:00Z"}`, s.live))
	s.object("LicenseService/CreateGrant", fmt.Sprintf(`{"license": %q, "feature": "calls", "units": "5"}`, s.live))
	s.key = id("CredentialService/CreateApiKey", fmt.Sprintf(`{"license": %q}`, s.live), "apiKey")
	return s
}

// state is all that the lists say of customers, licences, what happened to them, keys, and the audit.
func (s *sold) state() string {
	s.t.Helper()
	var all strings.Builder
	for _, call := range []string{
		"CustomerService/ListCustomers", "LicenseService/ListLicenses", "LicenseService/ListLicenseEvents", "CredentialService/ListApiKeys", "AuditService/ListAuditEvents",
	} {
		all.WriteString(s.post(call, `{}`).Body)
	}
	return all.String()
}

// Each rule of customers, licences, overrides, grants and keys, broken: the right code, the field named, nothing stored, no epoch taken.
func TestLicense_BadInputIsRefusedAndStoresNothing(t *testing.T) {
	t.Parallel()
	s := sell(t)
	long, huge, ancient := strings.Repeat("x", 1100), fmt.Sprint(math.MaxInt64), "1950-01-01T00:00:00Z"
	customer := func(fields string) string { return `{"customer": {` + fields + `}}` }
	license := func(fields string) string {
		return fmt.Sprintf(`{"license": {"customer": %q, "plan": "free", %s}}`, s.customer, fields)
	}
	of := func(license, fields string) string { return fmt.Sprintf(`{"id": %q, %s}`, license, fields) }
	override := func(fields string) string {
		return fmt.Sprintf(`{"license": %q, "reason": "r", %s}`, s.live, fields)
	}
	rate := func(fields string) string { return override(`"rateLimit": {` + fields + `}`) }
	grant := func(fields string) string {
		return fmt.Sprintf(`{"license": %q, "reason": "r", %s}`, s.live, fields)
	}
	key := func(fields string) string { return fmt.Sprintf(`{"license": %q, %s}`, s.live, fields) }
	token, _ := s.object("LicenseService/ListLicenses", `{"pageSize": 1}`)["nextPageToken"].(string)
	const (
		makes, updates, issues = "CustomerService/CreateCustomer", "CustomerService/UpdateCustomer", "LicenseService/IssueLicense"
		overrides, grants      = "LicenseService/CreateOverride", "LicenseService/CreateGrant"
		keys, changes          = "CredentialService/CreateApiKey", "LicenseService/ChangePlan"
		bad, state, missing    = "invalid_argument", "failed_precondition", "not_found"
	)
	rows := []struct{ name, call, body, code, says string }{
		{"unknown field", makes, customer(`"externalId": "a", "colour": 1`), bad, "colour"},
		{"wrong type", makes, customer(`"externalId": 5`), bad, "externalId"},
		{"no external id", makes, customer(`"displayName": "a"`), bad, "customer.external_id"},
		{"external id twice", makes, customer(`"externalId": "acme"`), "already_exists", "customer.external_id"},
		{"bad zone", makes, customer(`"externalId": "a", "timeZone": "Mars/Olympus"`), bad, "customer.time_zone"},
		{"the machine's own zone", makes, customer(`"externalId": "a", "timeZone": "Local"`), bad, "customer.time_zone"},
		{"zone of a path", makes, customer(`"externalId": "a", "timeZone": "../etc/passwd"`), bad, "customer.time_zone"},
		{"long name", makes, customer(`"externalId": "a", "displayName": "` + long + `"`), bad, "customer.display_name"},
		{"control character", makes, customer(`"externalId": "a\u0000b"`), bad, "customer.external_id"},
		{"long metadata", makes, customer(`"externalId": "a", "metadata": {"k": "` + long + `"}`), bad, "customer.metadata"},
		{"metadata without a name", makes, customer(`"externalId": "a", "metadata": {"": "v"}`), bad, "customer.metadata"},
		{"unknown mask path", updates, fmt.Sprintf(`{"customer": {"id": %q}, "updateMask": "colour"}`, s.customer), bad, "update_mask"},
		{"mask of what cannot change", updates, fmt.Sprintf(`{"customer": {"id": %q}, "updateMask": "id"}`, s.customer), bad, "update_mask"},
		{"stale etag", updates, fmt.Sprintf(`{"customer": {"id": %q, "displayName": "b", "etag": "99"}}`, s.customer), "aborted", "etag"},
		{"archived customer", updates, fmt.Sprintf(`{"customer": {"id": %q, "displayName": "b"}, "updateMask": "displayName"}`, s.archived), state, "archived"},
		{"no such customer", "CustomerService/GetCustomer", `{"id": "cus_0"}`, missing, "cus_0"},
		{"customer with licences", "CustomerService/ArchiveCustomer", fmt.Sprintf(`{"id": %q}`, s.customer), state, "in use by licence"},

		{"no customer", issues, `{"license": {"plan": "free"}}`, bad, "license.customer"},
		{"unknown customer", issues, `{"license": {"customer": "cus_0", "plan": "free"}}`, missing, "license.customer"},
		{"licence of an archived customer", issues, fmt.Sprintf(`{"license": {"customer": %q, "plan": "free"}}`, s.archived), state, "license.customer"},
		{"no plan", issues, fmt.Sprintf(`{"license": {"customer": %q}}`, s.customer), bad, "license.plan"},
		{"unknown plan", issues, fmt.Sprintf(`{"license": {"customer": %q, "plan": "gold"}}`, s.customer), missing, "license.plan"},
		{"archived plan", issues, fmt.Sprintf(`{"license": {"customer": %q, "plan": "old"}}`, s.customer), state, "license.plan"},
		{"plan without a version", issues, fmt.Sprintf(`{"license": {"customer": %q, "plan": "new"}}`, s.customer), state, "license.plan"},
		{"draft", issues, license(`"planVersion": 2`), state, "license.plan_version"},
		{"no such version", issues, license(`"planVersion": 9`), missing, "license.plan_version"},
		{"negative version", issues, license(`"planVersion": -1`), bad, "planVersion"},
		{"ends before it starts", issues, license(`"startsAt": "2027-01-01T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"`), bad, "license.ends_at"},
		{"ends as it starts", issues, license(`"startsAt": "2027-01-01T00:00:00Z", "endsAt": "2027-01-01T00:00:00Z"`), bad, "license.ends_at"},
		{"not a time", issues, license(`"startsAt": "tomorrow"`), bad, "tomorrow"},
		{"before computers", issues, license(`"startsAt": "` + ancient + `"`), bad, "license.starts_at"},
		{"trial beyond the end", issues, license(`"endsAt": "2098-01-01T00:00:00Z", "trialEndsAt": "2099-01-01T00:00:00Z"`), bad, "license.trial_ends_at"},

		{"change to no plan", changes, of(s.live, `"plan": ""`), bad, "plan"},
		{"change to an unknown plan", changes, of(s.live, `"plan": "gold"`), missing, "plan"},
		{"change to an archived plan", changes, of(s.live, `"plan": "old"`), state, "plan"},
		{"change to a draft", changes, of(s.live, `"plan": "free", "version": 2`), state, "version"},
		{"change at a moment that is none", changes, of(s.live, `"plan": "free", "when": "SOMETIME"`), bad, "when"},
		{"change of what is revoked", changes, of(s.revoked, `"plan": "free"`), state, "revoked"},
		{"change of what has expired", changes, of(s.expired, `"plan": "free"`), state, "expired"},
		{"no such licence", changes, of("lic_0", `"plan": "free"`), missing, "lic_0"},
		{"stale etag of a licence", changes, of(s.live, `"plan": "free", "etag": "99"`), "aborted", "etag"},
		{"suspend what is revoked", "LicenseService/SuspendLicense", fmt.Sprintf(`{"id": %q}`, s.revoked), state, "revoked"},
		{"resume what is revoked", "LicenseService/ResumeLicense", fmt.Sprintf(`{"id": %q}`, s.revoked), state, "revoked"},
		{"renew what has no end", "LicenseService/RenewLicense", fmt.Sprintf(`{"id": %q}`, s.live), state, "no end"},
		{"renew into the past", "LicenseService/RenewLicense", of(s.expired, `"endsAt": "2022-01-01T00:00:00Z"`), bad, "ends_at"},
		{"past due without grace", "LicenseService/SetPastDue", fmt.Sprintf(`{"id": %q}`, s.live), bad, "grace_until"},
		{"past due for ages", "LicenseService/SetPastDue", of(s.live, `"graceUntil": "`+ancient+`"`), bad, "grace_until"},
		{"past due of what is revoked", "LicenseService/SetPastDue", of(s.revoked, `"graceUntil": "2099-01-01T00:00:00Z"`), state, "revoked"},

		{"override of nothing", overrides, override(`"value": 5`), bad, "feature"},
		{"override without a value", overrides, override(`"feature": "calls"`), bad, "value"},
		{"override without a reason", overrides, fmt.Sprintf(`{"license": %q, "feature": "calls", "value": 5}`, s.live), bad, "reason"},
		{"override for a blank reason", overrides, fmt.Sprintf(`{"license": %q, "feature": "calls", "value": 5, "reason": "  "}`, s.live), bad, "reason"},
		{"override of an unknown feature", overrides, override(`"feature": "colour", "value": true`), bad, "feature"},
		{"override of an archived feature", overrides, override(`"feature": "gone", "value": true`), state, "feature"},
		{"overlapping override", overrides, override(`"feature": "calls", "value": 5, "startsAt": "2098-01-31T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"`), state, "starts_at"},
		{"override for good over a dated one", overrides, override(`"feature": "calls", "value": 5`), state, "starts_at"},
		{"override that ends before it starts", overrides, override(`"feature": "reports", "value": true, "startsAt": "2099-01-02T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"`), bad, "ends_at"},
		{"override that has ended", overrides, override(`"feature": "reports", "value": true, "endsAt": "2020-01-01T00:00:00Z"`), bad, "ends_at"},
		{"negative limit", overrides, override(`"feature": "reports", "value": -5`), bad, "value"},
		{"limit of half a unit", overrides, override(`"feature": "calls", "value": 1.5, "startsAt": "2099-01-01T00:00:00Z"`), bad, "value"},
		{"limit beyond what is counted", overrides, override(`"feature": "calls", "value": 1e30, "startsAt": "2099-01-01T00:00:00Z"`), bad, "value"},
		{"limit without a period to keep", overrides, override(`"feature": "peak", "value": 5`), bad, "value"},
		{"hard quota on a max meter", overrides, override(`"feature": "peak", "value": {"limit": 5, "period": "day", "mode": "hard"}`), bad, "value.mode"},
		{"quota on a unique meter", overrides, override(`"feature": "visitors", "value": {"limit": 5, "period": "day", "mode": "soft"}`), bad, "value"},
		{"units of a boolean feature", overrides, override(`"feature": "reports", "value": 5`), bad, "value"},
		{"quota of a boolean feature", overrides, override(`"feature": "reports", "value": {"limit": 5, "period": "day"}`), bad, "value"},
		{"text of a metered feature", overrides, override(`"feature": "calls", "value": "many", "startsAt": "2099-01-01T00:00:00Z"`), bad, "value"},
		{"list as a value", overrides, override(`"feature": "calls", "value": [1]`), bad, "value"},
		{"quota of a static feature", overrides, override(`"feature": "seats", "value": {"limit": 5, "period": "day"}`), bad, "value"},
		{"quota without a limit", overrides, override(`"feature": "calls", "value": {"period": "day"}`), bad, "value.limit"},
		{"quota without a period", overrides, override(`"feature": "calls", "value": {"limit": 5}`), bad, "value.period"},
		{"quota of an unknown field", overrides, override(`"feature": "calls", "value": {"limit": 5, "period": "day", "colour": 1}`), bad, "value.colour"},
		{"both at once", overrides, override(`"feature": "calls", "value": 5, "rateLimit": {"key": "free-rate", "limit": "5", "per": "1s"}`), bad, "value"},
		{"rate limit that the plan has not", overrides, rate(`"key": "other", "limit": "5", "per": "1s"`), bad, "rate_limit.key"},
		{"rate limit of nothing", overrides, rate(`"key": "free-rate", "per": "1s"`), bad, "rate_limit.limit"},
		{"rate limit per nothing", overrides, rate(`"key": "free-rate", "limit": "5"`), bad, "rate_limit.per"},
		{"override of what is revoked", overrides, strings.Replace(override(`"feature": "reports", "value": true`), s.live, s.revoked, 1), state, "license"},
		{"no such override", "LicenseService/DeleteOverride", fmt.Sprintf(`{"license": %q, "id": "ovr_0"}`, s.live), missing, "ovr_0"},

		{"grant of nothing", grants, grant(`"feature": "calls"`), bad, "units"},
		{"negative grant", grants, grant(`"feature": "calls", "units": "-5"`), bad, "units"},
		{"grant beyond what is counted", grants, grant(`"feature": "calls", "units": "` + huge + `"`), bad, "units"},
		{"grant of a boolean feature", grants, grant(`"feature": "reports", "units": "5"`), bad, "feature"},
		{"grant of an unknown feature", grants, grant(`"feature": "colour", "units": "5"`), bad, "feature"},
		{"grant of an archived feature", grants, grant(`"feature": "gone", "units": "5"`), state, "feature"},
		{"grant of what is not counted up", grants, grant(`"feature": "peak", "units": "5"`), bad, "feature"},
		{"grant that has expired", grants, grant(`"feature": "calls", "units": "5", "expiresAt": "2020-01-01T00:00:00Z"`), bad, "expires_at"},
		{"grant that expires before it starts", grants, grant(`"feature": "calls", "units": "5", "startsAt": "2099-01-02T00:00:00Z", "expiresAt": "2099-01-01T00:00:00Z"`), bad, "expires_at"},
		{"priority out of range", grants, grant(`"feature": "calls", "units": "5", "priority": 5000`), bad, "priority"},
		{"grant to what has expired", grants, strings.Replace(grant(`"feature": "calls", "units": "5"`), s.live, s.expired, 1), state, "license"},

		{"key of no licence", keys, `{}`, bad, "license"},
		{"key of an unknown licence", keys, `{"license": "lic_0"}`, missing, "license"},
		{"key of what is revoked", keys, strings.Replace(key(`"displayName": "k"`), s.live, s.revoked, 1), state, "license"},
		{"key that has expired", keys, key(`"expiresAt": "2020-01-01T00:00:00Z"`), bad, "expires_at"},
		{"key with a long name", keys, key(`"displayName": "` + long + `"`), bad, "display_name"},
		{"no such key", "CredentialService/RevokeApiKey", `{"id": "key_0"}`, missing, "key_0"},

		{"foreign page token", "CredentialService/ListApiKeys", `{"pageToken": "` + token + `"}`, bad, "page_token"},
		{"page token of another filter", "LicenseService/ListLicenses", `{"filter": "plan = free", "pageToken": "` + token + `"}`, bad, "page_token"},
		{"cut page token", "LicenseService/ListLicenses", `{"pageToken": "` + token[:len(token)-2] + `"}`, bad, "page_token"},
		{"page token of other events", "LicenseService/ListLicenseEvents", `{"pageToken": "` + token + `"}`, bad, "page_token"},
		{"negative page", "LicenseService/ListLicenses", `{"pageSize": -1}`, bad, "page_size"},
		{"filter by what is unknown", "LicenseService/ListLicenses", `{"filter": "colour = red"}`, bad, "filter"},
		{"filter by a status that is none", "LicenseService/ListLicenses", `{"filter": "status = purple"}`, bad, "filter.status"},
		{"filter by a version that is none", "LicenseService/ListLicenses", `{"filter": "plan_version = one"}`, bad, "filter.plan_version"},
		{"events of no licence", "LicenseService/ListLicenseEvents", `{"license": "lic_0"}`, missing, "license"},
		{"loans of no licence", "LicenseService/ListLoans", `{"license": "lic_0"}`, missing, "license"},
		{"page token of other loans", "LicenseService/ListLoans", fmt.Sprintf(`{"license": %q, "pageToken": %q}`, s.live, token), bad, "page_token"},
		{"entitlements of no licence", "LicenseService/GetEntitlements", `{"license": "lic_0"}`, missing, "lic_0"},
	}
	before := s.state()
	epoch, err := s.licensing.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		res := s.post(r.call, r.body)
		if res.Status == http.StatusOK || res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %s %s\ngot %d %s\nwant %s, %q", r.name, r.call, r.body, res.Status, res.Body, r.code, r.says)
		}
		// What is not JSON of the message at all is named by line and column.
		if r.code == bad && len(res.Details) == 0 && !strings.Contains(res.Message, "unmarshal message") {
			t.Errorf("%s: no details: %s", r.name, res.Body)
		}
	}
	if now := s.state(); now != before {
		t.Errorf("something was stored:\n%s\n%s", before, now)
	}
	if now, err := s.licensing.Epoch(t.Context()); err != nil || now != epoch {
		t.Errorf("epoch %v became %v, %v", epoch, now, err)
	}
}
