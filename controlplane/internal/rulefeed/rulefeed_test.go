package rulefeed_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

var at = time.Date(2026, 11, 23, 10, 0, 0, 1000, time.UTC)

// objects is one of each kind that nodes know.
func objects() []licensing.Change {
	return []licensing.Change{
		&licensing.Fleet{Env: "live", Pepper: []byte("p"), ErrorBaseURL: "http://e", StaleAfter: time.Second, GraceAfter: time.Minute, BlockAfter: time.Hour, LoanHorizon: 2 * time.Second},
		&licensing.Upstream{Key: "s", DisplayName: "S", Endpoints: []string{"http://a", "http://b"}},
		&licensing.Meter{Key: "m", Aggregation: licensing.Sum},
		&licensing.Feature{Key: "f", Type: licensing.Metered, Meter: "m"},
		&licensing.PlanVersion{
			Plan: "p", Version: 3,
			Entitlements: []licensing.Entitlement{
				{Feature: "f", Quota: &licensing.Quota{Limit: 7, Period: licensing.Billing, Mode: licensing.Soft}},
				{Feature: "g", Quota: &licensing.Quota{Limit: 8, Period: licensing.Lifetime, Mode: licensing.Hard}},
				{Feature: "on", Enabled: true}, {Feature: "off"},
			},
			RateLimits: []licensing.RateLimit{{Key: "r", Limit: 5, Per: 1500 * time.Millisecond, Burst: 9}},
			RateCards:  []licensing.RateCard{{Key: "base", Kind: "flat", Amount: "1", Currency: "USD"}},
		},
		&licensing.AddOn{Key: "a", DisplayName: "A", Version: 4, Entitlements: []licensing.Entitlement{
			{Feature: "f", Quota: &licensing.Quota{Limit: 9, Period: licensing.Day, Mode: licensing.Hard}}, {Feature: "on", Enabled: true},
		}},
		&licensing.Route{Key: "r", Service: "s", Match: licensing.RouteMatch{Host: "h", Path: "/x", Methods: []string{"GET"}}, Requires: []string{"on"}, Meter: "m", Cost: &licensing.RouteCost{Fixed: 3}},
		&licensing.Customer{ID: "cus_1", ExternalID: "acme", TimeZone: "Asia/Tokyo", Metadata: map[string]string{"a": "b"}},
		&licensing.License{ID: "lic_1", Customer: "cus_1", Plan: "p", PlanVersion: 3, Decided: licensing.Canceled, StartsAt: at, Anchor: at, CounterGeneration: 2, AddOns: []licensing.Attachment{{AddOn: "a", StartsAt: at, EndsAt: at.Add(time.Hour)}, {AddOn: "b", StartsAt: at}}},
		&licensing.APIKey{ID: "key_1", License: "lic_1", Hash: [32]byte{1}, ExpiresAt: at, RevokeTime: at, Imported: true},
		&licensing.Removal{Kind: licensing.KindPlanVersion, ID: "p@1"},
	}
}

func TestEncode_IsDeterministicAndChained(t *testing.T) {
	t.Parallel()
	head := licensing.Head{Epoch: licensing.Epoch{Generation: 2, Number: 41}, Hash: []byte("before")}
	var records [][]byte
	for _, o := range objects() {
		var first []byte
		for i := range 20 {
			r, err := rulefeed.Encoder{}.Record(o)
			if i == 0 {
				first = r
				records = append(records, r)
			}
			if err != nil || !bytes.Equal(r, first) {
				t.Fatalf("%T: other bytes the next time, %v", o, err)
			}
		}
	}
	sum := decision.Digest{1, 2, 3}
	first, err := rulefeed.Encoder{}.Envelope("fleet", head, at, records, &sum)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := rulefeed.Encoder{}.Envelope("fleet", head, at, records, &sum)
		if err != nil || !bytes.Equal(again, first) {
			t.Fatalf("other bytes the second time, %v", err)
		}
	}
	var e rulesv1.Envelope
	if err := proto.Unmarshal(first, &e); err != nil {
		t.Fatal(err)
	}
	if e.GetFleet() != "fleet" || e.GetGeneration() != 2 || e.GetFrom() != 41 || e.GetTo() != 42 ||
		string(e.GetPreviousHash()) != "before" || !e.GetCreatedAt().AsTime().Equal(at) || len(e.GetNeeds()) != 0 {
		t.Errorf("envelope is %v", &e)
	}
	if !bytes.Equal(e.GetStateHash(), sum[:]) {
		t.Errorf("state hash %x", e.GetStateHash())
	}
	if len(e.GetRecords()) != len(objects()) {
		t.Fatalf("%d records", len(e.GetRecords()))
	}
	for i, o := range objects() {
		want, err := rulefeed.Record(o)
		if err != nil || !proto.Equal(e.GetRecords()[i], want) {
			t.Errorf("record %d is %v, want %v, %v", i, e.GetRecords()[i], want, err)
		}
	}
	unknown, err := rulefeed.Encoder{}.Envelope("fleet", head, at, nil, nil)
	var none rulesv1.Envelope
	if err != nil || proto.Unmarshal(unknown, &none) != nil || none.GetStateHash() != nil {
		t.Errorf("a state hash that is not known is said: %v, %v", &none, err)
	}
}

func TestRecord_SaysWhatNodesNeed(t *testing.T) {
	t.Parallel()
	records := map[string]*rulesv1.Record{}
	for _, o := range objects() {
		r, err := rulefeed.Record(o)
		if err != nil {
			t.Fatal(err)
		}
		name := string(r.ProtoReflect().WhichOneof(r.ProtoReflect().Descriptor().Oneofs().Get(0)).Name())
		records[name] = r
	}
	if len(records) != 11 {
		t.Fatalf("%d kinds of records", len(records))
	}
	s := records["settings"].GetSettings()
	if s.GetEnv() != "live" || string(s.GetPepper()) != "p" || s.GetStaleAfter().AsDuration() != time.Second ||
		s.GetGraceAfter().AsDuration() != time.Minute || s.GetBlockAfter().AsDuration() != time.Hour || s.GetLoanHorizon().AsDuration() != 2*time.Second {
		t.Errorf("settings: %v", s)
	}
	v := records["plan_version"].GetPlanVersion()
	e := v.GetEntitlements()
	if q := e[0].GetQuota(); q.GetLimit() != 7 || q.GetPeriod() != rulesv1.Period_PERIOD_BILLING || q.GetHard() {
		t.Errorf("soft quota: %v", q)
	}
	if q := e[1].GetQuota(); q.GetPeriod() != rulesv1.Period_PERIOD_LIFETIME || !q.GetHard() {
		t.Errorf("hard quota: %v", q)
	}
	if !e[2].GetEnabled() || e[3].GetEnabled() || e[3].GetQuota() != nil {
		t.Errorf("boolean entitlements: %v", e[2:])
	}
	if l := v.GetRateLimits()[0]; l.GetPer().AsDuration() != 1500*time.Millisecond || l.GetLimit() != 5 || l.GetBurst() != 9 {
		t.Errorf("rate limit: %v", l)
	}
	if a := records["add_on"].GetAddOn(); a.GetKey() != "a" || a.GetEntitlements()[0].GetQuota().GetLimit() != 9 || !a.GetEntitlements()[1].GetEnabled() {
		t.Errorf("add-on: %v", a)
	}
	r := records["route"].GetRoute()
	if r.GetCostFixed() != 3 || !r.GetBillOpenIntents() || r.GetHost() != "h" || r.GetMeter() != "m" {
		t.Errorf("route: %v", r)
	}
	l := records["license"].GetLicense()
	if l.GetStatus() != rulesv1.LicenseStatus_LICENSE_STATUS_CANCELED || l.GetEndsAt() != nil || l.GetCounterGeneration() != 2 {
		t.Errorf("licence: %v", l)
	}
	if a := l.GetAddOns(); len(a) != 2 || a[0].GetAddOn() != "a" || !a[0].GetEndsAt().AsTime().Equal(at.Add(time.Hour)) || !a[1].GetStartsAt().AsTime().Equal(at) || a[1].GetEndsAt() != nil {
		t.Errorf("the licence's add-ons: %v", a)
	}
	c := records["credential"].GetCredential()
	if !c.GetRevoked() || !c.GetImported() || len(c.GetHash()) != 32 || !c.GetExpiresAt().AsTime().Equal(at) {
		t.Errorf("credential: %v", c)
	}
	if m := records["removal"].GetRemoval(); m.GetKind() != rulesv1.Kind_KIND_PLAN_VERSION || m.GetId() != "p@1" {
		t.Errorf("removal: %v", m)
	}
	if f := records["feature"].GetFeature(); f.GetType() != rulesv1.FeatureType_FEATURE_TYPE_METERED || f.GetMeter() != "m" {
		t.Errorf("feature: %v", f)
	}
}

// Every value that the domain takes has one that nodes know.
func TestRecord_KnowsEveryPeriodAndStatus(t *testing.T) {
	t.Parallel()
	seen := map[rulesv1.Period]bool{}
	for _, p := range licensing.Periods() {
		r, err := rulefeed.Record(&licensing.PlanVersion{Entitlements: []licensing.Entitlement{{Quota: &licensing.Quota{Period: p}}}})
		if err != nil {
			t.Fatal(err)
		}
		seen[r.GetPlanVersion().GetEntitlements()[0].GetQuota().GetPeriod()] = true
	}
	if len(seen) != len(licensing.Periods()) || seen[rulesv1.Period_PERIOD_UNSPECIFIED] {
		t.Errorf("periods: %v", seen)
	}
	for _, s := range []licensing.LicenseStatus{licensing.Active, licensing.Suspended, licensing.Canceled, licensing.Revoked} {
		r, err := rulefeed.Record(&licensing.License{Decided: s})
		if err != nil || r.GetLicense().GetStatus() == rulesv1.LicenseStatus_LICENSE_STATUS_UNSPECIFIED {
			t.Errorf("status %s: %v, %v", s, r, err)
		}
	}
	if _, err := rulefeed.Record(&licensing.Removal{Kind: licensing.KindToken, ID: "x"}); err == nil {
		t.Error("nodes know no tokens")
	}
}
