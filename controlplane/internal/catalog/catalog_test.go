package catalog_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/catalog"
	"tollgate/controlplane/internal/licensing"
)

const whole = `version: 1
meters: [{key: requests, aggregation: count}]
features: [{key: reports, type: boolean}, {key: calls, type: metered, meter: requests}, {key: seats, type: static}]
plans:
- key: free
  name: Free
  entitlements: [{feature: calls, quota: {limit: 1000, period: month, mode: hard, rollover: 5}}, {feature: reports}, {feature: beta, enabled: false}, {feature: seats, value: 10}, {feature: region, value: eu}, {feature: sso, value: false}, {feature: share, value: 0.5}]
  trial_days: 14
  rate_limits: [{key: free-rate, limit: 5, per: 500ms, burst: 7, scope: license}]
  rate_cards: [{key: base, kind: flat, amount: 49.00, currency: USD}, {key: use, kind: volume, feature: calls, currency: USD, included: 3, tiers: [{up_to: 5, unit_price: 0.10}, {flat_price: "1"}]}]
addons: [{key: more, name: More, entitlements: [{feature: calls, quota: {limit: 9, period: day, mode: soft}}, {feature: reports}], rate_cards: [{key: fee, kind: flat, amount: "5", currency: USD}]}]
services: [{key: sample, endpoints: ["http://127.0.0.1:9000"]}]
routes: [{key: reports, service: sample, match: {path: "/reports/*", methods: [GET]}, requires: [reports], meter: requests, cost: {fixed: 2}, bill_open_intents: false, on_stale: serve}]
terms: [{key: no-delete, on: "plan:free", when: 'request.method == "DELETE"', effect: block, priority: 10, message: Buy pro.}, {key: slow, when: "true", effect: throttle, priority: -1, retry_after: 1500ms}, {key: dear, name: Dear, on: route:reports, when: "true", effect: cost, cost: 0}]
issuers: [{key: idp, issuer: "https://idp.example", jwks_file: /etc/tollgate/jwks.json, audiences: [api], customer_claim: sub}, {key: other, name: Other, issuer: "https://other.example/x", discovery: true, audiences: [a, b], license_claim: lic, algorithms: [ES256]}, {key: third, issuer: "https://third.example", jwks_url: "https://third.example/keys?x", audiences: [a], customer_claim: sub}]
`

func TestParse_ReadsTheWholeFile(t *testing.T) {
	t.Parallel()
	got, err := catalog.Parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := licensing.Catalog{
		Meters:   []licensing.Meter{{Key: "requests", Aggregation: licensing.Count}},
		Features: []licensing.Feature{{Key: "reports", Type: licensing.Boolean}, {Key: "calls", Type: licensing.Metered, Meter: "requests"}, {Key: "seats", Type: licensing.Static}},
		Plans: []licensing.CatalogPlan{{
			Key: "free", DisplayName: "Free", TrialDays: 14,
			Entitlements: []licensing.Entitlement{
				{Feature: "calls", Enabled: true, Quota: &licensing.Quota{Limit: 1000, Period: licensing.Month, Mode: licensing.Hard, Rollover: 5}},
				{Feature: "reports", Enabled: true}, {Feature: "beta", Off: true},
				{Feature: "seats", Enabled: true, Value: licensing.Value{Kind: licensing.NumberValue, Number: 10}},
				{Feature: "region", Enabled: true, Value: licensing.Value{Kind: licensing.TextValue, Text: "eu"}},
				{Feature: "sso", Enabled: true, Value: licensing.Value{Kind: licensing.BoolValue}},
				{Feature: "share", Enabled: true, Value: licensing.Value{Kind: licensing.NumberValue, Number: 0.5}},
			},
			RateLimits: []licensing.RateLimit{{Key: "free-rate", Limit: 5, Per: 500 * time.Millisecond, Burst: 7, Scope: licensing.ScopeLicense}},
			RateCards: []licensing.RateCard{{Key: "base", Kind: "flat", Amount: "49.00", Currency: "USD"}, {
				Key: "use", Kind: licensing.Volume, Feature: "calls", Currency: "USD", Included: 3,
				Tiers: []licensing.Tier{{UpTo: 5, UnitPrice: "0.10"}, {FlatPrice: "1"}},
			}},
		}},
		AddOns: []licensing.AddOn{{
			Key: "more", DisplayName: "More",
			Entitlements: []licensing.Entitlement{
				{Feature: "calls", Enabled: true, Quota: &licensing.Quota{Limit: 9, Period: licensing.Day, Mode: licensing.Soft}}, {Feature: "reports", Enabled: true},
			},
			RateCards: []licensing.RateCard{{Key: "fee", Kind: licensing.Flat, Amount: "5", Currency: "USD"}},
		}},
		Services: []licensing.Upstream{{Key: "sample", Endpoints: []string{"http://127.0.0.1:9000"}}},
		Routes: []licensing.Route{{
			Key: "reports", Service: "sample", Match: licensing.RouteMatch{Path: "/reports/*", Methods: []string{"GET"}},
			Requires: []string{"reports"}, Meter: "requests", Cost: &licensing.RouteCost{Fixed: 2}, BillOpenIntents: new(bool), OnStale: licensing.StaleServe,
		}},
		Terms: []licensing.Term{
			{Key: "no-delete", On: "plan:free", When: `request.method == "DELETE"`, Effect: licensing.TermBlock, Priority: 10, Message: "Buy pro."},
			{Key: "slow", When: "true", Effect: licensing.TermThrottle, Priority: -1, RetryAfter: 1500 * time.Millisecond},
			{Key: "dear", DisplayName: "Dear", On: "route:reports", When: "true", Effect: licensing.TermCost, Cost: new(int64)},
		},
		Issuers: []licensing.Issuer{
			{Key: "idp", Issuer: "https://idp.example", JwksFile: "/etc/tollgate/jwks.json", Audiences: []string{"api"}, CustomerClaim: "sub"},
			{Key: "other", DisplayName: "Other", Issuer: "https://other.example/x", Discovery: true, Audiences: []string{"a", "b"}, LicenseClaim: "lic", Algorithms: []string{"ES256"}},
			{Key: "third", Issuer: "https://third.example", JwksURL: "https://third.example/keys?x", Audiences: []string{"a"}, CustomerClaim: "sub"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func TestParse_RefusesWithTheLine(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct{ file, says string }{
		"empty":              {"", "version: 1"},
		"only a comment":     {"# nothing\n", "version: 1"},
		"no version":         {"meters: []\n", "version is 0"},
		"other version":      {"version: 2\n", "version is 2"},
		"version of a half":  {"version: 1.5\n", `line 1: "1.5" is not a whole number`},
		"unknown section":    {"version: 1\nmeter: []\n", `line 2: unknown key "meter"`},
		"unknown key":        {"version: 1\nmeters:\n- key: a\n  colour: red\n", `line 4: unknown key "colour"`},
		"key twice":          {"version: 1\nversion: 1\n", "line 2"},
		"a list for a text":  {"version: 1\nmeters:\n- key: [a]\n", "line 3: a list"},
		"a text for a list":  {"version: 1\nmeters: all\n", `line 2: "all"`},
		"half a unit":        {"version: 1\nplans: [{key: p, rate_limits: [{key: r,\n  limit: 1.5}]}]\n", `line 3: "1.5" is not a whole number`},
		"overflow":           {"version: 1\nplans: [{key: p, rate_limits: [{key: r,\n  limit: 9223372036854775808}]}]\n", "line 3"},
		"number for a time":  {"version: 1\nplans: [{key: p, rate_limits: [{key: r,\n  per: 1}]}]\n", `line 3: "1" is not a duration`},
		"quota sans limit":   {"version: 1\nplans: [{key: p, entitlements: [{feature: f, quota: {period: day}}]}]\n", `plan "p": the quota of feature "f" has no limit`},
		"value of a list":    {"version: 1\nplans: [{key: p, entitlements: [{feature: f,\n  value: [1]}]}]\n", "line 3: a list is neither text, a number nor a bool"},
		"value of a date":    {"version: 1\nplans: [{key: p, entitlements: [{feature: f,\n  value: 2026-01-01}]}]\n", "line 3"},
		"value not exact":    {"version: 1\nplans: [{key: p, entitlements: [{feature: f,\n  value: 9007199254740993}]}]\n", "line 3: \"9007199254740993\" is beyond"},
		"half a day":         {"version: 1\nplans: [{key: p, trial_days: 0.5}]\n", "line 2"},
		"huge priority":      {"version: 1\nterms: [{key: t, priority: 2147483648}]\n", `term "t": priority 2147483648`},
		"half a priority":    {"version: 1\nterms: [{key: t,\n  priority: 0.5}]\n", `line 3: "0.5" is not a whole number`},
		"term for a time":    {"version: 1\nterms: [{key: t,\n  retry_after: 5}]\n", `line 3: "5" is not a duration`},
		"term's unknown key": {"version: 1\nterms:\n- key: t\n  then: block\n", `line 4: unknown key "then"`},
		"issuer's unknown":   {"version: 1\nissuers:\n- key: t\n  secret: x\n", `line 4: unknown key "secret"`},
		"on_unavailable":     {"version: 1\nplans: [{key: p, entitlements: [{feature: f, quota: {limit: 1, period: day, on_unavailable: {overage: 3}}}]}]\n", "line 2: on_unavailable"},
		"on_stale":           {"version: 1\nroutes: [{key: r,\n  on_stale: [serve]}]\n", "line 3"},
		"two documents":      {"version: 1\n---\nversion: 1\n", "more than one document"},
		"not YAML":           {"version: 1\n\tmeters: x\n", "line 2"},
		"tab":                {"{", "line 1"},
		"too large":          {"version: 1\n#" + strings.Repeat("x", catalog.MaxSize), "larger than"},
		"add-on's limit":     {"version: 1\naddons: [{key: a, entitlements: [{feature: f, quota: {period: day}}]}]\n", `add-on "a": the quota of feature "f" has no limit`},
		"add-on's rates":     {"version: 1\naddons: [{key: a,\n  rate_limits: []}]\n", `line 3: unknown key "rate_limits"`},
	} {
		_, err := catalog.Parse([]byte(x.file))
		e, ok := errors.AsType[*licensing.Error](err)
		if !ok || e.Code != licensing.InvalidArgument || !strings.Contains(e.Message, x.says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, x.says)
		}
	}
}

// Whatever the file, Parse returns: with a catalog whose objects can be validated, or an error for the caller's eyes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("version: 1\nmeters: &a [{key: x}]\nfeatures: *a\n"))
	f.Add([]byte("version: 1\nplans: [{key: p, rate_limits: [{limit: 0x10, per: -1h}]}]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("version: !!int \"1\"\n<<: {meters: []}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := catalog.Parse(data)
		if err == nil {
			err = c.Validate()
		}
		if err != nil && licensing.CodeOf(err) == "" {
			t.Errorf("%v is no licensing.Error", err)
		}
	})
}
