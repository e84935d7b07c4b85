package connectapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// extras brings in the shop with a licence on plan free that has the add-on extra for good.
func extras(t *testing.T) (a *api, license string) {
	t.Helper()
	a = shop(t)
	for _, body := range []string{
		`{"addOn": {"key": "extra", "displayName": "Extra", "entitlements": [{"feature": "reports", "enabled": true}, {"feature": "calls", "quota": {"limit": "5000", "period": "PERIOD_MONTH"}}],
			"rateCards": [{"key": "fee", "kind": "flat", "amount": "5.00", "currency": "USD"}]}}`,
		`{"addOn": {"key": "dead"}}`,
	} {
		a.object("CatalogService/CreateAddOn", body)
	}
	a.object("CatalogService/ArchiveAddOn", `{"key": "dead"}`)
	customer := at(a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "c"}}`), "customer", "id")
	license = at(a.object("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free"}}`, customer)), "license", "id").(string)
	a.object("LicenseService/AttachAddOn", fmt.Sprintf(`{"id": %q, "addOn": "extra"}`, license))
	return a, license
}

// Each rule of add-ons, broken: the right code, the field named, nothing stored, no epoch taken.
func TestAddOn_BadInputIsRefusedAndStoresNothing(t *testing.T) {
	t.Parallel()
	a, license := extras(t)
	ended := at(a.object("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free"}}`,
		at(a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "d"}}`), "customer", "id"))), "license", "id").(string)
	a.object("LicenseService/RevokeLicense", fmt.Sprintf(`{"id": %q}`, ended))
	full := at(a.object("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free"}}`,
		at(a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "e"}}`), "customer", "id"))), "license", "id").(string)
	for day := range 32 {
		from := time.Date(2090, 1, 1+day, 0, 0, 0, 0, time.UTC)
		a.object("LicenseService/AttachAddOn", fmt.Sprintf(`{"id": %q, "addOn": "extra", "startsAt": %q, "endsAt": %q}`, full, from.Format(time.RFC3339), from.AddDate(0, 0, 1).Format(time.RFC3339)))
	}
	const create, update, attach, detach = "CatalogService/CreateAddOn", "CatalogService/UpdateAddOn", "LicenseService/AttachAddOn", "LicenseService/DetachAddOn"
	const bad, state, missing = "invalid_argument", "failed_precondition", "not_found"
	made := func(fields string) string { return fmt.Sprintf(`{"addOn": {"key": "a", %s}}`, fields) }
	entitlement := func(fields string) string {
		return made(fmt.Sprintf(`"entitlements": [{"feature": "reports", "enabled": true}, {%s}]`, fields))
	}
	card := func(fields string) string {
		return made(fmt.Sprintf(`"entitlements": [{"feature": "calls"}], "rateCards": [{"key": "base", "kind": "flat", "amount": "1", "currency": "USD"}, {"key": "use", %s}]`, fields))
	}
	to := func(id, fields string) string { return fmt.Sprintf(`{"id": %q, %s}`, id, fields) }
	file := func(text string) string { return fmt.Sprintf(`{"yaml": %q}`, "version: 1\n"+text) }
	rows := []struct{ name, call, body, code, says string }{
		{"no key", create, `{"addOn": {}}`, bad, "add_on.key"},
		{"key of a path", create, `{"addOn": {"key": "a/b"}}`, bad, "add_on.key"},
		{"key twice", create, `{"addOn": {"key": "extra"}}`, "already_exists", "add_on.key"},
		{"unknown field", create, made(`"colour": 1`), bad, "colour"},
		{"rate limits", create, made(`"rateLimits": []`), bad, "rateLimits"},
		{"name too long", create, made(`"displayName": "` + strings.Repeat("x", 201) + `"`), bad, "add_on.display_name"},
		{"unknown feature", create, entitlement(`"feature": "none"`), bad, "add_on.entitlements[1].feature"},
		{"archived feature", create, entitlement(`"feature": "gone", "enabled": true`), state, "add_on.entitlements[1].feature"},
		{"feature twice", create, entitlement(`"feature": "reports", "enabled": true`), bad, "add_on.entitlements[1].feature"},
		{"it takes", create, made(`"entitlements": [{"feature": "reports", "enabled": false}]`), bad, "add_on.entitlements[0].enabled: an add-on only gives"},
		{"it takes by leaving out", create, made(`"entitlements": [{"feature": "reports"}]`), bad, "add_on.entitlements[0].enabled"},
		{"two features of a meter", create, made(`"entitlements": [{"feature": "calls"}, {"feature": "calls2"}]`), bad, "add_on.entitlements[1].feature"},
		{"static without value", create, entitlement(`"feature": "seats"`), bad, "add_on.entitlements[1].value"},
		{"hard quota on max", create, entitlement(`"feature": "peak", "quota": {"limit": 1, "period": "PERIOD_DAY"}`), bad, "add_on.entitlements[1].quota.mode"},
		{"quota on unique", create, entitlement(`"feature": "visitors", "quota": {"limit": 1, "period": "PERIOD_DAY", "mode": "QUOTA_MODE_SOFT"}`), bad, "add_on.entitlements[1].quota"},
		{"negative limit", create, entitlement(`"feature": "calls", "quota": {"limit": -1, "period": "PERIOD_DAY"}`), bad, "add_on.entitlements[1].quota.limit"},
		{"limit beyond int64", create, entitlement(`"feature": "calls", "quota": {"limit": "9223372036854775808", "period": "PERIOD_DAY"}`), bad, "limit"},
		{"currency mismatch", create, card(`"kind": "flat", "amount": "1", "currency": "EUR"`), bad, "add_on.rate_cards[1].currency"},
		{"no such currency", create, card(`"kind": "flat", "amount": "1", "currency": "HRK"`), bad, "add_on.rate_cards[1].currency"},
		{"price of what is not granted", create, card(`"kind": "per_unit", "feature": "peak", "amount": "1", "currency": "USD"`), bad, "add_on.rate_cards[1].feature"},
		{"unknown mask path", update, `{"addOn": {"key": "extra"}, "updateMask": "version"}`, bad, "update_mask"},
		{"stale etag", update, `{"addOn": {"key": "extra", "etag": "99"}, "updateMask": "displayName"}`, "aborted", "add_on.etag"},
		{"one that is not there", update, `{"addOn": {"key": "none"}}`, missing, "none"},
		{"change of an archived one", update, `{"addOn": {"key": "dead", "displayName": "x"}}`, state, "archived"},
		{"price left of what goes", update, `{"addOn": {"key": "extra", "rateCards": [{"key": "c", "kind": "per_unit", "feature": "peak", "amount": "1", "currency": "USD"}]}, "updateMask": "rateCards"}`, bad, "add_on.rate_cards[0].feature"},
		{"archive while attached", "CatalogService/ArchiveAddOn", `{"key": "extra"}`, state, license},
		{"archive with a stale etag", "CatalogService/ArchiveAddOn", `{"key": "extra", "etag": "99"}`, "aborted", "etag"},
		{"unarchive one that is not there", "CatalogService/UnarchiveAddOn", `{"key": "none"}`, missing, "none"},
		{"filter that is none", "CatalogService/ListAddOns", `{"filter": "version = \"1\""}`, bad, "filter"},
		{"feature that it grants", "CatalogService/ArchiveFeature", `{"key": "reports"}`, state, "add-on extra"},

		{"attach to no licence", attach, to("lic_none", `"addOn": "extra"`), missing, "lic_none"},
		{"attach to one that has ended", attach, to(ended, `"addOn": "extra"`), state, "id: the licence is revoked"},
		{"attach nothing", attach, to(license, `"addOn": ""`), bad, "add_on"},
		{"attach what is not there", attach, to(license, `"addOn": "none"`), bad, "add_on"},
		{"attach an archived one", attach, to(license, `"addOn": "dead"`), state, "add_on"},
		{"attach it twice", attach, to(license, `"addOn": "extra"`), state, "starts_at"},
		{"attach it twice later", attach, to(license, `"addOn": "extra", "startsAt": "2090-01-01T00:00:00Z"`), state, "starts_at"},
		{"attach a 33rd", attach, to(full, `"addOn": "extra"`), state, "32 add-ons"},
		{"end before the start", attach, to(license, `"addOn": "extra", "startsAt": "2090-01-02T00:00:00Z", "endsAt": "2090-01-01T00:00:00Z"`), bad, "ends_at"},
		{"end at the start", attach, to(license, `"addOn": "extra", "startsAt": "2090-01-02T00:00:00Z", "endsAt": "2090-01-02T00:00:00Z"`), bad, "ends_at"},
		{"end in the past", attach, to(license, `"addOn": "extra", "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-02-01T00:00:00Z"`), bad, "ends_at: is not in the future"},
		{"start before 1970", attach, to(license, `"addOn": "extra", "startsAt": "1969-01-01T00:00:00Z"`), bad, "starts_at"},
		{"attach with a stale etag", attach, to(license, `"addOn": "extra", "etag": "99"`), "aborted", "etag"},
		{"detach what it has not", detach, to(license, `"addOn": "dead"`), missing, "add_on"},
		{"detach at no moment", detach, to(license, `"addOn": "extra", "when": 9`), bad, "when"},
		{"detach with a stale etag", detach, to(license, `"addOn": "extra", "etag": "99"`), "aborted", "etag"},

		{"file: it takes", "CatalogService/ApplyCatalog", file("addons: [{key: a, entitlements: [{feature: reports, enabled: false}]}]"), bad, "addons[a].entitlements[0].enabled"},
		{"file: rate limits", "CatalogService/ApplyCatalog", file("addons: [{key: a, rate_limits: []}]"), bad, "line 2"},
		{"file: key twice", "CatalogService/ApplyCatalog", file("addons: [{key: a}, {key: a}]"), bad, "addons[a]"},
		{"file: an archived one that grants what is archived", "CatalogService/ApplyCatalog", file("addons: [{key: dead, entitlements: [{feature: gone}]}]"), state, "addons[dead].entitlements[0].feature"},
		{"file: unknown feature", "CatalogService/ApplyCatalog", file("addons: [{key: a, entitlements: [{feature: none}]}]"), bad, "addons[a].entitlements[0].feature"},
		{"file: metered feature that is off", "CatalogService/ApplyCatalog", file("plans: [{key: free, entitlements: [{feature: calls, enabled: false}]}]"), bad, "plans[free].entitlements[0].enabled"},
		{"file: static feature that is off", "CatalogService/ApplyCatalog", file("plans: [{key: free, entitlements: [{feature: seats, value: 1, enabled: false}]}]"), bad, "plans[free].entitlements[0].enabled"},
		{"file: prune of what a licence has", "CatalogService/ApplyCatalog", fmt.Sprintf(`{"prune": true, "yaml": %q}`, demo), state, "add-on \"extra\" is in use by licence"},
	}
	stored := func() string {
		var all strings.Builder
		all.WriteString(a.everythingStored())
		for _, call := range [][2]string{
			{"CatalogService/ListAddOns", `{}`}, {"CatalogService/ListAddOns", `{"filter": "archived = \"true\""}`}, {"LicenseService/ListLicenses", `{}`},
			{"LicenseService/ListLicenseEvents", `{"pageSize": 1000}`}, {"CatalogService/ApplyCatalog", fmt.Sprintf(`{"yaml": %q, "dryRun": true}`, demo)},
		} {
			all.WriteString(a.post(call[0], call[1]).Body)
		}
		return all.String()
	}
	before := stored()
	for _, r := range rows {
		res := a.post(r.call, r.body)
		if res.Status == http.StatusOK || res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %s %s\ngot %d %s\nwant %s, %q", r.name, r.call, r.body, res.Status, res.Body, r.code, r.says)
		}
		if now := stored(); now != before {
			t.Fatalf("%s: something was stored:\n%s\n%s", r.name, before, now)
		}
	}
}

// The whole life of an add-on over REST, as its reference tells it.
func TestAddOn_OverREST(t *testing.T) {
	t.Parallel()
	a, license := extras(t)
	for _, step := range []struct{ method, path, body, says string }{
		{"POST", "/v1/add-ons", `{"key": "seats", "entitlements": [{"feature": "seats", "value": 25}]}`, `"version":1`},
		{"PATCH", "/v1/add-ons/seats?updateMask=entitlements", `{"entitlements": [{"feature": "seats", "value": 50}]}`, `"version":2`},
		{"GET", "/v1/add-ons/seats", "", `"value":50`},
		{"GET", "/v1/add-ons?pageSize=1", "", `"addOns":[{"key":"extra"`},
		{"POST", "/v1/licenses/" + license + ":attachAddOn", `{"addOn": "seats", "endsAt": "2099-01-01T00:00:00Z"}`, `"endsAt":"2099-01-01T00:00:00Z"`},
		{"GET", "/v1/licenses/" + license + "/entitlements", "", `"source":"add_on:extra"`},
		{"GET", "/v1/licenses/" + license + "/entitlements", "", `{"feature":"seats","value":50,"source":"add_on:seats","expiresAt":"2099-01-01T00:00:00Z"}`},
		{"POST", "/v1/licenses/" + license + ":detachAddOn", `{"addOn": "seats", "when": "CHANGE_WHEN_PERIOD_END"}`, `"addOn":"seats"`},
		{"POST", "/v1/licenses/" + license + ":detachAddOn", `{"addOn": "seats"}`, `"addOns":[{"addOn":"extra"`},
		{"GET", "/v1/license_events?license=" + license, "", `"kind":"add_on_detach_scheduled"`},
		{"POST", "/v1/add-ons/seats:archive", "", `"archiveTime"`},
		{"POST", "/v1/add-ons/seats:unarchive", "", `"key":"seats"`},
	} {
		res := a.rest(step.method, step.path, step.body)
		if got := strings.ReplaceAll(res.Body, " ", ""); res.Status != http.StatusOK || !strings.Contains(got, step.says) {
			t.Errorf("%s %s: %d %s, want %s", step.method, step.path, res.Status, got, step.says)
		}
	}
}

// What is only to be checked leaves no trace, and answers what would be.
func TestAddOn_ValidateOnlyStoresNothing(t *testing.T) {
	t.Parallel()
	a, license := extras(t)
	for _, call := range [][2]string{
		{"CatalogService/CreateAddOn", `{"addOn": {"key": "new"}, "validateOnly": true}`},
		{"CatalogService/UpdateAddOn", `{"addOn": {"key": "extra", "displayName": "Other"}, "updateMask": "displayName", "validateOnly": true}`},
		{"CatalogService/UnarchiveAddOn", `{"key": "dead", "validateOnly": true}`},
		{"LicenseService/DetachAddOn", fmt.Sprintf(`{"id": %q, "addOn": "extra", "validateOnly": true}`, license)},
	} {
		before := a.post("CatalogService/ListAddOns", `{}`).Body + a.post("LicenseService/ListLicenses", `{}`).Body
		res := a.object(call[0], call[1])
		if at(res, "epoch") == nil {
			t.Errorf("%s: %v", call[0], res)
		}
		if now := a.post("CatalogService/ListAddOns", `{}`).Body + a.post("LicenseService/ListLicenses", `{}`).Body; now != before {
			t.Errorf("%s stored something: %s", call[0], now)
		}
	}
}
