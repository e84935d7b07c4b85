package connectapi

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAPI_FleetSettingsAreChangedAndSent(t *testing.T) {
	t.Parallel()
	a := setup(t)
	const get, update = "FleetService/GetFleetSettings", "FleetService/UpdateFleetSettings"
	before := a.object(get, `{}`)
	if at(before, "settings", "staleAfter") != "15s" || at(before, "settings", "blockAfter") != "86400s" || at(before, "settings", "env") != "live" {
		t.Errorf("a new fleet's settings: %v", before)
	}
	changed := a.object(update, `{"settings": {"staleAfter": "2s", "graceAfter": "4s", "blockAfter": "6s"}, "updateMask": "staleAfter,graceAfter,blockAfter"}`)
	now := a.object(get, `{}`)
	if fmt.Sprint(at(changed, "settings")) != fmt.Sprint(at(now, "settings")) || at(now, "settings", "graceAfter") != "4s" || at(now, "settings", "loanHorizon") != "60s" {
		t.Errorf("answered %v, stored %v", changed, now)
	}
	for _, r := range []struct{ name, body, code, says string }{
		{"too young", `{"settings": {"staleAfter": "0.5s"}, "updateMask": "staleAfter"}`, "invalid_argument", "settings.stale_after"},
		{"too old", `{"settings": {"blockAfter": "9999999s"}, "updateMask": "blockAfter"}`, "invalid_argument", "settings.block_after"},
		{"grace before stale", `{"settings": {"graceAfter": "2s"}, "updateMask": "graceAfter"}`, "invalid_argument", "settings.grace_after"},
		{"block before grace", `{"settings": {"blockAfter": "3s"}, "updateMask": "blockAfter"}`, "invalid_argument", "settings.block_after"},
		{"no horizon", `{"settings": {}, "updateMask": "loanHorizon"}`, "invalid_argument", "settings.loan_horizon"},
		{"the label of keys", `{"settings": {"env": "test"}, "updateMask": "env"}`, "invalid_argument", "update_mask"},
		{"a stale etag", `{"settings": {"staleAfter": "3s", "etag": "0"}, "updateMask": "staleAfter"}`, "aborted", "etag"},
		{"nothing", `{}`, "invalid_argument", "settings"},
	} {
		if res := a.post(update, r.body); res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %d %s, want %s, %s", r.name, res.Status, res.Body, r.code, r.says)
		}
	}
	if after := a.object(get, `{}`); fmt.Sprint(after) != fmt.Sprint(now) {
		t.Errorf("what was refused changed %v to %v", now, after)
	}
}

// Support helps one customer over some days, and gives nothing that stays.
func TestAPI_SupportGivesWhatEndsSoon(t *testing.T) {
	t.Parallel()
	s := sell(t)
	token := s.token("support")
	as := func(call, body string) answer { return s.post(call, body, "Authorization", "Bearer "+token) }
	for _, r := range []struct{ name, call, body, code, says string }{
		{"override for a day", "CreateOverride", `"feature": "reports", "value": true, "reason": "r", "endsAt": "$day"`, "", ""},
		{"override for good", "CreateOverride", `"feature": "seats", "value": 5, "reason": "r"`, "permission_denied", "ends_at"},
		{"override for a month", "CreateOverride", `"feature": "seats", "value": 5, "reason": "r", "endsAt": "$month"`, "permission_denied", "ends_at"},
		{"grant for a month", "CreateGrant", `"feature": "calls", "units": "995", "expiresAt": "$month"`, "", ""}, // 5 were given before.
		{"grant beyond a month's quota", "CreateGrant", `"feature": "calls", "units": "1", "expiresAt": "$month"`, "permission_denied", "units"},
		{"grant for good", "CreateGrant", `"feature": "calls", "units": "5"`, "permission_denied", "expires_at"},
		{"grant of more than a month's quota", "CreateGrant", `"feature": "calls", "units": "1001", "expiresAt": "$month"`, "permission_denied", "units"},
		{"grant of what has no quota", "CreateGrant", `"feature": "calls2", "units": "5", "expiresAt": "$month"`, "permission_denied", "feature"},
		{"suspension", "SuspendLicense", ``, "permission_denied", "license.write"},
	} {
		body := fmt.Sprintf(`{"license": %q, %s}`, s.live, r.body)
		if r.body == "" {
			body = fmt.Sprintf(`{"id": %q}`, s.live)
		}
		body = strings.NewReplacer("$day", in(24), "$month", in(30*24)).Replace(body)
		if res := as("LicenseService/"+r.call, body); res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %d %s, want %q, %s", r.name, res.Status, res.Body, r.code, r.says)
		}
	}
	// It ends what it could have given, and not what an editor gave for longer.
	overrides, _ := at(s.object("LicenseService/GetLicense", fmt.Sprintf(`{"id": %q}`, s.live)), "license", "overrides").([]any)
	for _, o := range overrides {
		want := ""
		if at(o, "feature") == "calls" {
			want = "permission_denied"
		}
		if res := as("LicenseService/DeleteOverride", fmt.Sprintf(`{"license": %q, "id": %q}`, s.live, at(o, "id"))); res.Code != want {
			t.Errorf("end of %v: %d %s", o, res.Status, res.Body)
		}
	}
	if len(overrides) != 2 {
		t.Errorf("overrides %v", overrides)
	}
}

// in is the time some hours from now.
func in(hours int) string {
	return time.Now().Add(time.Duration(hours) * time.Hour).UTC().Format(time.RFC3339)
}
