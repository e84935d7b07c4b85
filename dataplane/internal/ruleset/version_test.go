package ruleset_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// later is a record of a kind that a later version has.
func later(change func(*rulesv1.Record)) *rulesv1.Record {
	r := &rulesv1.Record{}
	raw := protowire.AppendTag(nil, 1000, protowire.BytesType)
	r.ProtoReflect().SetUnknown(protowire.AppendBytes(raw, []byte("a value")))
	if change != nil {
		change(r)
	}
	return r
}

// counters are every licence's.
type counters struct{ held decision.Account }

func (c *counters) Account(string) *decision.Account { return &c.held }

func optional(r *rulesv1.Record) { r.Optional = true }

func TestVersion_WhatMayBePassedOverIs(t *testing.T) {
	t.Parallel()
	known := service("b", "2")
	known.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1001, protowire.VarintType), 7))
	known.GetService().ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1001, protowire.VarintType), 7))
	needy := service("c", "3")
	needy.Needs, needy.Optional = []string{"time-travel"}, true
	met := service("d", "4")
	met.Needs = []string{"route.on_stale"}
	gone := removal(99, "x")
	gone.Optional = true
	want := map[string]string{"a": "1", "b": "2", "d": "4"}
	records := []*rulesv1.Record{service("a", "1"), later(optional), known, needy, met, gone, later(func(r *rulesv1.Record) { r.Optional, r.Needs = true, []string{"time-travel"} })}

	for _, from := range []string{"change sets", "a snapshot"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			if from == "a snapshot" {
				s.extend(1)
				s.snapshot(1, records...)
			}
			n := s.node()
			if from == "change sets" {
				s.publish(1, records...)
			}
			n.enforces(1, 1)
			n.has(want)
			n.refuses(map[string]float64{})
			if why := n.Refuses(); why != "" {
				t.Errorf("it refuses: %s", why)
			}
		})
	}
}

// What changes its meaning for a reader that cannot read it all is refused whole, said, and made good by what follows.
func TestI1_WhatNeedsALaterVersionIsRefused(t *testing.T) {
	t.Parallel()
	for name, record := range map[string]*rulesv1.Record{
		"an unknown kind":                 later(nil),
		"a removal of an unknown kind":    removal(99, "x"),
		"a known kind with an unmet need": func() *rulesv1.Record { r := service("x", "x"); r.Needs = []string{"time-travel"}; return r }(),
		"an unmet need after one that is": func() *rulesv1.Record {
			r := service("x", "x")
			r.Needs = []string{"route.on_stale", "later"}
			return r
		}(),
		"an unknown kind with a met need":   later(func(r *rulesv1.Record) { r.Needs = []string{"route.on_stale"} }),
		"an unknown kind with an unmet one": later(func(r *rulesv1.Record) { r.Needs = []string{"time-travel"} }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			n := s.node()
			s.publish(1, service("a", "1"))
			n.enforces(1, 1)
			s.publish(2, service("b", "2"), record)
			n.refuses(map[string]float64{"needs": 1})
			if why := n.Refuses(); why != "needs" {
				t.Errorf("it refuses: %q", why)
			}
			n.has(map[string]string{"a": "1"})
			// A later version of the node would go on with 2. This one does so with a snapshot that no longer holds the record.
			s.extend(3)
			s.snapshot(3, service("a", "1"), service("b", "2"))
			s.publish(4, service("c", "3"))
			n.enforces(1, 4)
			n.has(map[string]string{"a": "1", "b": "2", "c": "3"})
			if why := n.Refuses(); why != "" {
				t.Errorf("it refuses: %q", why)
			}
		})
	}
}

// What an old version has refused, the next one takes from where the old one left.
func TestVersion_AnUpgradedNodeGoesOn(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, true)
	s.down = false
	needy := service("d", "http://d")
	needy.Needs = []string{"time-travel"}
	s.publish(5, needy)
	old := s.nodeOn(dir)
	old.refuses(map[string]float64{"needs": 1})
	old.enforces(1, 4)
	old.Stop()
	upgraded := s.nodeWith(s.open(dir))
	upgraded.Learn("time-travel")
	upgraded.Start()
	t.Cleanup(upgraded.Stop)
	upgraded.enforces(1, 5)
	upgraded.has(map[string]string{"b": "http://b", "c": "http://c", "d": "http://d"})
}

// A customer whose zone is not known here is denied; nobody else is.
func TestMapping_AnUnknownZoneDeniesItsCustomerAlone(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	records := append(everything(), route("free", "/free"))
	for id, zone := range map[string]string{"mars": "Mars/Olympus", "local": "Local"} {
		records = append(records,
			&rulesv1.Record{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{Id: id, TimeZone: zone}}},
			&rulesv1.Record{Value: &rulesv1.Record_License{License: &rulesv1.License{Id: "lic-" + id, Customer: id, Plan: "plan", PlanVersion: 2, Status: rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE}}},
			&rulesv1.Record{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: "key-" + id, License: "lic-" + id, Hash: make([]byte, 32)}}},
		)
	}
	s.publish(1, records...)
	n.enforces(1, 1)
	n.refuses(map[string]float64{})
	if got := n.family("tollgate_rules_unknown_zones_total")[0].GetCounter().GetValue(); got != 2 {
		t.Errorf("%v customers are denied for their zone", got)
	}
	state, _ := n.Current()
	codeOf := func(key string) decision.Code {
		var v decision.Verdict
		c := state.Credential(key)
		r := decision.Request{Method: "GET", Path: "/free", Presented: decision.KeyCredential, KeyID: key, KeyHash: c.Hash}
		decision.Decide(&v, state, &r, &counters{}, time.Now())
		return v.Code
	}
	for _, key := range []string{"key-mars", "key-local"} {
		if code := codeOf(key); code != decision.RulesUnavailable {
			t.Errorf("%s: %s", key, code)
		}
	}
	if state.Customer("cus").Zone == decision.UnknownZone {
		t.Error("a known zone is not known")
	}
	// Mended, it is served as ever.
	s.publish(2, &rulesv1.Record{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{Id: "mars", TimeZone: "Europe/Berlin"}}})
	n.enforces(1, 2)
	state, _ = n.Current()
	if code := codeOf("key-mars"); code == decision.RulesUnavailable {
		t.Errorf("after the zone was mended: %s", code)
	}
}
