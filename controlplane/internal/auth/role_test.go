package auth

import (
	"strings"
	"testing"
)

func TestRole_HoldsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	// One letter a role, in the order of Roles: viewer, support, billing, editor, owner.
	want := map[Permission]string{
		Authenticated: "vsbeo",
		CatalogRead:   "vsbeo", CatalogWrite: "eo",
		CustomerRead: "vsbeo", CustomerWrite: "eo",
		LicenseRead: "vsbeo", LicenseWrite: "eo", LicenseAdjust: "seo",
		CredentialRead: "vsbeo", CredentialWrite: "eo",
		TrafficRead: "vsbeo", TrafficWrite: "eo",
		UsageRead: "vsbeo", UsageWrite: "beo", DecisionRead: "vsbeo", FleetRead: "vsbeo", FleetWrite: "o",
		AccessRead: "o", AccessWrite: "o", AuditRead: "o",
	}
	if len(want) != len(Permissions()) {
		t.Fatalf("the table has %d permissions, the package %d", len(want), len(Permissions()))
	}
	for p, roles := range want {
		for _, r := range Roles() {
			if got := r.Holds(p); got != strings.Contains(roles, string(r[:1])) {
				t.Errorf("%s holds %s: %v", r, p, got)
			}
		}
	}
}

func TestRole_UnknownHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, r := range []Role{"", "root", "OWNER", "owner "} {
		for _, p := range append(Permissions(), "") {
			if r.Holds(p) {
				t.Errorf("role %q holds %q", r, p)
			}
		}
	}
}

func TestRole_NoRoleHoldsAnUnknownPermission(t *testing.T) {
	t.Parallel()
	for _, r := range Roles() {
		for _, p := range []Permission{"", "unspecified", "catalog", "catalog.delete"} {
			if r.Holds(p) {
				t.Errorf("role %q holds %q", r, p)
			}
		}
	}
}
