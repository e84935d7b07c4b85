package decision_test

import (
	"fmt"
	"time"

	"tollgate/dataplane/decision"
)

// noon is when these tests begin, unless they say otherwise.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// accounts is the accounts of one node.
type accounts map[string]*decision.Account

func (a accounts) Account(license string) *decision.Account {
	if a[license] == nil {
		a[license] = &decision.Account{}
	}
	return a[license]
}

// world is a small rule state: licence "lic" of customer "cus" with key "key" on plan "plan", version 1; and routes
//
//	/free               costs nothing
//	/calls              costs 1 unit of meter requests, which feature calls counts
//	/bulk               costs 5
//	/reports            requires feature reports, which the plan has
//	/gold               requires feature gold, which it has not
//	/storage            costs 1 of meter bytes, which feature space counts; the plan lacks it
//
// Version 2 has gold, too.
type world struct {
	version decision.PlanVersion
	license decision.License
	key     decision.Credential
}

func newWorld(entitlement *decision.Quota, rates ...decision.RateLimit) *world {
	return &world{
		version: decision.PlanVersion{
			Plan: "plan", Version: 1, RateLimits: rates,
			Entitlements: []decision.Entitlement{{Feature: "calls", Quota: entitlement}, {Feature: "reports", Enabled: true}, {Feature: "gold"}},
		},
		license: decision.License{
			ID: "lic", Customer: "cus", Phase: decision.Phase{Plan: "plan", PlanVersion: 1, CounterGeneration: 1}, Status: decision.Active,
			StartsAt: noon.AddDate(0, -2, 0), Anchor: noon.AddDate(0, -2, 0),
		},
		key: decision.Credential{ID: "key", License: "lic", Hash: [32]byte{1}},
	}
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
}

func (w *world) state(t failer) *decision.State {
	t.Helper()
	e := decision.Edit(nil)
	e.SetFeature(&decision.Feature{Key: "calls", Type: decision.Metered, Meter: "requests"})
	e.SetFeature(&decision.Feature{Key: "reports", Type: decision.Boolean})
	e.SetFeature(&decision.Feature{Key: "gold", Type: decision.Boolean})
	e.SetFeature(&decision.Feature{Key: "other", Type: decision.Metered, Meter: "requests"})
	e.SetFeature(&decision.Feature{Key: "space", Type: decision.Metered, Meter: "bytes"})
	for _, r := range []decision.Route{
		{Key: "free", Path: "/free"},
		{Key: "calls", Path: "/calls", Meter: "requests", Cost: 1},
		{Key: "bulk", Path: "/bulk", Meter: "requests", Cost: 5},
		{Key: "reports", Path: "/reports", Requires: []string{"reports"}},
		{Key: "gold", Path: "/gold", Requires: []string{"reports", "gold"}},
		{Key: "storage", Path: "/storage", Meter: "bytes", Cost: 1},
	} {
		e.SetRoute(&r)
	}
	version, license, key := w.version, w.license, w.key
	e.SetPlanVersion(&version)
	e.SetPlanVersion(&decision.PlanVersion{Plan: "plan", Version: 2, Entitlements: []decision.Entitlement{{Feature: "reports", Enabled: true}, {Feature: "gold", Enabled: true}}})
	e.SetCustomer(&decision.Customer{ID: "cus"})
	e.SetLicense(&license)
	e.SetCredential(&key)
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 7})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(path string) decision.Request {
	return decision.Request{Method: "GET", Host: "api.example", Path: path, Presented: decision.KeyCredential, KeyID: "key", KeyHash: [32]byte{1}}
}

func decide(s *decision.State, a decision.Accounts, r decision.Request, now time.Time) *decision.Verdict {
	v := &decision.Verdict{}
	decision.Decide(v, s, &r, a, now)
	return v
}

// lend answers what an account asks for: all of it, from a pool without end.
func lend(a *decision.Account, waiting int64, now time.Time) {
	for _, ask := range a.Asks("lic", decision.Waiting{Requests: waiting, Units: waiting}, time.Minute, decision.At(now)) {
		grant(a, ask, ask.Spent+ask.Returned, ask.Want, now)
	}
}

// grant answers an ask with units to add to what was granted before.
func grant(a *decision.Account, ask decision.Ask, before, units int64, now time.Time) {
	a.Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, Granted: before + units, Grant: units, Lives: time.Second}, now, now)
}

func describe(v *decision.Verdict) string {
	return fmt.Sprintf("%s %s policy=%q limit=%d remaining=%d reset=%v retry=%v cold=%v charge=%+v limits=%+v",
		v.Outcome, v.Code, v.Policy, v.LimitUnits, v.Remaining, v.ResetAt, v.RetryAfter, v.Cold, v.Charge, v.Limits())
}
