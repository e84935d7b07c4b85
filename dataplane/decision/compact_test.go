package decision_test

import (
	"fmt"
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// I10: whatever form ids have, and whatever is rare about a licence, finding a request's records allocates nothing; nor does not finding them.
func TestI10_LookingUpAllocatesNothing(t *testing.T) {
	const form = "01JDXAMPLE00000000000000"
	e := decision.Edit(newWorld(nil).state(t))
	var ids []string
	for i := range 3000 {
		key, lic, cus := fmt.Sprintf("key_%s%02d", form, i%100), fmt.Sprintf("lic_%s%02d", form, i%100), fmt.Sprintf("cus_%s%02d", form, i%100)
		if i >= 100 {
			key, lic, cus = fmt.Sprint("key", i), fmt.Sprint("lic", i), fmt.Sprint("cus", i)
		}
		l := &decision.License{
			ID: lic, Customer: cus, Phase: decision.Phase{Plan: "plan", PlanVersion: 1}, Status: decision.Active, StartsAt: noon, Anchor: noon.Add(1),
			EndsAt: noon.AddDate(1, 0, 0), PastDue: i%2 == 0, GraceUntil: noon.AddDate(0, 1, 0),
		}
		if i%3 == 0 {
			l.Next = []decision.Phase{{At: noon, Plan: "plan", PlanVersion: 2}}
			l.Overrides = []decision.Override{{ID: "o", From: noon, Feature: "other"}}
			l.AddOns = []decision.Attachment{{AddOn: "none", From: noon}}
		}
		e.SetCustomer(&decision.Customer{ID: cus, ExternalID: "ext", Zone: time.UTC})
		e.SetLicense(l)
		e.SetCredential(&decision.Credential{ID: key, License: lic, Hash: [32]byte{1}, ExpiresAt: noon.AddDate(2, 0, 0)})
		ids = append(ids, key)
	}
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 8})
	if err != nil {
		t.Fatal(err)
	}
	ids = append(ids, "key_"+form+"ZZ", "nobody's")
	var v decision.Verdict
	a, r, i := accounts{}, get("/reports"), 0
	allocs := testing.AllocsPerRun(2*len(ids), func() {
		r.KeyID = ids[i%len(ids)]
		i++
		decision.Decide(&v, s, &r, a, noon.Add(time.Minute))
		known := i%len(ids) != 0 && i%len(ids) != len(ids)-1
		if forwarded := v.Outcome == decision.Forward; forwarded != known || known && (v.License.Customer != v.Customer.ID || v.Credential.License != v.License.ID) {
			t.Fatalf("%s: got %s", r.KeyID, describe(&v))
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each decision", allocs)
	}
}
