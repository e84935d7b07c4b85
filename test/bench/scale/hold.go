package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Held is what was measured in a process that holds a state, and little else.
type Held struct {
	// GCMillis is the time that runtime.GC takes from end to end, mark and sweep, and PauseMicros how long the world is stopped for it in all:
	// medians.
	GCMillis    float64 `json:"gc_ms"`
	PauseMicros float64 `json:"gc_pause_us"`
	// StateMiB is what the heap holds, and Objects how many pieces that is.
	StateMiB float64 `json:"state_mib"`
	Objects  uint64  `json:"state_objects"`
	// ChangeMicros is to make the next state with one licence changed, median.
	ChangeMicros float64 `json:"change_us"`
	// A decision for one key again and again, and for keys drawn from all.
	HotNanos  float64 `json:"decide_hot_ns"`
	ColdNanos float64 `json:"decide_cold_ns"`
	// How much more the heap holds after 100,000 changes.
	GrownMiB float64 `json:"grown_mib"`
}

// held measures in a process of its own.
func held(ctx context.Context, n int) (h Held, err error) {
	progress("hold %d licences", n)
	self, err := os.Executable()
	if err != nil {
		return h, err
	}
	cmd := exec.CommandContext(ctx, self, "-hold", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return h, fmt.Errorf("hold %d licences: %w", n, err)
	}
	return h, json.Unmarshal(out, &h)
}

func printHeld(n int) error {
	h, err := hold(n)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(h)
}

func decided(r *rulesv1.Record, e *decision.Editor) {
	switch v := r.GetValue().(type) {
	case *rulesv1.Record_Settings:
		e.SetSettings(decision.Settings{Env: v.Settings.GetEnv(), Pepper: v.Settings.GetPepper()})
	case *rulesv1.Record_Feature:
		e.SetFeature(&decision.Feature{Key: v.Feature.GetKey(), Type: decision.Boolean})
	case *rulesv1.Record_PlanVersion:
		e.SetPlanVersion(&decision.PlanVersion{Plan: "pro", Version: 3, Entitlements: []decision.Entitlement{{Feature: "reports", Enabled: true}}})
	case *rulesv1.Record_Route:
		e.SetRoute(&decision.Route{Key: "all", Path: "/*", Requires: []string{"reports"}})
	case *rulesv1.Record_Customer:
		e.SetCustomer(&decision.Customer{ID: v.Customer.GetId(), ExternalID: v.Customer.GetExternalId(), Zone: time.UTC})
	case *rulesv1.Record_License:
		e.SetLicense(decidedLicense(v.License))
	case *rulesv1.Record_Credential:
		e.SetCredential(&decision.Credential{ID: v.Credential.GetId(), License: v.Credential.GetLicense(), Hash: [32]byte(v.Credential.GetHash())})
	}
}

func decidedLicense(l *rulesv1.License) *decision.License {
	d := &decision.License{
		ID: l.GetId(), Customer: l.GetCustomer(), Status: decision.Active, StartsAt: l.GetStartsAt().AsTime(), Anchor: l.GetAnchor().AsTime(),
		Phase: decision.Phase{Plan: l.GetPlan(), PlanVersion: l.GetPlanVersion(), CounterGeneration: l.GetCounterGeneration()},
	}
	for _, p := range l.GetPhases() {
		d.Next = append(d.Next, decision.Phase{At: p.GetAt().AsTime(), Plan: p.GetPlan(), PlanVersion: p.GetPlanVersion()})
	}
	return d
}

// hold makes a state as a snapshot does, and measures.
func hold(n int) (h Held, err error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	edit := decision.Edit(nil)
	if err := records(n, func(r *rulesv1.Record) error { decided(r, edit); return nil }); err != nil {
		return h, err
	}
	state, err := edit.Build(decision.Epoch{Generation: 1, Number: 1})
	if err != nil {
		return h, err
	}
	edit = nil
	debug.FreeOSMemory()
	runtime.ReadMemStats(&after)
	h.StateMiB = mib(after.HeapAlloc - before.HeapAlloc)
	h.Objects = after.HeapObjects - before.HeapObjects

	h.GCMillis, h.PauseMicros = collections()
	if h.HotNanos, h.ColdNanos, err = decisions(state, n); err != nil {
		return h, err
	}
	if state, h.ChangeMicros, err = changes(state, n, 2000); err != nil {
		return h, err
	}
	if state, _, err = changes(state, n, 100_000); err != nil {
		return h, err
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	h.GrownMiB = float64(int64(before.HeapAlloc)-int64(after.HeapAlloc)) / (1 << 20)
	runtime.KeepAlive(state)
	return h, nil
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

func median[T int64 | uint64 | float64 | time.Duration](v []T) T {
	return slices.Sorted(slices.Values(v))[len(v)/2]
}

func collections() (millis, pauseMicros float64) {
	var took []time.Duration
	var pauses []uint64
	for range 21 {
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		began := time.Now()
		runtime.GC()
		took = append(took, time.Since(began))
		runtime.ReadMemStats(&b)
		pauses = append(pauses, b.PauseTotalNs-a.PauseTotalNs)
	}
	return float64(median(took).Microseconds()) / 1000, float64(median(pauses)) / 1000
}

// changes makes states one after another, each with one licence changed, removed or added again.
func changes(s *decision.State, n, many int) (*decision.State, float64, error) {
	r := rand.New(rand.NewPCG(1, 2))
	took := make([]time.Duration, 0, many)
	for i := range many {
		l := decidedLicense(license(r.IntN(n)).GetLicense())
		l.Status = decision.Status(1 + r.IntN(4))
		began := time.Now()
		e := decision.Edit(s)
		if i%3 == 0 {
			e.RemoveLicense(l.ID)
		} else {
			e.SetLicense(l)
		}
		next, err := e.Build(decision.Epoch{Generation: 1, Number: s.Epoch().Number + 1})
		if err != nil {
			return nil, 0, err
		}
		took = append(took, time.Since(began))
		s = next
	}
	return s, float64(median(took).Nanoseconds()) / 1000, nil
}

// none: the route that is decided has no limits.
type none struct{}

func (none) Account(string) *decision.Account { return nil }

// decisions times decisions for one key, and for keys of all licences in no order.
func decisions(s *decision.State, n int) (hot, cold float64, err error) {
	const drawn = 1 << 16
	r := rand.New(rand.NewPCG(3, 4))
	requests := make([]decision.Request, drawn)
	for i := range requests {
		k, err := key(r.IntN(n), r.IntN(keysEach))
		if err != nil {
			return 0, 0, err
		}
		requests[i] = decision.Request{
			Method: "GET", Host: "api.example", Path: "/any", Presented: decision.KeyCredential, KeyID: k.ID, KeyHash: apikey.Hash(pepper, k.Whole),
		}
	}
	now := began.AddDate(1, 0, 0)
	var v decision.Verdict
	run := func(each func(i int) *decision.Request) (float64, error) {
		began := time.Now()
		for i := range drawn {
			if decision.Decide(&v, s, each(i), none{}, now); v.Code != decision.OK {
				return 0, fmt.Errorf("a request is answered with %s", v.Code)
			}
		}
		return float64(time.Since(began).Nanoseconds()) / drawn, nil
	}
	if cold, err = run(func(i int) *decision.Request { return &requests[i] }); err != nil {
		return 0, 0, err
	}
	hot, err = run(func(int) *decision.Request { return &requests[0] })
	return hot, cold, err
}
