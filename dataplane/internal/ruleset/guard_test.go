package ruleset_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func licensed(i int, change func(*rulesv1.License)) *rulesv1.Record {
	l := &rulesv1.License{
		Id: fmt.Sprint("lic-", i), Customer: "cus", Plan: "full", PlanVersion: 1, Status: rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE,
		StartsAt: timestamppb.New(time.Now().Add(-time.Hour)),
	}
	if change != nil {
		change(l)
	}
	return &rulesv1.Record{Value: &rulesv1.Record_License{License: l}}
}

// licensees are n licences on a plan with a feature, that plan, and one without.
func licensees(n int, change func(*rulesv1.License)) []*rulesv1.Record {
	version := func(plan string, features ...string) *rulesv1.Record {
		p := &rulesv1.PlanVersion{Plan: plan, Version: 1}
		for _, f := range features {
			p.Entitlements = append(p.Entitlements, &rulesv1.Entitlement{Feature: f, Grant: &rulesv1.Entitlement_Enabled{Enabled: true}})
		}
		return &rulesv1.Record{Value: &rulesv1.Record_PlanVersion{PlanVersion: p}}
	}
	records := []*rulesv1.Record{
		{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{Key: "reports", Type: rulesv1.FeatureType_FEATURE_TYPE_BOOLEAN}}},
		version("full", "reports"), version("less"), version("more", "reports"),
		{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{Id: "cus"}}},
	}
	for i := range n {
		records = append(records, licensed(i, change))
	}
	return records
}

// each changes the first n licences from one on.
func each(from, n int, change func(*rulesv1.License)) (records []*rulesv1.Record) {
	for i := range n {
		records = append(records, licensed(from+i, change))
	}
	return records
}

func suspended(l *rulesv1.License) { l.Status = rulesv1.LicenseStatus_LICENSE_STATUS_SUSPENDED }

// publishConfirmed publishes a change set that somebody has confirmed to take so much, made at a time.
func (s *setup) publishConfirmed(number uint64, affected int64, at time.Time, records ...*rulesv1.Record) {
	s.t.Helper()
	s.control.Rules(s.extendWith(number, func(e *rulesv1.Envelope) { e.ConfirmedAffected, e.CreatedAt = affected, timestamppb.New(at) }, records...))
}

func TestGuard_WhatTakesAccess(t *testing.T) {
	t.Parallel()
	var gone []*rulesv1.Record
	for i := range 101 {
		gone = append(gone, removal(rulesv1.Kind_KIND_LICENSE, fmt.Sprint("lic-", i)))
	}
	status := func(st rulesv1.LicenseStatus) func(*rulesv1.License) {
		return func(l *rulesv1.License) { l.Status = st }
	}
	past := timestamppb.New(time.Now().Add(-time.Minute))
	for name, tt := range map[string]struct {
		records []*rulesv1.Record
		takes   bool
	}{
		"suspended":               {each(0, 101, suspended), true},
		"revoked":                 {each(0, 101, status(rulesv1.LicenseStatus_LICENSE_STATUS_REVOKED)), true},
		"canceled":                {each(0, 101, status(rulesv1.LicenseStatus_LICENSE_STATUS_CANCELED)), true},
		"ended":                   {each(0, 101, func(l *rulesv1.License) { l.EndsAt = past }), true},
		"canceled by a date":      {each(0, 101, func(l *rulesv1.License) { l.CancelsAt = past }), true},
		"past due, without grace": {each(0, 101, func(l *rulesv1.License) { l.PastDue, l.GraceUntil = true, past }), true},
		"removed":                 {gone, true},
		"a plan that has less":    {each(0, 101, func(l *rulesv1.License) { l.Plan = "less" }), true},
		"a plan that has less, from now on": {each(0, 101, func(l *rulesv1.License) {
			l.Phases = []*rulesv1.Phase{{At: timestamppb.Now(), Plan: "less", PlanVersion: 1}}
		}), true},
		"their plan, changed": {[]*rulesv1.Record{{Value: &rulesv1.Record_PlanVersion{PlanVersion: &rulesv1.PlanVersion{Plan: "full", Version: 1}}}}, true},
		"their plan, removed": {[]*rulesv1.Record{removal(rulesv1.Kind_KIND_PLAN_VERSION, "full@1")}, true},
		"a hundred":           {each(0, 100, suspended), false},
		"another plan":        {each(0, 200, func(l *rulesv1.License) { l.Plan = "more" }), false},
		"a date to come":      {each(0, 200, func(l *rulesv1.License) { l.EndsAt = timestamppb.New(time.Now().Add(time.Hour)) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			n := s.node()
			s.publish(1, licensees(200, nil)...)
			n.enforces(1, 1)
			s.publish(2, tt.records...)
			if !tt.takes {
				n.enforces(1, 2)
				return
			}
			n.refuses(map[string]float64{"guard": 1})
			if n.Refuses() != "guard" || n.Epoch().Number != 1 {
				t.Errorf("it refuses %q, and enforces %v", n.Refuses(), n.Epoch())
			}
		})
	}
}

func TestGuard_CountsOverAMinuteWhatNobodyConfirmed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	type change struct {
		licenses  int
		confirmed int64
		after     time.Duration
	}
	for name, tt := range map[string]struct {
		fleet   int
		changes []change
		refused bool // The last one.
	}{
		"confirmed":                         {200, []change{{150, 150, 0}}, false},
		"fewer confirmed":                   {200, []change{{150, 149, 0}}, true},
		"few of many":                       {1500, []change{{149, 0, 0}}, false},
		"split":                             {200, []change{{60, 0, 0}, {41, 0, 59 * time.Second}}, true},
		"split, over more than a minute":    {200, []change{{60, 0, 0}, {60, 0, 61 * time.Second}}, false},
		"split, to just as many as may be":  {200, []change{{60, 0, 0}, {40, 0, time.Second}}, false},
		"batches of one that was confirmed": {500, []change{{100, 100, 0}, {100, 100, time.Second}, {100, 100, 2 * time.Second}}, false},
		"a few after one that was":          {500, []change{{100, 100, 0}, {50, 0, time.Second}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			n := s.node()
			s.publish(1, licensees(tt.fleet, nil)...)
			n.enforces(1, 1)
			from := 0
			for i, c := range tt.changes {
				s.publishConfirmed(uint64(2+i), c.confirmed, now.Add(c.after), each(from, c.licenses, suspended)...)
				from += c.licenses
				if last := i == len(tt.changes)-1; last && tt.refused {
					n.refuses(map[string]float64{"guard": 1})
					return
				}
				n.enforces(1, uint64(2+i))
			}
			n.refuses(map[string]float64{})
		})
	}
}

// Somebody's word about one licence is taken at once, however often it comes.
func TestGuard_OneByOneIsNotCounted(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, licensees(200, nil)...)
	for i := range 150 {
		s.publish(uint64(2+i), each(i, 1, suspended)...)
	}
	n.enforces(1, 151)
	n.refuses(map[string]float64{})
}

// A node that was away for long comes back by a snapshot, whatever happened meanwhile.
func TestGuard_WhoWasAwayComesBack(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	dir := t.TempDir()
	n := s.nodeOn(dir)
	s.publish(1, licensees(200, nil)...)
	n.enforces(1, 1)
	n.Stop() // It has not heard that these are current.
	s.nats.Wipe(t)
	s.control = s.nats.Control(t)
	s.control.MakeStreams()
	for i := range uint64(300) {
		s.extend(2 + i)
	}
	s.snapshotOf(301, licensees(200, nil), each(0, 150, suspended))
	n = s.nodeOn(dir)
	n.enforces(1, 301)
}

// What was refused is taken when the node's operator has looked at it; and a node that has done so starts from its disk as ever. A snapshot is no way
// around.
func TestGuard_AnOperatorConfirms(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	dir := t.TempDir()
	n := s.nodeOn(dir)
	s.publish(1, licensees(200, nil)...)
	n.enforces(1, 1)
	n.Heartbeat(s.heartbeat(1))
	n.isIn("fresh")
	s.publish(2, each(0, 150, suspended)...)
	n.refuses(map[string]float64{"guard": 1})
	s.snapshotOf(2, licensees(200, nil), each(0, 150, suspended))
	s.publish(3, service("a", "1"))
	n.refuses(map[string]float64{"gap": 1, "guard": 2})
	n.Stop()

	s.confirmed = decision.Epoch{Generation: 1, Number: 2}
	n = s.nodeOn(dir)
	n.enforces(1, 3)
	n.Stop()

	s.confirmed = decision.Epoch{}
	n = s.nodeOn(dir)
	n.enforces(1, 3)
	state, _ := n.Current()
	if state.License("lic-0").Status != decision.Suspended {
		t.Error("it is not what was refused first")
	}
	n.Stop()

	// A node that has no rules yet has nothing to lose.
	s.node().enforces(1, 3)
}
