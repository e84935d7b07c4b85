package decision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/dataplane/decision"
)

// with is a state with terms besides.
func with(t failer, s *decision.State, terms ...decision.Term) *decision.State {
	t.Helper()
	e := decision.Edit(s)
	for _, v := range terms {
		if v.Subject.Kind == 0 {
			v.Subject.Kind = decision.SubjectAll
		}
		e.SetTerm(&v)
	}
	next, err := e.Build(decision.Epoch{Generation: 1, Number: s.Epoch().Number + 1})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func block(key string, priority int32, when string) decision.Term {
	return decision.Term{Key: key, When: when, Effect: decision.EffectBlock, Priority: priority}
}

func throttle(key string, priority int32, when string) decision.Term {
	return decision.Term{Key: key, When: when, Effect: decision.EffectThrottle, Priority: priority, RetryAfter: 7 * time.Second}
}

func forward(key string, priority int32, when string) decision.Term {
	return decision.Term{Key: key, When: when, Effect: decision.EffectForward, Priority: priority}
}

func costs(key string, priority int32, when string, units int64) decision.Term {
	return decision.Term{Key: key, When: when, Effect: decision.EffectCost, Priority: priority, Cost: units}
}

func on(t decision.Term, subject string) decision.Term {
	s, err := decision.ParseSubject(subject)
	if err != nil {
		panic(err)
	}
	t.Subject = s
	return t
}

func TestDecide_TermsActInTheirOrder(t *testing.T) {
	t.Parallel()
	broken := "request.method =="
	for name, tt := range map[string]struct {
		path   string
		terms  []decision.Term
		code   decision.Code
		policy string
		units  int64
	}{
		"none holds":                     {"/calls", []decision.Term{block("a", 1, "false"), throttle("b", 2, `request.method == "DELETE"`)}, decision.OK, "", 1},
		"one blocks":                     {"/calls", []decision.Term{block("a", 1, `request.method == "GET"`)}, decision.BlockedByTerm, "a", 0},
		"one throttles":                  {"/calls", []decision.Term{throttle("a", 1, `request.path.startsWith("/calls")`)}, decision.ThrottledByTerm, "a", 0},
		"lowest number first":            {"/calls", []decision.Term{block("a", 5, "true"), throttle("b", -5, "true")}, decision.ThrottledByTerm, "b", 0},
		"ties go by key":                 {"/calls", []decision.Term{block("b", 1, "true"), throttle("a", 1, "true")}, decision.ThrottledByTerm, "a", 0},
		"forward ends the look":          {"/calls", []decision.Term{forward("a", 1, "true"), block("b", 2, "true")}, decision.OK, "", 1},
		"forward that does not hold":     {"/calls", []decision.Term{forward("a", 1, "false"), block("b", 2, "true")}, decision.BlockedByTerm, "b", 0},
		"forward after a block":          {"/calls", []decision.Term{block("a", 1, "true"), forward("b", 2, "true")}, decision.BlockedByTerm, "a", 0},
		"cost":                           {"/calls", []decision.Term{costs("a", 1, "true", 7)}, decision.OK, "", 7},
		"the last cost counts":           {"/calls", []decision.Term{costs("a", 1, "true", 7), costs("b", 2, "true", 3)}, decision.OK, "", 3},
		"cost, then block":               {"/calls", []decision.Term{costs("a", 1, "true", 7), block("b", 2, "true")}, decision.BlockedByTerm, "b", 0},
		"forward keeps the cost":         {"/calls", []decision.Term{costs("a", 1, "true", 7), forward("b", 2, "true"), costs("c", 3, "true", 9)}, decision.OK, "", 7},
		"free of charge":                 {"/bulk", []decision.Term{costs("a", 1, "true", 0)}, decision.OK, "", 0},
		"cost where nothing is counted":  {"/free", []decision.Term{costs("a", 1, "true", 5)}, decision.OK, "", 0},
		"features come first":            {"/gold", []decision.Term{block("a", 1, "true")}, decision.FeatureNotInPlan, "", 0},
		"the meter's feature, too":       {"/storage", []decision.Term{costs("a", 1, "true", 0)}, decision.FeatureNotInPlan, "", 0},
		"on another subject":             {"/calls", []decision.Term{on(block("a", 1, "true"), "plan:other"), on(block("b", 1, "true"), "route:free"), on(block("c", 1, "true"), "license:x"), on(block("d", 1, "true"), "customer:x")}, decision.OK, "", 1},
		"on the plan":                    {"/calls", []decision.Term{on(block("a", 1, "true"), "plan:plan")}, decision.BlockedByTerm, "a", 0},
		"on the route":                   {"/calls", []decision.Term{on(block("a", 1, "true"), "route:calls")}, decision.BlockedByTerm, "a", 0},
		"on the licence":                 {"/calls", []decision.Term{on(block("a", 1, "true"), "license:lic")}, decision.BlockedByTerm, "a", 0},
		"on the customer":                {"/calls", []decision.Term{on(block("a", 1, "true"), "customer:cus")}, decision.BlockedByTerm, "a", 0},
		"one order for all subjects":     {"/calls", []decision.Term{on(block("a", 3, "true"), "customer:cus"), on(throttle("b", 2, "true"), "plan:plan"), on(forward("c", 1, "true"), "license:lic")}, decision.OK, "", 1},
		"division by zero":               {"/calls", []decision.Term{block("a", 1, "1 / size(request.query) == 1")}, decision.TermError, "a", 0},
		"missing entry":                  {"/calls", []decision.Term{throttle("a", 1, `request.headers["x-none"] == "1"`)}, decision.TermError, "a", 0},
		"an error that does not matter":  {"/calls", []decision.Term{block("a", 1, `"x-none" in request.headers && request.headers["x-none"] == "1"`)}, decision.OK, "", 1},
		"an error of a forward":          {"/calls", []decision.Term{forward("a", 1, "1 / size(request.query) == 1"), block("b", 2, "false")}, decision.TermError, "a", 0},
		"an error after a forward":       {"/calls", []decision.Term{forward("a", 1, "true"), block("b", 2, "1 / size(request.query) == 1")}, decision.OK, "", 1},
		"an error after a block":         {"/calls", []decision.Term{block("a", 1, "true"), block("b", 2, broken)}, decision.BlockedByTerm, "a", 0},
		"one that cannot be compiled":    {"/calls", []decision.Term{block("a", 1, broken)}, decision.TermError, "a", 0},
		"a forward that cannot be":       {"/calls", []decision.Term{forward("a", 1, broken)}, decision.TermError, "a", 0},
		"a cost that cannot be":          {"/calls", []decision.Term{costs("a", 1, broken, 0)}, decision.TermError, "a", 0},
		"what is no bool":                {"/calls", []decision.Term{block("a", 1, "request.method")}, decision.TermError, "a", 0},
		"broken on someone else":         {"/calls", []decision.Term{on(block("a", 1, broken), "plan:other")}, decision.OK, "", 1},
		"broken, after what decides":     {"/calls", []decision.Term{throttle("a", 1, "true"), block("b", 2, broken)}, decision.ThrottledByTerm, "a", 0},
		"cost of the route's own number": {"/bulk", []decision.Term{costs("a", 1, "true", 5)}, decision.OK, "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := with(t, newWorld(nil).state(t), tt.terms...)
			v := decide(s, accounts{}, get(tt.path), noon)
			if v.Code != tt.code || v.Policy != tt.policy || v.Charge.Units != tt.units {
				t.Fatalf("got %s", describe(v))
			}
			if want := decision.ReasonOf(tt.code).Outcome; v.Outcome != want {
				t.Errorf("outcome %s, want %s", v.Outcome, want)
			}
			if wait := 7 * time.Second; (v.Code == decision.ThrottledByTerm) != (v.RetryAfter == wait) {
				t.Errorf("retry after %s", v.RetryAfter)
			}
			if v.Code != decision.OK && v.Charge != (decision.Charge{}) {
				t.Errorf("denied, and charged %+v", v.Charge)
			}
		})
	}
}

func TestDecide_TermsMessageIsForWhomItDenies(t *testing.T) {
	t.Parallel()
	says := block("a", 1, "true")
	says.Message = "Not on weekends."
	if v := decide(with(t, newWorld(nil).state(t), says), accounts{}, get("/calls"), noon); v.Message != says.Message {
		t.Errorf("message %q", v.Message)
	}
	says.When = "1 / size(request.query) == 1"
	if v := decide(with(t, newWorld(nil).state(t), says), accounts{}, get("/calls"), noon); v.Code != decision.TermError || v.Message != "" {
		t.Errorf("%s: message %q", v.Code, v.Message)
	}
}

// A route that is free until a term says otherwise needs the feature that counts it then.
func TestDecide_CostOfATermNeedsTheMetersFeature(t *testing.T) {
	t.Parallel()
	e := decision.Edit(newWorld(nil).state(t))
	e.SetRoute(&decision.Route{Key: "storage", Path: "/storage", Meter: "bytes"})
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 8})
	if err != nil {
		t.Fatal(err)
	}
	if v := decide(s, accounts{}, get("/storage"), noon); v.Code != decision.OK {
		t.Fatalf("got %s", describe(v))
	}
	if v := decide(with(t, s, costs("a", 1, "true", 2)), accounts{}, get("/storage"), noon); v.Code != decision.FeatureNotInPlan || v.Feature != "bytes" {
		t.Fatalf("got %s", describe(v))
	}
}

// Tokens, units and what a request waits for are those of the term's cost.
func TestDecide_CostOfATermIsWhatLimitsReserve(t *testing.T) {
	t.Parallel()
	s, a := with(t, newWorld(monthly(10, true)).state(t), costs("a", 1, "true", 4)), accounts{}
	v := decide(s, a, get("/calls"), noon)
	if !v.Cold || v.Cost != 4 {
		t.Fatalf("got %s, cost %d", describe(v), v.Cost)
	}
	for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 1, Units: v.Cost}, time.Minute, decision.At(noon)) {
		a["lic"].Apply(decision.Answer{Key: ask.Key, Asked: ask.Want, Granted: 6, Grant: 6, Exhausted: true}, noon, noon)
	}
	if v := decide(s, a, get("/calls"), noon); v.Code != decision.OK || v.Charge.Units != 4 {
		t.Fatalf("got %s", describe(v))
	}
	if v := decide(s, a, get("/calls"), noon); v.Code != decision.QuotaExhausted {
		t.Fatalf("got %s", describe(v))
	}
}

// I11: a term that denies leaves every limit as it was.
func TestI11_ATermsDenialSpendsNothing(t *testing.T) {
	t.Parallel()
	plain := newWorld(monthly(10, true), perSecond(3, 3)).state(t)
	a := accounts{}
	decide(plain, a, get("/calls"), noon)
	lend(a["lic"], 3, noon)
	held, spent := a["lic"].Totals(decision.At(noon))
	for _, term := range []decision.Term{block("a", 1, "true"), throttle("a", 1, "true"), block("a", 1, "1 / size(request.query) == 1"), block("a", 1, "nonsense")} {
		s := with(t, plain, term)
		for range 20 {
			if v := decide(s, a, get("/calls"), noon); v.Outcome == decision.Forward || v.Cold || len(v.Limits()) != 0 {
				t.Fatalf("got %s", describe(v))
			}
		}
	}
	if h, s := a["lic"].Totals(decision.At(noon)); h != held || s != spent {
		t.Errorf("held %d, spent %d; before %d, %d", h, s, held, spent)
	}
	for range 3 {
		if v := decide(plain, a, get("/calls"), noon); v.Code != decision.OK {
			t.Fatalf("got %s", describe(v))
		}
	}
}

// Where there are terms, but none for the request's subjects, deciding costs what it costs without.
func TestI10_DecidingBesideOthersTermsAllocatesNothing(t *testing.T) {
	s := with(t, newWorld(nil).state(t), on(block("a", 1, "true"), "plan:other"), on(block("b", 1, "true"), "license:other"))
	r := get("/calls")
	r.Details = &details{header: map[string][]string{"X": {"1"}}}
	var v decision.Verdict
	var source decision.Accounts = accounts{}
	decision.Decide(&v, s, &r, source, noon)
	allocs := testing.AllocsPerRun(1000, func() { decision.Decide(&v, s, &r, source, noon) })
	if v.Code != decision.OK || allocs != 0 {
		t.Errorf("%s, %v allocations for each decision", v.Code, allocs)
	}
}

// A change of something else keeps what is compiled, and a change of a term takes effect.
func TestBuild_KeepsAndReplacesTerms(t *testing.T) {
	t.Parallel()
	s := with(t, newWorld(nil).state(t), block("a", 1, "true"))
	e := decision.Edit(s)
	e.SetMeter(&decision.Meter{Key: "m"})
	other, err := e.Build(decision.Epoch{Generation: 1, Number: 9})
	if err != nil {
		t.Fatal(err)
	}
	if v := decide(other, accounts{}, get("/calls"), noon); v.Code != decision.BlockedByTerm {
		t.Errorf("beside another change: %s", describe(v))
	}
	if v := decide(with(t, s, block("a", 1, "false")), accounts{}, get("/calls"), noon); v.Code != decision.OK {
		t.Errorf("replaced: %s", describe(v))
	}
	if v := decide(with(t, s, on(block("a", 1, "true"), "plan:other")), accounts{}, get("/calls"), noon); v.Code != decision.OK {
		t.Errorf("on another subject: %s", describe(v))
	}
	e = decision.Edit(s)
	e.RemoveTerm("a")
	removed, err := e.Build(decision.Epoch{Generation: 1, Number: 9})
	if err != nil {
		t.Fatal(err)
	}
	if v := decide(removed, accounts{}, get("/calls"), noon); v.Code != decision.OK {
		t.Errorf("removed: %s", describe(v))
	}
	if v := decide(s, accounts{}, get("/calls"), noon); v.Code != decision.BlockedByTerm {
		t.Errorf("the state before changed with it: %s", describe(v))
	}
}

func TestBrokenTerms_AreNamedWithTheReason(t *testing.T) {
	t.Parallel()
	s := with(t, newWorld(nil).state(t), block("good", 1, "true"), block("bad", 1, "request.metod == ''"))
	var named []string
	s.BrokenTerms(func(term *decision.Term, err error) { named = append(named, term.Key+": "+err.Error()) })
	if len(named) != 1 || !strings.HasPrefix(named[0], "bad: line 1, column 1: request has no \"metod\"") {
		t.Errorf("named %q", named)
	}
}

func TestSubject_IsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"all", "plan:free", "license:lic_1", "customer:cus_1", "route:hello"} {
		if got, err := decision.ParseSubject(s); err != nil || got.String() != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	if got, err := decision.ParseSubject(""); err != nil || got.Kind != decision.SubjectAll {
		t.Errorf("nothing: %v, %v", got, err)
	}
	for _, s := range []string{"plan", "plan:", "all:x", "team:x", ":", "Plan:free"} {
		if got, err := decision.ParseSubject(s); err == nil {
			t.Errorf("%s is %v", s, got)
		}
	}
}

// Whatever the terms, the outcome is what going through a sorted list of all that are for the request gives.
func TestDecide_TermsAreAsANaiveEvaluatorHasThem(t *testing.T) {
	t.Parallel()
	truths := map[string]string{"true": "holds", "false": "", "1 / size(request.query) == 1": "fails", "no such": "fails", `request.method == "GET"`: "holds", `request.path == "/free"`: ""}
	texts := slices.Sorted(func(yield func(string) bool) {
		for text := range truths {
			if !yield(text) {
				return
			}
		}
	})
	subjects := map[string]bool{"all": true, "plan:plan": true, "plan:x": false, "license:lic": true, "license:x": false, "customer:cus": true, "customer:x": false, "route:calls": true, "route:free": false}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range subjects {
			if !yield(name) {
				return
			}
		}
	})
	base := newWorld(nil).state(t)
	rapid.Check(t, func(t *rapid.T) {
		var terms []decision.Term
		for i := range rapid.IntRange(0, 12).Draw(t, "terms") {
			term := decision.Term{
				Key: fmt.Sprintf("t%02d", i), When: rapid.SampledFrom(texts).Draw(t, "when"), Priority: rapid.Int32Range(-2, 2).Draw(t, "priority"),
				Effect: decision.Effect(rapid.IntRange(int(decision.EffectBlock), int(decision.EffectCost)).Draw(t, "effect")), Cost: int64(i),
				RetryAfter: time.Duration(i+1) * time.Second,
			}
			terms = append(terms, on(term, rapid.SampledFrom(names).Draw(t, "on")))
		}
		code, policy, cost := decision.OK, "", int64(1)
		sorted := slices.Clone(terms)
		slices.SortFunc(sorted, func(a, b decision.Term) int {
			if a.Priority != b.Priority {
				return int(a.Priority - b.Priority)
			}
			return strings.Compare(a.Key, b.Key)
		})
	naive:
		for _, term := range sorted {
			if !subjects[term.Subject.String()] {
				continue
			}
			switch truth := truths[term.When]; {
			case truth == "fails":
				code, policy = decision.TermError, term.Key
				break naive
			case truth == "":
			case term.Effect == decision.EffectBlock:
				code, policy = decision.BlockedByTerm, term.Key
				break naive
			case term.Effect == decision.EffectThrottle:
				code, policy = decision.ThrottledByTerm, term.Key
				break naive
			case term.Effect == decision.EffectForward:
				break naive
			default:
				cost = term.Cost
			}
		}
		if code != decision.OK {
			cost = 0
		}
		v := decide(with(t, base, terms...), accounts{}, get("/calls"), noon)
		if v.Code != code || v.Policy != policy || v.Charge.Units != cost {
			t.Fatalf("%+v\ngave %s, want %s by %q for %d", terms, describe(v), code, policy, cost)
		}
	})
}
