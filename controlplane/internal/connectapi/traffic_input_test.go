package connectapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// rules brings in what terms can be on, and a term and an issuer to be in the way.
func rules(t *testing.T) (a *api, license string) {
	t.Helper()
	a = setup(t)
	a.apply(demo)
	customer, _ := at(a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "c"}}`), "customer", "id").(string)
	license, _ = at(a.object("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free"}}`, customer)), "license", "id").(string)
	for _, call := range [][2]string{
		{"CatalogService/CreatePlan", `{"plan": {"key": "old"}}`},
		{"CatalogService/ArchivePlan", `{"key": "old"}`},
		{"TrafficService/CreateRoute", `{"route": {"key": "old", "service": "sample", "match": {"path": "/old"}}}`},
		{"TrafficService/ArchiveRoute", `{"key": "old"}`},
		{"TrafficService/CreateTerm", `{"term": {"key": "there", "on": "route:reports", "when": "false", "effect": "TERM_EFFECT_BLOCK"}}`},
		{"TrafficService/CreateTerm", `{"term": {"key": "gone", "when": "false", "effect": "TERM_EFFECT_BLOCK"}}`},
		{"TrafficService/ArchiveTerm", `{"key": "gone"}`},
		{"TrafficService/CreateIssuer", `{"issuer": {"key": "there", "issuer": "https://there.example", "discovery": true, "audiences": ["a"], "customerClaim": "sub"}}`},
	} {
		a.object(call[0], call[1])
	}
	return a, license
}

func (a *api) rulesStored() string {
	a.t.Helper()
	var all strings.Builder
	for _, call := range []string{"TrafficService/ListTerms", "TrafficService/ListIssuers", "TrafficService/ListRoutes", "CatalogService/ListPlans"} {
		all.WriteString(a.post(call, `{}`).Body)
		all.WriteString(a.post(call, `{"filter": "archived = \"true\""}`).Body)
	}
	return all.String()
}

// Each rule of terms and issuers, broken: the right code, the field named, nothing stored, no epoch taken.
func TestTraffic_BadTermsAndIssuersAreRefused(t *testing.T) {
	t.Parallel()
	a, license := rules(t)
	const create, update, bad, state = "TrafficService/CreateTerm", "TrafficService/UpdateTerm", "invalid_argument", "failed_precondition"
	fields := func(rest string) string {
		return `{"term": {"key": "t", "effect": "TERM_EFFECT_BLOCK", ` + rest + `}}`
	}
	when := func(condition string) string { return fields(fmt.Sprintf(`"when": %q`, condition)) }
	on := func(subject string) string { return fields(fmt.Sprintf(`"when": "true", "on": %q`, subject)) }
	effect := func(effect, rest string) string {
		return fmt.Sprintf(`{"term": {"key": "t", "when": "true", "effect": "TERM_EFFECT_%s", %s}}`, effect, rest)
	}
	file := func(text string) string { return fmt.Sprintf(`{"yaml": %q}`, "version: 1\n"+text) }
	issuer := func(change ...string) string {
		body := `{"issuer": {"key": "i", "issuer": "https://i.example", "jwksFile": "/etc/jwks.json", "audiences": ["a"], "customerClaim": "sub"}}`
		for i := 0; i < len(change); i += 2 {
			if !strings.Contains(body, change[i]) {
				t.Fatalf("%s is not in %s", change[i], body)
			}
			body = strings.Replace(body, change[i], change[i+1], 1)
		}
		return body
	}
	const newIssuer = "TrafficService/CreateIssuer"
	rows := []struct{ name, call, body, code, says string }{
		{"no key", create, `{"term": {"when": "true", "effect": "TERM_EFFECT_BLOCK"}}`, bad, "term.key"},
		{"bad key", create, `{"term": {"key": "A b", "when": "true", "effect": "TERM_EFFECT_BLOCK"}}`, bad, "term.key"},
		{"key twice", create, `{"term": {"key": "there", "when": "true", "effect": "TERM_EFFECT_BLOCK"}}`, "already_exists", "term.key"},
		{"unknown field", create, fields(`"when": "true", "then": "block"`), bad, "then"},
		{"name too long", create, fields(`"when": "true", "displayName": "` + strings.Repeat("x", 201) + `"`), bad, "term.display_name"},
		{"no condition", create, fields(`"priority": 1`), bad, "term.when: is required"},
		{"syntax error", create, when(`request.method ==`), bad, "term.when: line 1, column 18"},
		{"syntax error in line 2", create, when("true &&\n  ("), bad, "term.when: line 2"},
		{"no bool", create, when(`request.method`), bad, "term.when: gives string"},
		{"a number", create, when(`1 + 1`), bad, "term.when: gives int"},
		{"a dynamic value", create, when(`dyn(true)`), bad, "term.when: gives dyn"},
		{"types that do not match", create, when(`request.method == 1`), bad, "term.when: line 1, column 16"},
		{"misspelt field", create, when(`request.metod == "GET"`), bad, `term.when: line 1, column 1: request has no "metod"`},
		{"unknown name", create, when(`customr.id == "x"`), bad, `there is no name "customr"`},
		{"metadata, which nodes do not have", create, when(`customer.metadata["a"] == "b"`), bad, `customer has no "metadata"`},
		{"unknown function", create, when(`request.path.lower() == "/"`), bad, "term.when: line 1"},
		{"too long", create, when(strings.Repeat(" ", 2048) + "true"), bad, "term.when"},
		{"too many nodes", create, when("true" + strings.Repeat("&&true", 300)), bad, "term.when"},
		{"too deep", create, when(strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200)), bad, "term.when"},
		{"too costly", create, when(`request.headers.all(a, request.headers.all(b, request.headers[a] != request.headers[b]))`), bad, "term.when: may cost"},
		{"nested too deep", create, when(`request.query.all(a, request.query.all(b, request.query.all(c, a != b)))`), bad, "term.when"},
		{"pattern that is none", create, when(`request.path.matches("(")`), bad, "term.when"},
		{"pattern of a client", create, when(`request.path.matches(request.query["re"])`), bad, "has to be written out"},
		{"zone by name", create, when(`now.getHours("Asia/Tokyo") < 8`), bad, "fixed offset"},
		{"NUL", create, fields(`"when": "'\u0000' == ''"`), bad, "term.when: has control characters"},
		{"no effect", create, `{"term": {"key": "t", "when": "true"}}`, bad, "term.effect"},
		{"unknown effect", create, `{"term": {"key": "t", "when": "true", "effect": 9}}`, bad, "term.effect"},
		{"subject of no kind", create, on("free"), bad, "term.on"},
		{"subject of an unknown kind", create, on("team:free"), bad, "term.on"},
		{"subject without a name", create, on("plan:"), bad, "term.on"},
		{"subject too long", create, on("plan:" + strings.Repeat("x", 200)), bad, "term.on"},
		{"subject with NUL", create, fields(`"when": "true", "on": "plan:\u0000"`), bad, "term.on"},
		{"unknown plan", create, on("plan:none"), bad, `term.on: there is no plan "none"`},
		{"unknown route", create, on("route:none"), bad, `term.on: there is no route "none"`},
		{"unknown licence", create, on("license:lic_none"), bad, "term.on: there is no licence"},
		{"unknown customer", create, on("customer:cus_none"), bad, "term.on: there is no customer"},
		{"customer by external id", create, on("customer:c"), bad, "term.on: there is no customer"},
		{"archived plan", create, on("plan:old"), state, `term.on: the plan "old" is archived`},
		{"archived route", create, on("route:old"), state, `term.on: the route "old" is archived`},
		{"negative cost", create, effect("COST", `"cost": -1`), bad, "term.cost"},
		{"huge cost", create, effect("COST", `"cost": "1000000001"`), bad, "term.cost"},
		{"no cost", create, effect("COST", `"priority": 1`), bad, "term.cost: is required"},
		{"cost of a block", create, effect("BLOCK", `"cost": 1`), bad, "term.cost"},
		{"negative retry_after", create, effect("THROTTLE", `"retryAfter": "-1s"`), bad, "term.retry_after"},
		{"retry_after of two days", create, effect("THROTTLE", `"retryAfter": "172800s"`), bad, "term.retry_after"},
		{"retry_after of a nanosecond", create, effect("THROTTLE", `"retryAfter": "0.000000001s"`), bad, "term.retry_after"},
		{"retry_after that is none", create, effect("THROTTLE", `"retryAfter": "soon"`), bad, "Duration"},
		{"retry_after of a block", create, effect("BLOCK", `"retryAfter": "1s"`), bad, "term.retry_after"},
		{"message of a cost", create, effect("COST", `"cost": 1, "message": "x"`), bad, "term.message"},
		{"message too long", create, effect("BLOCK", `"message": "`+strings.Repeat("x", 501)+`"`), bad, "term.message"},
		{"message of two lines", create, effect("BLOCK", `"message": "a\nb"`), bad, "term.message"},
		{"priority beyond 32 bits", create, effect("BLOCK", `"priority": 2147483648`), bad, "priority"},
		{"update of none", update, `{"term": {"key": "none", "priority": 1}}`, "not_found", "none"},
		{"update of what is archived", update, `{"term": {"key": "gone", "priority": 1}, "updateMask": "priority"}`, state, "archived"},
		{"unknown mask path", update, `{"term": {"key": "there"}, "updateMask": "condition"}`, bad, "update_mask"},
		{"stale etag", update, `{"term": {"key": "there", "priority": 2, "etag": "99"}, "updateMask": "priority"}`, "aborted", "term.etag"},
		{"update to a bad condition", update, `{"term": {"key": "there", "when": "1"}, "updateMask": "when"}`, bad, "term.when"},
		{"archive with a stale etag", "TrafficService/ArchiveTerm", `{"key": "there", "etag": "99"}`, "aborted", "etag"},
		{"archive of a route with a term", "TrafficService/ArchiveRoute", `{"key": "reports"}`, state, "term there"},
		{"filter that is none", "TrafficService/ListTerms", `{"filter": "when = \"true\""}`, bad, "filter"},
		{"file: unknown subject", "CatalogService/ApplyCatalog", file(`terms: [{key: t, on: "plan:none", when: "true", effect: block}]`), bad, "terms[t].on"},
		{"file: bad condition", "CatalogService/ApplyCatalog", file(`terms: [{key: t, when: "request.foo", effect: block}]`), bad, "terms[t].when"},
		{"file: unknown effect", "CatalogService/ApplyCatalog", file(`terms: [{key: t, when: "true", effect: explode}]`), bad, "terms[t].effect"},
		{"file: twice", "CatalogService/ApplyCatalog", file(`terms: [{key: t, when: "true", effect: block}, {key: t, when: "true", effect: block}]`), bad, "terms[t]"},

		{"issuer: bad key", newIssuer, issuer(`"key": "i"`, `"key": "I"`), bad, "issuer.key"},
		{"issuer: key twice", newIssuer, issuer(`"key": "i"`, `"key": "there"`), "already_exists", "issuer.key"},
		{"issuer: URL twice", newIssuer, issuer("https://i.example", "https://there.example"), "already_exists", "issuer.issuer"},
		{"issuer: no URL", newIssuer, issuer("https://i.example", ""), bad, "issuer.issuer: is required"},
		{"issuer: not https", newIssuer, issuer("https://i.example", "http://i.example"), bad, "issuer.issuer"},
		{"issuer: relative", newIssuer, issuer("https://i.example", "i.example"), bad, "issuer.issuer"},
		{"issuer: with a user", newIssuer, issuer("https://i.example", "https://u:p@i.example"), bad, "issuer.issuer"},
		{"issuer: with a query", newIssuer, issuer("https://i.example", "https://i.example?a=b"), bad, "issuer.issuer"},
		{"issuer: with a fragment", newIssuer, issuer("https://i.example", "https://i.example#a"), bad, "issuer.issuer"},
		{"issuer: no keys", newIssuer, issuer(`"jwksFile": "/etc/jwks.json", `, ""), bad, "issuer.jwks_file"},
		{"issuer: discovery that is not", newIssuer, issuer(`"jwksFile": "/etc/jwks.json"`, `"discovery": false`), bad, "issuer.jwks_file"},
		{"issuer: two ways to keys", newIssuer, issuer(`"audiences"`, `"jwksUrl": "https://i.example/k", "audiences"`), bad, "jwksUrl"},
		{"issuer: relative file", newIssuer, issuer("/etc/jwks.json", "jwks.json"), bad, "issuer.jwks_file"},
		{"issuer: file with dots", newIssuer, issuer("/etc/jwks.json", "/etc/../jwks.json"), bad, "issuer.jwks_file"},
		{"issuer: file with NUL", newIssuer, issuer("/etc/jwks.json", `/etc/\u0000`), bad, "issuer.jwks_file"},
		{"issuer: keys over http", newIssuer, issuer(`"jwksFile": "/etc/jwks.json"`, `"jwksUrl": "http://i.example/k"`), bad, "issuer.jwks_url"},
		{"issuer: no audience", newIssuer, issuer(`["a"]`, `[]`), bad, "issuer.audiences"},
		{"issuer: empty audience", newIssuer, issuer(`["a"]`, `["a", ""]`), bad, "issuer.audiences[1]"},
		{"issuer: audience twice", newIssuer, issuer(`["a"]`, `["a", "a"]`), bad, "issuer.audiences[1]"},
		{"issuer: no claim", newIssuer, issuer(`, "customerClaim": "sub"`, ""), bad, "issuer.customer_claim"},
		{"issuer: two claims", newIssuer, issuer(`"customerClaim": "sub"`, `"customerClaim": "sub", "licenseClaim": "lic"`), bad, "licenseClaim"},
		{"issuer: claim too long", newIssuer, issuer(`"sub"`, `"`+strings.Repeat("x", 129)+`"`), bad, "issuer.customer_claim"},
		{"issuer: no such algorithm", newIssuer, issuer(`["a"]`, `["a"], "algorithms": ["HS256"]`), bad, "issuer.algorithms[0]"},
		{"issuer: algorithm none", newIssuer, issuer(`["a"]`, `["a"], "algorithms": ["none"]`), bad, "issuer.algorithms[0]"},
		{"issuer: algorithm twice", newIssuer, issuer(`["a"]`, `["a"], "algorithms": ["ES256", "ES256"]`), bad, "issuer.algorithms[1]"},
		{"issuer: unknown mask path", "TrafficService/UpdateIssuer", `{"issuer": {"key": "there"}, "updateMask": "keys"}`, bad, "update_mask"},
		{"issuer: stale etag", "TrafficService/UpdateIssuer", `{"issuer": {"key": "there", "audiences": ["b"], "etag": "99"}, "updateMask": "audiences"}`, "aborted", "issuer.etag"},
		{"issuer: update to no audience", "TrafficService/UpdateIssuer", `{"issuer": {"key": "there"}, "updateMask": "audiences"}`, bad, "issuer.audiences"},
		{"file: issuer with two ways to keys", "CatalogService/ApplyCatalog", file(`issuers: [{key: i, issuer: "https://i.example", jwks_file: /k, discovery: true, audiences: [a], customer_claim: sub}]`), bad, "issuers[i].jwks_file"},
		{"file: issuer with two claims", "CatalogService/ApplyCatalog", file(`issuers: [{key: i, issuer: "https://i.example", jwks_file: /k, audiences: [a], customer_claim: sub, license_claim: l}]`), bad, "issuers[i].customer_claim"},
	}
	epoch := func() string {
		return fmt.Sprint(a.object("CatalogService/ApplyCatalog", fmt.Sprintf(`{"yaml": %q, "dryRun": true}`, demo))["epoch"])
	}
	before, at := a.rulesStored(), epoch()
	for _, r := range rows {
		res := a.post(r.call, r.body)
		if res.Status == http.StatusOK || res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %s %s\ngot %d %s\nwant %s, %q", r.name, r.call, r.body, res.Status, res.Body, r.code, r.says)
		}
	}
	if now := a.rulesStored(); now != before {
		t.Errorf("something was stored:\n%s\n%s", before, now)
	}
	if now := epoch(); now != at {
		t.Errorf("epoch %s became %s", at, now)
	}
	a.object(create, on("license:"+license))
	a.object(newIssuer, issuer())
}

func TestTraffic_TermsAreListedByWhatTheyAreOn(t *testing.T) {
	t.Parallel()
	a, _ := rules(t)
	a.object("TrafficService/CreateTerm", `{"term": {"key": "slow", "when": "true", "effect": "TERM_EFFECT_THROTTLE", "retryAfter": "1.5s", "message": "Later."}}`)
	got := at(a.object("TrafficService/GetTerm", `{"key": "slow"}`), "term")
	if at(got, "on") != "all" || at(got, "retryAfter") != "1.500s" || at(got, "effect") != "TERM_EFFECT_THROTTLE" || at(got, "message") != "Later." {
		t.Errorf("term %v", got)
	}
	for filter, want := range map[string]string{`on = \"all\"`: "slow", `effect = \"block\"`: "there", `archived = \"true\"`: "gone"} {
		terms, _ := a.object("TrafficService/ListTerms", `{"filter": "`+filter+`"}`)["terms"].([]any)
		if len(terms) != 1 || at(terms[0], "key") != want {
			t.Errorf("%s: %v", filter, terms)
		}
	}
	a.object("TrafficService/UpdateTerm", `{"term": {"key": "slow", "effect": "TERM_EFFECT_COST", "cost": 0}, "updateMask": "effect,cost"}`)
	if got := at(a.object("TrafficService/GetTerm", `{"key": "slow"}`), "term"); at(got, "cost") != "0" || at(got, "retryAfter") != nil || at(got, "message") != nil {
		t.Errorf("term %v", got)
	}
}
