package decision_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"tollgate/dataplane/decision"
)

// details are a request's, and count how often they are asked for.
type details struct {
	header, query map[string][]string
	ip            string
	asked         int
}

func (d *details) Header() map[string][]string         { d.asked++; return d.header }
func (d *details) Query() (map[string][]string, error) { d.asked++; return d.query, nil }
func (d *details) ClientIP() string                    { d.asked++; return d.ip }

// holds decides one request of a free route by one blocking term.
func holds(t *testing.T, w *world, r decision.Request, when string) decision.Code {
	t.Helper()
	if err := decision.CheckCondition(when); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	return decide(with(t, w.state(t), block("a", 1, when)), accounts{}, r, noon).Code
}

func TestCondition_SeesWhatItsNamesSay(t *testing.T) {
	t.Parallel()
	for _, when := range []string{
		`request.method == "GET" && request.host == "api.example" && request.path == "/reports"`,
		`request.headers["x-region"] == "eu, us" && request.headers["user-agent"].contains("curl")`,
		`request.query["mode"] == "raw" && !("none" in request.query)`,
		`request.headers[?"x-none"].orValue("unset") == "unset"`,
		`has(request.query.mode) && !has(request.query.none)`,
		`request.client_ip == "192.0.2.1" && request.client_ip.startsWith("192.0.2.")`,
		`request.time == now && now == timestamp("2026-11-23T12:00:00Z")`,
		`now.getHours() == 12 && now.getHours("+01:00") == 13 && now.getDayOfWeek("UTC") == 1`,
		`client.id == "key" && client.kind == "api_key"`,
		`license.id == "lic" && license.status == "active" && license.plan == "plan" && license.plan_version == 1`,
		`license.starts_at < now && now - license.starts_at > duration("1h")`,
		`license.ends_at > now && license.ends_at - now > duration("72h")`,
		`customer.id == "cus" && customer.external_id == "acme"`,
		`plan.key == "plan" && plan.version == 1 && "reports" in plan.features && !("gold" in plan.features)`,
		`plan.features.exists(f, f.startsWith("rep")) && size(plan.features) == 2`,
		`request.path.matches("^/rep[a-z]+$") && request.path.matches("^.{3,100}$")`,
		`usage["requests"] == 0 && usage["bytes"] == 0`,
		`request.headers.all(h, h != "authorization" && h != "x-api-key" && h != "cookie" && h != "proxy-authorization" && h != "x_api_key")`,
		`request.headers.all(h, !h.startsWith("tollgate"))`,
	} {
		w := newWorld(nil)
		r := get("/reports")
		r.Details = &details{ip: "192.0.2.1", query: map[string][]string{"mode": {"raw", "cooked"}}, header: map[string][]string{
			"X-Region": {"eu", "us"}, "User-Agent": {"curl/8"}, "Authorization": {"Bearer tg_secret"}, "X-Api-Key": {"tg_secret"}, "Cookie": {"session=1"},
			"Proxy-Authorization": {"Basic x"}, "X_api_key": {"tg_secret"}, "Tollgate-Customer": {"x"}, "Tollgate_plan": {"x"},
		}}
		e := decision.Edit(w.state(t))
		e.SetMeter(&decision.Meter{Key: "requests"})
		e.SetMeter(&decision.Meter{Key: "bytes"})
		e.SetCustomer(&decision.Customer{ID: "cus", ExternalID: "acme"})
		s, err := e.Build(decision.Epoch{Generation: 1, Number: 8})
		if err != nil {
			t.Fatal(err)
		}
		if err := decision.CheckCondition(when); err != nil {
			t.Errorf("%s: %v", when, err)
			continue
		}
		if v := decide(with(t, s, block("a", 1, when)), accounts{}, r, noon); v.Code != decision.BlockedByTerm {
			t.Errorf("%s: got %s", when, v.Code)
		}
	}
}

// Every name resolves, whatever is known of the request.
func TestCondition_EveryNameIsThere(t *testing.T) {
	t.Parallel()
	for _, name := range decision.TermNames() {
		when := fmt.Sprintf("string(%s) != '?'", name)
		switch name {
		case "request.headers", "request.query", "plan.features", "usage":
			when = fmt.Sprintf("size(%s) < 9", name)
		}
		if code := holds(t, newWorld(nil), get("/reports"), when); code != decision.BlockedByTerm {
			t.Errorf("%s: got %s", name, code)
		}
	}
}

func TestCondition_KnowsAPastDueLicenceAndOneThatEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.license.PastDue, w.license.GraceUntil = true, noon.Add(time.Hour)
	w.license.EndsAt = noon.Add(48 * time.Hour)
	if code := holds(t, w, get("/reports"), `license.status == "past_due" && license.ends_at - now < duration("72h")`); code != decision.BlockedByTerm {
		t.Errorf("got %s", code)
	}
}

// What an override grants is among the features, as it is for routes.
func TestCondition_FeaturesAreThoseOfTheLicence(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.license.Overrides = []decision.Override{{ID: "o", From: noon, Feature: "gold"}, {ID: "p", From: noon, Feature: "reports", Withheld: true}}
	if code := holds(t, w, get("/free"), `"gold" in plan.features && !("reports" in plan.features)`); code != decision.BlockedByTerm {
		t.Errorf("got %s", code)
	}
}

// usage is this node's: what it spent of loans, and what it counted of soft quotas, in the period that is now.
func TestCondition_UsageIsWhatThisNodeHasSpent(t *testing.T) {
	t.Parallel()
	for name, quota := range map[string]*decision.Quota{"hard": monthly(100, true), "soft": monthly(100, false)} {
		e := decision.Edit(newWorld(quota).state(t))
		e.SetMeter(&decision.Meter{Key: "requests"})
		s, err := e.Build(decision.Epoch{Generation: 1, Number: 8})
		if err != nil {
			t.Fatal(err)
		}
		s, a := with(t, s, block("a", 1, `usage["requests"] >= 10`)), accounts{}
		if v := decide(s, a, get("/bulk"), noon); v.Cold {
			for _, ask := range a["lic"].Asks("lic", decision.Waiting{Requests: 1, Units: 5}, time.Minute, decision.At(noon)) {
				grant(a["lic"], ask, 0, 50, noon)
			}
			decide(s, a, get("/bulk"), noon)
		}
		if v := decide(s, a, get("/bulk"), noon); v.Code != decision.OK {
			t.Fatalf("%s: the second: %s", name, describe(v))
		}
		if v := decide(s, a, get("/bulk"), noon); v.Code != decision.BlockedByTerm {
			t.Errorf("%s: the third: %s", name, describe(v))
		}
		if v := decide(s, a, get("/free"), noon.AddDate(0, 1, 0)); v.Code != decision.OK {
			t.Errorf("%s: next month: %s", name, describe(v))
		}
	}
}

// What a request brings is read where a condition asks for it, and nowhere else.
func TestCondition_ReadsARequestsDetailsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for when, asked := range map[string]int{
		`request.method == "POST"`:                                        0,
		`request.method == "POST" && "x" in request.headers`:              0,
		`"x" in request.headers || "y" in request.headers`:                1,
		`request.query.exists(q, q == "x") || "x" in request.headers`:     2,
		`request.client_ip == "" && size(request.headers) == 0 && 1 == 2`: 2,
	} {
		d := &details{}
		r := get("/free")
		r.Details = d
		if code := holds(t, newWorld(nil), r, when); code != decision.OK || d.asked != asked {
			t.Errorf("%s: %s, asked %d times, want %d", when, code, d.asked, asked)
		}
	}
}

// A request that is larger than conditions are reckoned for is denied, and not served at any cost.
func TestCondition_CostIsBoundedAtRunTime(t *testing.T) {
	t.Parallel()
	when := `request.headers.exists(h, request.headers[h].contains("x"))`
	header := map[string][]string{}
	for i := range 500 {
		header[fmt.Sprintf("h%d", i)] = []string{strings.Repeat("y", 10_000)}
	}
	r := get("/free")
	r.Details = &details{header: header}
	if code := holds(t, newWorld(nil), r, when); code != decision.TermError {
		t.Errorf("got %s", code)
	}
	r.Details = &details{header: map[string][]string{"a": {"y"}}}
	if code := holds(t, newWorld(nil), r, when); code != decision.OK {
		t.Errorf("small: %s", code)
	}
	// Many that are cheap each are dear together.
	var terms []decision.Term
	for i := range 100 {
		terms = append(terms, block(fmt.Sprintf("t%02d", i), 1, when))
	}
	for i := range 60 {
		header[fmt.Sprintf("h%d", i)] = []string{strings.Repeat("y", 1000)}
	}
	for i := 60; i < 500; i++ {
		delete(header, fmt.Sprintf("h%d", i))
	}
	r.Details = &details{header: header}
	if v := decide(with(t, newWorld(nil).state(t), terms[0]), accounts{}, r, noon); v.Code != decision.OK {
		t.Errorf("one: %s", v.Code)
	}
	if v := decide(with(t, newWorld(nil).state(t), terms...), accounts{}, r, noon); v.Code != decision.TermError {
		t.Errorf("a hundred: %s", v.Code)
	}
}

func TestCheckCondition_SaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		when         string
		line, column int
		says         string
	}{
		{"", 1, 0, "Syntax error"},
		{`request.method ==`, 1, 0, "Syntax error"},
		{"request.method == \"GET\" &&\n  request.metod == \"x\"", 2, 3, `request has no "metod": it has method, host`},
		{`request == "x"`, 1, 1, "request is no value by itself"},
		{`has(request.method)`, 1, 0, "request.method is always there"},
		{`customer.metadata["a"] == "b"`, 1, 1, `customer has no "metadata": it has id, external_id`},
		{`user.id == "x"`, 1, 1, `there is no name "user"`},
		{`request.method == 1`, 1, 16, "no matching overload"},
		{`license.plan_version == "1"`, 1, 22, "no matching overload"},
		{`request.method`, 0, 0, "gives string: it has to be true or false"},
		{`dyn(true)`, 0, 0, "gives dyn"},
		{`request.path.matches("(")`, 1, 0, "invalid"},
		{`request.path.matches(request.headers["x"])`, 1, 0, "has to be written out"},
		{`request.path.matches("^(a{1,600})$")`, 1, 0, "instructions: at most 1000"},
		{`request.path.matches("(a|aa|aaa){100}b")`, 0, 0, "may cost"},
		{`matches(request.path, "(a|aa|aaa){100}b")`, 0, 0, "may cost"},
		{`now.getHours("Europe/Berlin") > 8`, 1, 0, `fixed offset`},
		{`now.getHours(request.headers["tz"]) > 8`, 1, 0, `fixed offset`},
		{`now > timestamp("tomorrow")`, 1, 0, "timestamp"},
		{`now - license.starts_at > duration("a while")`, 1, 0, "duration"},
		{`request.headers.all(a, request.headers.all(b, request.headers.all(c, a == b + c)))`, 1, 0, "nesting"},
		{`request.headers.all(a, request.headers.all(b, request.headers[a].contains(request.headers[b])))`, 0, 0, "units on a large request"},
		{strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), -1, 0, ""},
		{`true` + strings.Repeat(`&&true`, 300), -1, 0, ""},
		{`true` + strings.Repeat(` `, decision.MaxCondition), 0, 0, "longer than 2048 bytes"},
		{`request.headers["X-Region"] == "eu"`, 1, 0, `names in lower case: "X-Region"`},
		{`request.method == "GET" && "Accept" in request.headers`, 1, 0, `names in lower case: "Accept"`},
		{`request.headers[?"Accept"].hasValue()`, 1, 0, `names in lower case: "Accept"`},
		{`request.headers.Accept == "x"`, 1, 0, `names in lower case: "Accept"`},
		{`has(request.headers.Accept)`, 1, 0, `names in lower case: "Accept"`},
		{`os.exit(1)`, 1, 0, ""},
		{"true\x00", 1, 0, "Syntax error"},
	} {
		err := decision.CheckCondition(tt.when)
		e, ok := errors.AsType[*decision.ConditionError](err)
		if !ok {
			t.Errorf("%q: %v", tt.when, err)
			continue
		}
		if tt.line >= 0 && e.Line != tt.line || tt.column > 0 && e.Column != tt.column || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%q: line %d, column %d: %s; want %d, %d: %s", tt.when, e.Line, e.Column, e.Message, tt.line, tt.column, tt.says)
		}
	}
}

// Any text either cannot be compiled, or is a condition that ends within its cost on a request.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		`request.method == "DELETE"`, `"x" in request.headers && request.headers["x"].matches("^a+$")`, `plan.features.exists(f, f == "x")`,
		`usage["requests"] > 1000 || now.getHours("+02:00") < 6`, `request.headers.map(h, h + h).exists(h, h == "aa")`, `1 / 0 == 1`,
		`[1, 2].all(x, x > 0) ? true : dyn(request.method) == 1`, `optional.of(1).hasValue()`, `{"a": [{}]}.a[0] == {}`, "\"\\u0000\" == ''", "((((",
		`license.ends_at - timestamp("0001-01-01T00:00:00Z") > duration("1s")`, `b'abc' == bytes(request.path)`, "`request`.method == ''", `request.?method == 1`,
	} {
		f.Add(seed)
	}
	base := newWorld(nil).state(f)
	f.Fuzz(func(t *testing.T, when string) {
		err := decision.CheckCondition(when)
		if _, ok := errors.AsType[*decision.ConditionError](err); err != nil && !ok {
			t.Fatalf("%v is no ConditionError", err)
		}
		r := get("/free")
		r.Details = &details{header: map[string][]string{"X": {"aaa"}}}
		v := decide(with(t, base, block("a", math.MinInt32, when)), accounts{}, r, noon)
		if err != nil && v.Code != decision.TermError {
			t.Errorf("%v, and yet %s", err, v.Code)
		}
		if v.Code != decision.OK && v.Code != decision.BlockedByTerm && v.Code != decision.TermError {
			t.Errorf("got %s", v.Code)
		}
	})
}
