package connectapi

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
)

// shop brings in the catalog, what a file cannot hold (archived objects), and a draft of plan free: version 2.
func shop(t *testing.T) *api {
	t.Helper()
	a := setup(t)
	a.apply(demo)
	for _, call := range [][2]string{
		{"CreateMeter", `{"meter": {"key": "peak", "aggregation": "AGGREGATION_MAX"}}`},
		{"CreateMeter", `{"meter": {"key": "visitors", "aggregation": "AGGREGATION_UNIQUE"}}`},
		{"CreateMeter", `{"meter": {"key": "dead", "aggregation": "AGGREGATION_COUNT"}}`},
		{"ArchiveMeter", `{"key": "dead"}`},
		{"CreateFeature", `{"feature": {"key": "peak", "type": "FEATURE_TYPE_METERED", "meter": "peak"}}`},
		{"CreateFeature", `{"feature": {"key": "visitors", "type": "FEATURE_TYPE_METERED", "meter": "visitors"}}`},
		{"CreateFeature", `{"feature": {"key": "calls2", "type": "FEATURE_TYPE_METERED", "meter": "requests"}}`},
		{"CreateFeature", `{"feature": {"key": "seats", "type": "FEATURE_TYPE_STATIC"}}`},
		{"CreateFeature", `{"feature": {"key": "gone", "type": "FEATURE_TYPE_BOOLEAN"}}`},
		{"ArchiveFeature", `{"key": "gone"}`},
		{"CreatePlan", `{"plan": {"key": "old"}}`},
		{"ArchivePlan", `{"key": "old"}`},
		{"CreatePlan", `{"plan": {"key": "new"}}`},
		{"CreatePlanDraft", `{"plan": "free"}`},
	} {
		a.object("CatalogService/"+call[0], call[1])
	}
	return a
}

// everythingStored is all that the catalog's lists and versions say.
func (a *api) everythingStored() string {
	a.t.Helper()
	var all strings.Builder
	for _, call := range []string{"CatalogService/ListFeatures", "CatalogService/ListMeters", "CatalogService/ListPlans", "TrafficService/ListRoutes", "TrafficService/ListServices"} {
		all.WriteString(a.post(call, `{}`).Body)
		all.WriteString(a.post(call, `{"filter": "archived = \"true\""}`).Body)
	}
	for _, plan := range []string{"free", "old", "new"} {
		all.WriteString(a.post("CatalogService/ListPlanVersions", fmt.Sprintf(`{"plan": %q}`, plan)).Body)
	}
	return all.String()
}

// Each rule of the catalog, broken: the right code, the field named, nothing stored, no epoch taken.
func TestCatalog_BadInputIsRefusedAndStoresNothing(t *testing.T) {
	t.Parallel()
	a := shop(t)
	long, huge := strings.Repeat("x", 1001), fmt.Sprint(math.MaxInt64)
	token, _ := a.object("CatalogService/ListMeters", `{"pageSize": 1}`)["nextPageToken"].(string)
	draft := func(fields string) string {
		return fmt.Sprintf(`{"planVersion": {"plan": "free", "version": 2, %s}}`, fields)
	}
	entitlement := func(fields string) string {
		return draft(fmt.Sprintf(`"entitlements": [{"feature": "reports", "enabled": true}, {%s}]`, fields))
	}
	quota := func(feature, fields string) string {
		return entitlement(fmt.Sprintf(`"feature": %q, "quota": {%s}`, feature, fields))
	}
	card := func(fields string) string {
		return draft(fmt.Sprintf(`"entitlements": [{"feature": "calls"}, {"feature": "reports", "enabled": true}], "rateCards": [
			{"key": "base", "kind": "flat", "amount": "1", "currency": "USD"}, {"key": "usage", %s}]`, fields))
	}
	tiers := func(of string) string {
		return card(`"kind": "graduated", "feature": "calls", "currency": "USD", "tiers": [` + of + `]`)
	}
	file := func(text string) string { return fmt.Sprintf(`{"yaml": %q}`, "version: 1\n"+text) }
	const update, bad, state = "CatalogService/UpdatePlanDraft", "invalid_argument", "failed_precondition"
	rows := []struct{ name, call, body, code, says string }{
		{"unknown field", "CatalogService/CreateMeter", `{"meter": {"key": "a", "colour": 1}}`, bad, "colour"},
		{"wrong type", "CatalogService/CreateMeter", `{"meter": {"key": 5}}`, bad, "key"},
		{"no aggregation", "CatalogService/CreateMeter", `{"meter": {"key": "a"}}`, bad, "meter.aggregation"},
		{"key of a file", "CatalogService/CreateMeter", `{"meter": {"key": "a/b", "aggregation": "AGGREGATION_MAX"}}`, bad, "meter.key"},
		{"key twice", "CatalogService/CreateMeter", `{"meter": {"key": "peak", "aggregation": "AGGREGATION_MAX"}}`, "already_exists", "meter.key"},
		{"another aggregation", "CatalogService/UpdateMeter", `{"meter": {"key": "peak", "aggregation": "AGGREGATION_SUM"}}`, bad, "meter.aggregation"},
		{"static with meter", "CatalogService/CreateFeature", `{"feature": {"key": "a", "type": "FEATURE_TYPE_STATIC", "meter": "peak"}}`, bad, "feature.meter"},
		{"metered without meter", "CatalogService/CreateFeature", `{"feature": {"key": "a", "type": "FEATURE_TYPE_METERED"}}`, bad, "feature.meter"},
		{"unknown meter", "CatalogService/CreateFeature", `{"feature": {"key": "a", "type": "FEATURE_TYPE_METERED", "meter": "none"}}`, bad, "feature.meter"},
		{"archived meter", "CatalogService/CreateFeature", `{"feature": {"key": "a", "type": "FEATURE_TYPE_METERED", "meter": "dead"}}`, state, "feature.meter"},
		{"unknown type", "CatalogService/CreateFeature", `{"feature": {"key": "a", "type": 9}}`, bad, "feature.type"},
		{"another type", "CatalogService/UpdateFeature", `{"feature": {"key": "seats", "type": "FEATURE_TYPE_BOOLEAN"}}`, bad, "feature.type"},
		{"name too long", "CatalogService/CreatePlan", `{"plan": {"key": "a", "displayName": "` + long + `"}}`, bad, "plan.display_name"},
		{"feature in use", "CatalogService/ArchiveFeature", `{"key": "calls"}`, state, "plan version free@1"},
		{"meter in use", "CatalogService/ArchiveMeter", `{"key": "requests"}`, state, "feature calls"},

		{"unknown mask path", update, `{"planVersion": {"plan": "free", "version": 2}, "updateMask": "color"}`, bad, "update_mask"},
		{"stale etag", update, draft(`"etag": "99", "trialDays": 3`), "aborted", "plan_version.etag"},
		{"a published version", update, `{"planVersion": {"plan": "free", "version": 1, "trialDays": 3}}`, state, "only a draft"},
		{"a version that is not there", update, `{"planVersion": {"plan": "free", "version": 9}}`, "not_found", "free@9"},
		{"archived plan", update, `{"planVersion": {"plan": "old", "version": 1}}`, state, "archived"},
		{"draft of an archived plan", "CatalogService/CreatePlanDraft", `{"plan": "old"}`, state, "archived"},
		{"a second draft", "CatalogService/CreatePlanDraft", `{"plan": "free"}`, "already_exists", "version 2"},
		{"negative trial", update, draft(`"trialDays": -1`), bad, "plan_version.trial_days"},
		{"trial beyond a year", update, draft(`"trialDays": 367`), bad, "plan_version.trial_days"},
		{"trial of half a day", update, draft(`"trialDays": 0.5`), bad, "trialDays"},

		{"unknown feature", update, entitlement(`"feature": "none"`), bad, "entitlements[1].feature"},
		{"archived feature", update, entitlement(`"feature": "gone", "enabled": true`), state, "entitlements[1].feature"},
		{"feature twice", update, entitlement(`"feature": "reports"`), bad, "entitlements[1].feature"},
		{"two features of a meter", update, draft(`"entitlements": [{"feature": "calls"}, {"feature": "calls2"}]`), bad, "entitlements[1].feature"},
		{"static without value", update, entitlement(`"feature": "seats", "enabled": true`), bad, "entitlements[1].value"},
		{"value of null", update, entitlement(`"feature": "seats", "value": null`), bad, "entitlements[1].value"},
		{"value of a list", update, entitlement(`"feature": "seats", "value": [1]`), bad, "entitlements[1].value: is a list"},
		{"value of a mapping", update, entitlement(`"feature": "seats", "value": {"a": 1}`), bad, "entitlements[1].value: is a mapping"},
		{"value too long", update, entitlement(`"feature": "seats", "value": "` + long + `"`), bad, "entitlements[1].value"},
		{"value with NUL", update, entitlement(`"feature": "seats", "value": "a\u0000"`), bad, "entitlements[1].value"},
		{"value overflow", update, entitlement(`"feature": "seats", "value": 1e999`), bad, "google.protobuf.Value"},
		{"value of a switch", update, entitlement(`"feature": "calls", "value": 5`), bad, "entitlements[1].value"},
		{"quota on a static feature", update, entitlement(`"feature": "seats", "value": 1, "quota": {"limit": 1, "period": "PERIOD_DAY"}`), bad, "entitlements[1].quota"},

		{"negative limit", update, quota("calls", `"limit": -1, "period": "PERIOD_DAY"`), bad, "entitlements[1].quota.limit"},
		{"limit overflow", update, quota("calls", `"limit": "`+huge+`", "period": "PERIOD_DAY"`), bad, "entitlements[1].quota.limit"},
		{"limit beyond int64", update, quota("calls", `"limit": "9223372036854775808", "period": "PERIOD_DAY"`), bad, "limit"},
		{"no period", update, quota("calls", `"limit": 1`), bad, "entitlements[1].quota.period"},
		{"hard quota on max", update, quota("peak", `"limit": 1, "period": "PERIOD_DAY"`), bad, "entitlements[1].quota.mode"},
		{"soft quota on unique", update, quota("visitors", `"limit": 1, "period": "PERIOD_DAY", "mode": "QUOTA_MODE_SOFT"`), bad, "entitlements[1].quota"},
		{"negative rollover", update, quota("calls", `"limit": 1, "period": "PERIOD_DAY", "rollover": -1`), bad, "entitlements[1].quota.rollover"},
		{"rollover overflow", update, quota("calls", `"limit": 1, "period": "PERIOD_DAY", "rollover": "`+huge+`"`), bad, "entitlements[1].quota.rollover"},
		{"rollover of a soft quota", update, quota("calls", `"limit": 1, "period": "PERIOD_DAY", "mode": "QUOTA_MODE_SOFT", "rollover": 1`), bad, "entitlements[1].quota.rollover"},
		{"rollover of a lifetime", update, quota("calls", `"limit": 1, "period": "PERIOD_LIFETIME", "rollover": 1`), bad, "entitlements[1].quota.rollover"},

		{"unknown kind", update, card(`"kind": "stairstep", "amount": "1", "currency": "USD"`), bad, "rate_cards[1].kind"},
		{"negative amount", update, card(`"kind": "flat", "amount": "-1", "currency": "USD"`), bad, "rate_cards[1].amount"},
		{"13 decimals", update, card(`"kind": "flat", "amount": "0.0000000000001", "currency": "USD"`), bad, "rate_cards[1].amount"},
		{"no amount", update, card(`"kind": "flat", "currency": "USD"`), bad, "rate_cards[1].amount"},
		{"no such currency", update, card(`"kind": "flat", "amount": "1", "currency": "HRK"`), bad, "rate_cards[1].currency"},
		{"currency mismatch", update, card(`"kind": "flat", "amount": "1", "currency": "EUR"`), bad, "rate_cards[1].currency"},
		{"price of no feature", update, card(`"kind": "per_unit", "amount": "1", "currency": "USD"`), bad, "rate_cards[1].feature"},
		{"flat price of a feature", update, card(`"kind": "flat", "feature": "calls", "amount": "1", "currency": "USD"`), bad, "rate_cards[1].feature"},
		{"price of what is not granted", update, card(`"kind": "per_unit", "feature": "peak", "amount": "1", "currency": "USD"`), bad, "rate_cards[1].feature"},
		{"price of a switch", update, card(`"kind": "per_unit", "feature": "reports", "amount": "1", "currency": "USD"`), bad, "rate_cards[1].feature"},
		{"package of no size", update, card(`"kind": "package", "feature": "calls", "amount": "1", "currency": "USD"`), bad, "rate_cards[1].unit_size"},
		{"negative unit size", update, card(`"kind": "per_unit", "feature": "calls", "amount": "1", "currency": "USD", "unitSize": -1`), bad, "rate_cards[1].unit_size"},
		{"unit size of tiers", update, card(`"kind": "volume", "feature": "calls", "currency": "USD", "unitSize": 5, "tiers": [{"unitPrice": "1"}]`), bad, "rate_cards[1].unit_size"},
		{"included overflow", update, card(`"kind": "per_unit", "feature": "calls", "amount": "1", "currency": "USD", "included": "` + huge + `"`), bad, "rate_cards[1].included"},
		{"tiers and an amount", update, card(`"kind": "volume", "feature": "calls", "amount": "1", "currency": "USD", "tiers": [{"unitPrice": "1"}]`), bad, "rate_cards[1].amount"},
		{"tiers of a flat price", update, card(`"kind": "flat", "amount": "1", "currency": "USD", "tiers": [{"unitPrice": "1"}]`), bad, "rate_cards[1].tiers"},
		{"no tiers", update, tiers(``), bad, "rate_cards[1].tiers"},
		{"closed last tier", update, tiers(`{"upTo": 10, "unitPrice": "1"}`), bad, "rate_cards[1].tiers[0].up_to"},
		{"open tier inside", update, tiers(`{"unitPrice": "1"}, {"unitPrice": "1"}`), bad, "rate_cards[1].tiers[0].up_to"},
		{"tiers that do not rise", update, tiers(`{"upTo": 10, "unitPrice": "1"}, {"upTo": 10, "unitPrice": "1"}, {"unitPrice": "1"}`), bad, "rate_cards[1].tiers[1].up_to"},
		{"tier without a price", update, tiers(`{"upTo": 10, "unitPrice": "1"}, {}`), bad, "rate_cards[1].tiers[1].unit_price"},
		{"negative flat price", update, tiers(`{"flatPrice": "-1"}`), bad, "rate_cards[1].tiers[0].flat_price"},

		{"route on max", "TrafficService/CreateRoute", `{"route": {"key": "r", "service": "sample", "match": {"path": "/r"}, "meter": "peak"}}`, bad, "route.meter"},
		{"route on an archived meter", "TrafficService/CreateRoute", `{"route": {"key": "r", "service": "sample", "match": {"path": "/r"}, "meter": "dead"}}`, state, "route.meter"},
		{"page token of another list", "CatalogService/ListPlans", `{"pageToken": "` + token + `"}`, bad, "page_token"},
		{"filter that is none", "CatalogService/ListFeatures", `{"filter": "colour = red"}`, bad, "filter"},

		{"diff without a draft", "CatalogService/DiffPlanVersions", `{"plan": "new"}`, "not_found", "from_version"},
		{"diff with no such version", "CatalogService/DiffPlanVersions", `{"plan": "free", "fromVersion": 7}`, "not_found", "free@7"},
		{"preview of what is published", "CatalogService/PreviewPublish", `{"plan": "free", "version": 1}`, state, "only a draft"},
		{"rollback of the first version", "CatalogService/RollbackPlan", `{"plan": "free"}`, state, "no version to go back to"},
		{"rollback of an archived plan", "CatalogService/RollbackPlan", `{"plan": "old"}`, state, "archived"},
		{"discard of what is published", "CatalogService/DiscardPlanDraft", `{"plan": "free", "version": 1}`, state, "only a draft"},
		{"discard with a stale etag", "CatalogService/DiscardPlanDraft", `{"plan": "free", "version": 2, "etag": "99"}`, "aborted", "etag"},

		{"file: unknown key", "CatalogService/ApplyCatalog", file("features: [{key: a, colour: red}]"), bad, "line 2"},
		{"file: value of a list", "CatalogService/ApplyCatalog", file("plans: [{key: free, entitlements: [{feature: seats, value: [1]}]}]"), bad, "line 2"},
		{"file: number that is not exact", "CatalogService/ApplyCatalog", file("plans: [{key: free, entitlements: [{feature: seats, value: 9007199254740993}]}]"), bad, "line 2"},
		{"file: infinity", "CatalogService/ApplyCatalog", file("plans: [{key: free, entitlements: [{feature: seats, value: .inf}]}]"), bad, "plans[free].entitlements[0].value"},
		{"file: another aggregation", "CatalogService/ApplyCatalog", file("meters: [{key: peak, aggregation: sum}]"), bad, "meters[peak].aggregation"},
		{"file: hard quota on max", "CatalogService/ApplyCatalog", file("plans: [{key: free, entitlements: [{feature: peak, quota: {limit: 1, period: day}}]}]"), bad, "plans[free].entitlements[0].quota.mode"},
		{"file: archived feature of another type", "CatalogService/ApplyCatalog", file("features: [{key: gone, type: static}]"), bad, "features[gone].type"},
		{"file: archived feature that is granted", "CatalogService/ApplyCatalog", file("plans: [{key: free, entitlements: [{feature: gone}]}]"), state, "plans[free].entitlements[0].feature"},
		{"file: prune of what is in use", "CatalogService/ApplyCatalog", fmt.Sprintf(`{"prune": true, "yaml": %q}`, strings.Replace(demo, "{key: reports, type: boolean}, ", "", 1)), state, "in use"},
	}
	before, epoch := a.everythingStored(), a.object("CatalogService/ApplyCatalog", fmt.Sprintf(`{"yaml": %q, "dryRun": true}`, demo))["epoch"]
	for _, r := range rows {
		res := a.post(r.call, r.body)
		if res.Status == http.StatusOK || res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %s %s\ngot %d %s\nwant %s, %q", r.name, r.call, r.body, res.Status, res.Body, r.code, r.says)
		}
		if now := a.everythingStored(); now != before {
			t.Fatalf("%s: something was stored:\n%s\n%s", r.name, before, now)
		}
	}
	if now := a.object("CatalogService/ApplyCatalog", fmt.Sprintf(`{"yaml": %q, "dryRun": true}`, demo)); fmt.Sprint(now["epoch"]) != fmt.Sprint(epoch) {
		t.Errorf("epoch %v became %v", epoch, now["epoch"])
	}
}
