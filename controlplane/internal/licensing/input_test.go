package licensing_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

type validated interface{ Validate() error }

// Every bad value is refused with the field that is wrong.
func TestValidate_RefusesBadInput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2000)
	upstream := func(endpoints ...string) *licensing.Upstream {
		return &licensing.Upstream{Key: "s", Endpoints: endpoints}
	}
	route := func(change func(*licensing.Route)) *licensing.Route {
		r := &licensing.Route{Key: "r", Service: "s", Match: licensing.RouteMatch{Path: "/x"}, Meter: "m"}
		change(r)
		return r
	}
	limit := func(change func(*licensing.RateLimit)) *licensing.PlanVersion {
		l := licensing.RateLimit{Key: "l", Limit: 1, Per: time.Second}
		change(&l)
		return &licensing.PlanVersion{Plan: "p", RateLimits: []licensing.RateLimit{l}}
	}
	quota := func(q licensing.Quota) *licensing.PlanVersion {
		return &licensing.PlanVersion{Plan: "p", Entitlements: []licensing.Entitlement{{Feature: "f", Quota: &q}}}
	}
	card := func(kind licensing.CardKind, amount, currency string) *licensing.PlanVersion {
		return &licensing.PlanVersion{Plan: "p", RateCards: []licensing.RateCard{{Key: "c", Kind: kind, Amount: amount, Currency: currency}}}
	}
	now := time.Now()
	for name, c := range map[string]struct {
		object validated
		field  string
	}{
		"no external id":         {&licensing.Customer{}, "external_id"},
		"long external id":       {&licensing.Customer{ExternalID: long}, "external_id"},
		"NUL":                    {&licensing.Customer{ExternalID: "a\x00b"}, "external_id"},
		"newline":                {&licensing.Customer{ExternalID: "a", DisplayName: "x\ny"}, "display_name"},
		"not UTF-8":              {&licensing.Customer{ExternalID: "a", DisplayName: "\xff"}, "display_name"},
		"no such zone":           {&licensing.Customer{ExternalID: "a", TimeZone: "Mars/Olympus"}, "time_zone"},
		"zone Local":             {&licensing.Customer{ExternalID: "a", TimeZone: "Local"}, "time_zone"},
		"zone that is a path":    {&licensing.Customer{ExternalID: "a", TimeZone: "../etc/passwd"}, "time_zone"},
		"empty metadata name":    {&licensing.Customer{ExternalID: "a", Metadata: map[string]string{"": "x"}}, "metadata"},
		"long metadata":          {&licensing.Customer{ExternalID: "a", Metadata: map[string]string{"k": long}}, "metadata.k"},
		"no key":                 {&licensing.Meter{Aggregation: licensing.Count}, "key"},
		"upper-case key":         {&licensing.Meter{Key: "Requests", Aggregation: licensing.Count}, "key"},
		"key with slash":         {&licensing.Meter{Key: "a/b", Aggregation: licensing.Count}, "key"},
		"key with @":             {&licensing.Plan{Key: "a@1"}, "key"},
		"key that begins with -": {&licensing.Meter{Key: "-a", Aggregation: licensing.Count}, "key"},
		"long key":               {&licensing.Meter{Key: strings.Repeat("k", 65), Aggregation: licensing.Count}, "key"},
		"no aggregation":         {&licensing.Meter{Key: "m"}, "aggregation"},
		"unknown aggregation":    {&licensing.Meter{Key: "m", Aggregation: "median"}, "aggregation"},
		"no type":                {&licensing.Feature{Key: "f"}, "type"},
		"static with meter":      {&licensing.Feature{Key: "f", Type: licensing.Static, Meter: "m"}, "meter"},
		"boolean with meter":     {&licensing.Feature{Key: "f", Type: licensing.Boolean, Meter: "m"}, "meter"},
		"metered without meter":  {&licensing.Feature{Key: "f", Type: licensing.Metered}, "meter"},
		"no endpoints":           {upstream(), "endpoints"},
		"relative endpoint":      {upstream("/x"), "endpoints[0]"},
		"endpoint without host":  {upstream("http://"), "endpoints[0]"},
		"endpoint of ftp":        {upstream("ftp://h"), "endpoints[0]"},
		"endpoint with user":     {upstream("http://u:p@h"), "endpoints[0]"},
		"endpoint with query":    {upstream("http://h?x"), "endpoints[0]"},
		"endpoint with ?":        {upstream("http://h?"), "endpoints[0]"},
		"endpoint with #":        {upstream("http://h#"), "endpoints[0]"},
		"endpoint with path":     {upstream("http://h/x"), "endpoints[0]"},
		"endpoint with port 0":   {upstream("http://h:0"), "endpoints[0]"},
		"endpoint with big port": {upstream("http://h:65536"), "endpoints[0]"},
		"endpoint without port":  {upstream("http://h:"), "endpoints[0]"},
		"endpoint twice":         {upstream("http://h", "http://h"), "endpoints[1]"},
		"no service":             {route(func(r *licensing.Route) { r.Service = "" }), "service"},
		"no path":                {route(func(r *licensing.Route) { r.Match.Path = "" }), "match.path"},
		"dot segment":            {route(func(r *licensing.Route) { r.Match.Path = "/a/../b" }), "match.path"},
		"star inside":            {route(func(r *licensing.Route) { r.Match.Path = "/a/*/b" }), "match.path"},
		"host with port":         {route(func(r *licensing.Route) { r.Match.Host = "h:80" }), "match.host"},
		"host with space":        {route(func(r *licensing.Route) { r.Match.Host = "a b" }), "match.host"},
		"empty label":            {route(func(r *licensing.Route) { r.Match.Host = "a..b" }), "match.host"},
		"no policy":              {route(func(r *licensing.Route) { r.OnStale = "open" }), "on_stale"},
		"lower-case method":      {route(func(r *licensing.Route) { r.Match.Methods = []string{"get"} }), "match.methods[0]"},
		"method twice":           {route(func(r *licensing.Route) { r.Match.Methods = []string{"GET", "GET"} }), "match.methods[1]"},
		"feature twice":          {route(func(r *licensing.Route) { r.Requires = []string{"f", "f"} }), "requires[1]"},
		"negative cost":          {route(func(r *licensing.Route) { r.Cost = &licensing.RouteCost{Fixed: -1} }), "cost.fixed"},
		"huge cost":              {route(func(r *licensing.Route) { r.Cost = &licensing.RouteCost{Fixed: math.MaxInt64} }), "cost.fixed"},
		"cost without meter": {route(func(r *licensing.Route) {
			r.Meter, r.Cost = "", &licensing.RouteCost{Fixed: 1}
		}), "cost"},
		"negative quota":       {quota(licensing.Quota{Limit: -1, Period: licensing.Day}), "entitlements[0].quota.limit"},
		"huge quota":           {quota(licensing.Quota{Limit: math.MaxInt64, Period: licensing.Day}), "entitlements[0].quota.limit"},
		"no period":            {quota(licensing.Quota{Limit: 1}), "entitlements[0].quota.period"},
		"unknown period":       {quota(licensing.Quota{Limit: 1, Period: "decade"}), "entitlements[0].quota.period"},
		"unknown mode":         {quota(licensing.Quota{Limit: 1, Period: licensing.Day, Mode: "firm"}), "entitlements[0].quota.mode"},
		"limit 0":              {limit(func(l *licensing.RateLimit) { l.Limit = 0 }), "rate_limits[0].limit"},
		"negative limit":       {limit(func(l *licensing.RateLimit) { l.Limit = -5 }), "rate_limits[0].limit"},
		"huge limit":           {limit(func(l *licensing.RateLimit) { l.Limit = math.MaxInt64 }), "rate_limits[0].limit"},
		"per 0":                {limit(func(l *licensing.RateLimit) { l.Per = 0 }), "rate_limits[0].per"},
		"per of a microsecond": {limit(func(l *licensing.RateLimit) { l.Per = time.Microsecond }), "rate_limits[0].per"},
		"per of 2 years":       {limit(func(l *licensing.RateLimit) { l.Per = 2 * 366 * 24 * time.Hour }), "rate_limits[0].per"},
		"negative burst":       {limit(func(l *licensing.RateLimit) { l.Burst = -1 }), "rate_limits[0].burst"},
		"unknown scope":        {limit(func(l *licensing.RateLimit) { l.Scope = "planet" }), "rate_limits[0].scope"},
		"limit twice": {&licensing.PlanVersion{Plan: "p", RateLimits: []licensing.RateLimit{
			{Key: "l", Limit: 1, Per: time.Second}, {Key: "l", Limit: 2, Per: time.Second},
		}}, "rate_limits[1].key"},
		"17 limits": {&licensing.PlanVersion{Plan: "p", RateLimits: make([]licensing.RateLimit, 17)}, "rate_limits"},
		"entitlement twice": {&licensing.PlanVersion{Plan: "p", Entitlements: []licensing.Entitlement{
			{Feature: "f"}, {Feature: "f"},
		}}, "entitlements[1].feature"},
		"unknown kind":        {card("stairstep", "1", "USD"), "rate_cards[0].kind"},
		"negative amount":     {card("flat", "-1", "USD"), "rate_cards[0].amount"},
		"amount of a comma":   {card("flat", "1,00", "USD"), "rate_cards[0].amount"},
		"exponent":            {card("flat", "1e3", "USD"), "rate_cards[0].amount"},
		"13 digits":           {card("flat", "1.0000000000001", "USD"), "rate_cards[0].amount"},
		"16 digits":           {card("flat", "1234567890123456", "USD"), "rate_cards[0].amount"},
		"no such currency":    {card("flat", "1", "XYZ"), "rate_cards[0].currency"},
		"point at the end":    {card("flat", "1.", "USD"), "rate_cards[0].amount"},
		"lower-case currency": {card("flat", "1", "usd"), "rate_cards[0].currency"},
		"no customer":         {&licensing.License{Plan: "p"}, "customer"},
		"no plan":             {&licensing.License{Customer: "c"}, "plan"},
		"ends before start":   {&licensing.License{Customer: "c", Plan: "p", StartsAt: now, EndsAt: now.Add(-1)}, "ends_at"},
		"ends at start":       {&licensing.License{Customer: "c", Plan: "p", StartsAt: now, EndsAt: now}, "ends_at"},
		"year 10000":          {&licensing.License{Customer: "c", Plan: "p", EndsAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "ends_at"},
		"year 1":              {&licensing.License{Customer: "c", Plan: "p", Anchor: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)}, "anchor"},
		"no license":          {&licensing.APIKey{}, "license"},
		"no role":             {&licensing.Token{}, "role"},
		"unknown role":        {&licensing.Token{Role: "root"}, "role"},
	} {
		err := c.object.Validate()
		if licensing.CodeOf(err) != licensing.InvalidArgument || field(err) != c.field {
			t.Errorf("%s: got %v (field %q), want invalid_argument at %q", name, err, field(err), c.field)
		}
	}
}

func TestValidate_TakesGoodInput(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]validated{
		"zone":           &licensing.Customer{ExternalID: "ACME 1", TimeZone: "America/Argentina/Buenos_Aires"},
		"longest key":    &licensing.Meter{Key: strings.Repeat("k", 64), Aggregation: licensing.Sum},
		"IPv6 endpoint":  &licensing.Upstream{Key: "s", Endpoints: []string{"https://[::1]:8443", "http://h/"}},
		"IPv6 host":      &licensing.Route{Key: "r", Service: "s", Match: licensing.RouteMatch{Host: "[::1]", Path: "/"}},
		"any host, path": &licensing.Route{Key: "r", Service: "s", Match: licensing.RouteMatch{Path: "/*"}},
		"quota of none":  &licensing.PlanVersion{Plan: "p", Entitlements: []licensing.Entitlement{{Feature: "f", Quota: &licensing.Quota{Period: licensing.Lifetime}}}},
		"end alone":      &licensing.License{Customer: "c", Plan: "p", EndsAt: time.Now()},
	} {
		if err := v.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The status is what a node would find, in its order: what people ended for good, then dates, then a suspension.
func TestStatusAt_FollowsDecisionAndDates(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := start.Add(time.Hour)
	for _, c := range []struct {
		decided licensing.LicenseStatus
		now     time.Time
		want    licensing.LicenseStatus
	}{
		{licensing.Active, start.Add(-1), licensing.Scheduled},
		{licensing.Active, start, licensing.Active},
		{licensing.Active, end.Add(-1), licensing.Active},
		{licensing.Active, end, licensing.Expired},
		{licensing.Suspended, start.Add(-1), licensing.Scheduled},
		{licensing.Suspended, start, licensing.Suspended},
		{licensing.Suspended, end, licensing.Expired},
		{licensing.Canceled, start.Add(-1), licensing.Canceled},
		{licensing.Canceled, end, licensing.Canceled},
		{licensing.Revoked, end, licensing.Revoked},
	} {
		l := licensing.License{Decided: c.decided, StartsAt: start, EndsAt: end}
		if got := l.StatusAt(c.now); got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.decided, c.now, got, c.want)
		}
	}
}
