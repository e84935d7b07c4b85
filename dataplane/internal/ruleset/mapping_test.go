package ruleset_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

var begin = time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)

// everything is a rule state with one object of each kind.
func everything() []*rulesv1.Record {
	return []*rulesv1.Record{
		{Value: &rulesv1.Record_Settings{Settings: &rulesv1.Settings{Env: "live", Pepper: []byte("pepper"), ErrorBaseUrl: "https://x", LoanHorizon: durationpb.New(30 * time.Second)}}},
		{Value: &rulesv1.Record_Service{Service: &rulesv1.Service{Key: "svc", Endpoints: []string{"http://a"}, ResponseTimeout: durationpb.New(time.Minute)}}},
		{Value: &rulesv1.Record_Meter{Meter: &rulesv1.Meter{Key: "requests", Aggregation: rulesv1.Aggregation_AGGREGATION_COUNT}}},
		{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{Key: "calls", Type: rulesv1.FeatureType_FEATURE_TYPE_METERED, Meter: "requests"}}},
		{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{Key: "reports", Type: rulesv1.FeatureType_FEATURE_TYPE_BOOLEAN}}},
		{Value: &rulesv1.Record_Route{Route: &rulesv1.Route{
			Key: "route", Service: "svc", Host: "api.example", Path: "/r/{id}/*", Methods: []string{"GET"}, Requires: []string{"reports"},
			Meter: "requests", CostFixed: 3, StripCredential: true, BillOpenIntents: true,
		}}},
		{Value: &rulesv1.Record_PlanVersion{PlanVersion: &rulesv1.PlanVersion{
			Plan: "plan", Version: 2,
			Entitlements: []*rulesv1.Entitlement{
				{Feature: "calls", Grant: &rulesv1.Entitlement_Quota{Quota: &rulesv1.Quota{Limit: 10, Period: rulesv1.Period_PERIOD_BILLING, Hard: true}}},
				{Feature: "reports", Grant: &rulesv1.Entitlement_Enabled{Enabled: true}},
			},
			RateLimits: []*rulesv1.RateLimit{{Key: "rate", Limit: 5, Per: durationpb.New(time.Second), Burst: 7}},
		}}},
		{Value: &rulesv1.Record_AddOn{AddOn: &rulesv1.AddOn{Key: "extra", Entitlements: []*rulesv1.Entitlement{
			{Feature: "calls", Grant: &rulesv1.Entitlement_Quota{Quota: &rulesv1.Quota{Limit: 20, Period: rulesv1.Period_PERIOD_DAY, Hard: true}}},
			{Feature: "reports", Grant: &rulesv1.Entitlement_Enabled{}},
		}}}},
		{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{Id: "cus", ExternalId: "ext", TimeZone: "Asia/Beirut"}}},
		{Value: &rulesv1.Record_License{License: &rulesv1.License{
			Id: "lic", Customer: "cus", Plan: "plan", PlanVersion: 2, Status: rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE,
			StartsAt: timestamppb.New(begin), CounterGeneration: 4,
			AddOns: []*rulesv1.Attachment{{AddOn: "extra", StartsAt: timestamppb.New(begin.AddDate(1, 0, 0)), EndsAt: timestamppb.New(begin.AddDate(1, 1, 0))}},
		}}},
		{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: "key", License: "lic", Hash: make([]byte, 32), ExpiresAt: timestamppb.New(begin.AddDate(2, 0, 0))}}},
		{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: "elsewhere", License: "lic", Hash: bytes.Repeat([]byte{7}, 32), Imported: true}}},
	}
}

func TestMapping_EveryKindIsEnforced(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, everything()...)
	n.enforces(1, 1)
	state, _ := n.Current()
	if got := state.Settings(); got.Env != "live" || string(got.Pepper) != "pepper" || got.ErrorBaseURL != "https://x" || got.LoanHorizon != 30*time.Second {
		t.Errorf("settings %+v", got)
	}
	if got := state.Service("svc"); got == nil || got.Endpoints[0] != "http://a" || got.ResponseTimeout != time.Minute {
		t.Errorf("service %+v", got)
	}
	if got := state.Route("route"); got == nil || got.Cost != 3 || !got.StripCredential || !got.BillOpenIntents || got.Host != "api.example" {
		t.Errorf("route %+v", got)
	}
	if got := state.Customer("cus"); got == nil || got.ExternalID != "ext" || got.Zone.String() != "Asia/Beirut" {
		t.Errorf("customer %+v", got)
	}
	if got := state.License("lic"); got == nil || !got.StartsAt.Equal(begin) || !got.EndsAt.IsZero() || !got.Anchor.Equal(begin) || got.CounterGeneration != 4 {
		t.Errorf("license %+v", got)
	}
	if got := state.Imported([32]byte(bytes.Repeat([]byte{7}, 32))); got == nil || got.ID != "elsewhere" || state.Imported([32]byte{}) != nil {
		t.Errorf("imported credential %+v", got)
	}
	if got := state.Credential("key"); got == nil || got.License != "lic" || !got.ExpiresAt.Equal(begin.AddDate(2, 0, 0)) || got.Revoked {
		t.Errorf("credential %+v", got)
	}
	got := state.PlanVersion("plan", 2)
	if got == nil || len(got.Entitlements) != 2 || *got.Entitlements[0].Quota != (decision.Quota{Limit: 10, Period: decision.Billing, Hard: true}) ||
		!got.Entitlements[1].Enabled || got.RateLimits[0] != (decision.RateLimit{Key: "rate", Limit: 5, Per: time.Second, Burst: 7}) {
		t.Errorf("plan version %+v", got)
	}
	if got := state.AddOn("extra"); got == nil || len(got.Entitlements) != 1 || *got.Entitlements[0].Quota != (decision.Quota{Limit: 20, Period: decision.Day, Hard: true}) {
		t.Errorf("add-on %+v", got)
	}
	for at, want := range map[time.Time]int64{begin.AddDate(1, 0, -1): 10, begin.AddDate(1, 0, 0): 20, begin.AddDate(1, 1, 0): 10} {
		if en, ok := state.License("lic").Counts(state, "requests", at); !ok || en.Quota.Limit != want {
			t.Errorf("at %v counted under %+v, want %d", at, en, want)
		}
	}
	r := decision.Request{Method: "GET", Host: "api.example", Path: "/r/1", Presented: decision.KeyCredential, KeyID: "key"}
	var v decision.Verdict
	decision.Decide(&v, state, &r, oneAccount{&decision.Account{}}, begin.AddDate(0, 1, 0))
	if !v.Cold || v.License.ID != "lic" || v.Features() != "calls,reports" {
		t.Errorf("decided %s %s", v.Outcome, v.Code)
	}
}

// oneAccount is that of every licence.
type oneAccount struct{ account *decision.Account }

func (a oneAccount) Account(string) *decision.Account { return a.account }

func TestMapping_EveryKindIsRemoved(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, everything()...)
	s.publish(2,
		removal(rulesv1.Kind_KIND_SERVICE, "svc"), removal(rulesv1.Kind_KIND_ROUTE, "route"), removal(rulesv1.Kind_KIND_METER, "requests"),
		removal(rulesv1.Kind_KIND_FEATURE, "calls"), removal(rulesv1.Kind_KIND_PLAN_VERSION, "plan@2"), removal(rulesv1.Kind_KIND_CUSTOMER, "cus"),
		removal(rulesv1.Kind_KIND_LICENSE, "lic"), removal(rulesv1.Kind_KIND_CREDENTIAL, "key"),
		removal(rulesv1.Kind_KIND_ADD_ON, "extra"),
		removal(rulesv1.Kind_KIND_CREDENTIAL, "elsewhere"), removal(rulesv1.Kind_KIND_CREDENTIAL, "one that is not there"),
	)
	n.enforces(1, 2)
	state, _ := n.Current()
	if state.Service("svc") != nil || state.Route("route") != nil || state.PlanVersion("plan", 2) != nil || state.Customer("cus") != nil ||
		state.AddOn("extra") != nil || state.License("lic") != nil || state.Credential("key") != nil {
		t.Error("something is left")
	}
	if l, c := state.Counts(); l != 0 || c != 0 || state.HoldsImported() {
		t.Errorf("%d licences and %d credentials are left", l, c)
	}
}

func TestMapping_WhatCannotBeEnforcedIsMalformed(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, everything()...)
	n.enforces(1, 1)
	plan := func(p *rulesv1.PlanVersion) *rulesv1.Record {
		p.Plan, p.Version = "bad", 1
		return &rulesv1.Record{Value: &rulesv1.Record_PlanVersion{PlanVersion: p}}
	}
	bad := []*rulesv1.Record{
		{},
		removal(rulesv1.Kind_KIND_UNSPECIFIED, "x"),
		removal(rulesv1.Kind_KIND_PLAN_VERSION, "plan"),
		removal(rulesv1.Kind_KIND_PLAN_VERSION, "plan@x"),
		{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{Key: "x"}}},
		plan(&rulesv1.PlanVersion{Entitlements: []*rulesv1.Entitlement{{Feature: "x", Grant: &rulesv1.Entitlement_StaticValue{StaticValue: "ten"}}}}),
		{Value: &rulesv1.Record_Route{Route: &rulesv1.Route{Key: "x", Path: "/x", OnStale: 9}}},
		{Value: &rulesv1.Record_License{License: &rulesv1.License{Id: "x"}}},
		{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: "x", Hash: make([]byte, 31)}}},
		{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: "x", Hash: make([]byte, 33)}}},
		plan(&rulesv1.PlanVersion{RateLimits: []*rulesv1.RateLimit{{Key: "x", Limit: 1, Burst: 1}}}),
		{Value: &rulesv1.Record_AddOn{AddOn: &rulesv1.AddOn{Key: "x", Entitlements: []*rulesv1.Entitlement{{Feature: "calls", Grant: &rulesv1.Entitlement_Quota{Quota: &rulesv1.Quota{Limit: 1}}}}}}},
		plan(&rulesv1.PlanVersion{RateLimits: []*rulesv1.RateLimit{{Key: "x", Limit: -1, Per: durationpb.New(1)}}}),
		plan(&rulesv1.PlanVersion{Entitlements: []*rulesv1.Entitlement{{Feature: "calls", Grant: &rulesv1.Entitlement_Quota{Quota: &rulesv1.Quota{Limit: 1}}}}}),
		route("x", "x"),
		route("x", "/a//b"),
		{Value: &rulesv1.Record_Term{Term: &rulesv1.Term{Key: "x", On: "team:x", When: "true", Effect: rulesv1.TermEffect_TERM_EFFECT_BLOCK}}},
		{Value: &rulesv1.Record_Term{Term: &rulesv1.Term{Key: "x", When: "true"}}},
		{Value: &rulesv1.Record_Term{Term: &rulesv1.Term{Key: "x", When: "true", Effect: 9}}},
		{Value: &rulesv1.Record_Term{Term: &rulesv1.Term{Key: "x", When: "true", Effect: rulesv1.TermEffect_TERM_EFFECT_COST, Cost: -1}}},
	}
	for _, r := range bad {
		s.publishOther(2, nil, r)
	}
	n.refuses(map[string]float64{"malformed": float64(len(bad))})
	if n.Epoch().Number != 1 {
		t.Errorf("enforces %v", n.Epoch())
	}
}

func TestMapping_MeteredFeatureThatIsSwitchedOffIsNotGranted(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, everything()...)
	s.publish(2, &rulesv1.Record{Value: &rulesv1.Record_PlanVersion{PlanVersion: &rulesv1.PlanVersion{
		Plan: "plan", Version: 2,
		Entitlements: []*rulesv1.Entitlement{
			{Feature: "calls", Grant: &rulesv1.Entitlement_Enabled{Enabled: false}},
			{Feature: "reports", Grant: &rulesv1.Entitlement_Enabled{Enabled: true}},
		},
	}}})
	n.enforces(1, 2)
	state, _ := n.Current()
	r := decision.Request{Method: "GET", Host: "api.example", Path: "/r/1", Presented: decision.KeyCredential, KeyID: "key"}
	var v decision.Verdict
	decision.Decide(&v, state, &r, oneAccount{&decision.Account{}}, begin.AddDate(0, 1, 0))
	if v.Code != decision.FeatureNotInPlan {
		t.Errorf("decided %s %s", v.Outcome, v.Code)
	}
}

func TestMapping_StaticFeatureKeepsItsValue(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, append(everything(),
		&rulesv1.Record{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{Key: "seats", Type: rulesv1.FeatureType_FEATURE_TYPE_STATIC}}},
		&rulesv1.Record{Value: &rulesv1.Record_PlanVersion{PlanVersion: &rulesv1.PlanVersion{
			Plan: "plan", Version: 3, Entitlements: []*rulesv1.Entitlement{{Feature: "seats", Grant: &rulesv1.Entitlement_StaticValue{StaticValue: `"many"`}}},
		}}})...)
	n.enforces(1, 1)
	state, _ := n.Current()
	if got := state.PlanVersion("plan", 3); got == nil || len(got.Entitlements) != 1 || got.Entitlements[0].Value != `"many"` {
		t.Errorf("plan version %+v", got)
	}
}
