package decision_test

import (
	"testing"

	"tollgate/dataplane/decision"
)

// A static feature is granted by its value: an entitlement without one grants nothing, whatever else it says.
func TestDecide_StaticFeatureIsGrantedByItsValue(t *testing.T) {
	t.Parallel()
	for value, granted := range map[string]bool{"10": true, "false": true, `""`: true, "": false} {
		e := decision.Edit(nil)
		e.SetFeature(&decision.Feature{Key: "seats", Type: decision.Static})
		e.SetRoute(&decision.Route{Key: "seats", Path: "/seats", Requires: []string{"seats"}})
		e.SetPlanVersion(&decision.PlanVersion{Plan: "plan", Version: 1, Entitlements: []decision.Entitlement{{Feature: "seats", Enabled: true, Value: value}}})
		e.SetCustomer(&decision.Customer{ID: "cus"})
		e.SetLicense(&decision.License{ID: "lic", Customer: "cus", Phase: decision.Phase{Plan: "plan", PlanVersion: 1}, Status: decision.Active, StartsAt: noon.AddDate(0, -1, 0)})
		e.SetCredential(&decision.Credential{ID: "key", License: "lic", Hash: [32]byte{1}})
		s, err := e.Build(decision.Epoch{Generation: 1, Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		v := decide(s, nil, get("/seats"), noon)
		if granted && (v.Code != decision.OK || v.Features() != "seats") || !granted && (v.Code != decision.FeatureNotInPlan || v.Features() != "") {
			t.Errorf("value %q: %s, features %q", value, v.Code, v.Features())
		}
	}
}
