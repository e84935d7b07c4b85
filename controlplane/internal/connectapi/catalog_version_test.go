package connectapi

import (
	"fmt"
	"testing"
)

func TestAPI_VersionsAreComparedAndUndone(t *testing.T) {
	t.Parallel()
	a := shop(t)
	customer := at(a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "acme"}}`), "customer", "id")
	a.object("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free"}}`, customer))
	a.object("CatalogService/UpdatePlanDraft", `{"planVersion": {"plan": "free", "version": 2, "trialDays": 7, "entitlements": [
		{"feature": "seats", "value": "many"}, {"feature": "calls", "quota": {"limit": 1000, "period": "PERIOD_MONTH"}}]}, "updateMask": "entitlements,trialDays"}`)

	changes, _ := a.object("CatalogService/DiffPlanVersions", `{"plan": "free"}`)["changes"].([]any)
	if len(changes) != 2 || at(changes[0], "path") != "trial_days" || at(changes[1], "path") != "entitlements[seats]" ||
		at(changes[1], "kind") != "added" || at(changes[1], "after") != `value: "many"` {
		t.Errorf("changes %v", changes)
	}
	preview := a.object("CatalogService/PreviewPublish", `{"plan": "free", "version": 2}`)
	if fmt.Sprint(preview["gained"]) != "[seats]" || preview["lost"] != nil || preview["moved"] != "1" || preview["overQuota"] != nil {
		t.Errorf("preview %v", preview)
	}
	a.object("CatalogService/PublishPlanVersion", `{"plan": "free", "version": 2, "migration": "MIGRATION_NOW"}`)
	back := a.object("CatalogService/RollbackPlan", `{"plan": "free", "migration": "MIGRATION_NOW"}`)
	if at(back, "planVersion", "version") != 3.0 || back["moved"] != "1" || at(back, "planVersion", "trialDays") != nil {
		t.Errorf("rolled back to %v", back)
	}
	a.object("CatalogService/CreatePlanDraft", `{"plan": "free", "fromVersion": 2}`)
	gone := a.object("CatalogService/DiscardPlanDraft", `{"plan": "free", "version": 4}`)
	if at(gone, "planVersion", "state") != "PLAN_VERSION_STATE_ARCHIVED" {
		t.Errorf("discarded %v", gone)
	}
	for call, key := range map[string]string{"Meter": "dead", "Feature": "gone", "Plan": "old"} {
		res := a.post("CatalogService/Unarchive"+call, fmt.Sprintf(`{"key": %q}`, key))
		if res.Status != 200 {
			t.Errorf("Unarchive%s: %s", call, res.Body)
		}
	}
	if left := a.object("CatalogService/ListFeatures", `{"filter": "archived = \"true\""}`); left["features"] != nil {
		t.Errorf("still archived: %v", left)
	}
}
