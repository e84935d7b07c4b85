package licensing

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/dataplane/decision"
)

// Upstream is what the API calls a service: where requests are forwarded to.
type Upstream struct {
	Key         string
	DisplayName string
	Endpoints   []string // Absolute http or https URLs without path, used in turn.
	Meta
}

// Validate checks what callers set.
func (u *Upstream) Validate() error {
	if err := checkKey("key", u.Key); err != nil {
		return err
	}
	if err := checkText("display_name", u.DisplayName, 200); err != nil {
		return err
	}
	if len(u.Endpoints) == 0 {
		return invalid("endpoints", "needs at least one URL")
	}
	if len(u.Endpoints) > 64 {
		return invalid("endpoints", "has more than 64 items")
	}
	for i, e := range u.Endpoints {
		path := "endpoints[" + strconv.Itoa(i) + "]"
		if err := checkEndpoint(path, e); err != nil {
			return err
		}
		if slices.Contains(u.Endpoints[:i], e) {
			return invalid(path, "%q is there twice", e)
		}
	}
	return nil
}

func checkEndpoint(field, endpoint string) error {
	if err := checkText(field, endpoint, 500); err != nil {
		return err
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return invalid(field, "%q is not an absolute http or https URL", endpoint)
	case u.User != nil:
		return invalid(field, "has user information: an endpoint carries no credential")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(endpoint, "#"):
		return invalid(field, "%q has a query or fragment", endpoint)
	case u.Path != "" && u.Path != "/":
		return invalid(field, "%q has a path: requests keep their own", endpoint)
	}
	if strings.HasSuffix(u.Host, ":") {
		return invalid(field, "%q has an empty port", endpoint)
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return invalid(field, "%q has a port that is not from 1 to 65535", endpoint)
		}
	}
	return nil
}

func (u *Upstream) normalize() {
	u.Endpoints = slices.Clone(u.Endpoints)
	for i, e := range u.Endpoints {
		u.Endpoints[i] = strings.TrimSuffix(e, "/")
	}
}

func (u *Upstream) sameRule(o *Upstream) bool { return slices.Equal(u.Endpoints, o.Endpoints) }

func (u *Upstream) sameAs(o *Upstream) bool { return u.DisplayName == o.DisplayName && u.sameRule(o) }

// Route is a match with what it requires and costs.
type Route struct {
	Key         string
	DisplayName string
	Service     string // The upstream's key.
	Match       RouteMatch
	Requires    []string   // Keys of features that the licence must have.
	Meter       string     // Meter that requests count on; empty: free of charge.
	Cost        *RouteCost // nil: 1 where there is a meter.
	// BillOpenIntents: whether an intent that never settled is billed. nil: true.
	BillOpenIntents *bool
	OnStale         OnStale // Empty: StaleBlock.
	Meta
}

// OnStale is what a route does on nodes that have not heard for long that their rules are current.
type OnStale string

// The policies.
const (
	// StaleBlock: it is served until the fleet's block age.
	StaleBlock OnStale = "block"
	// StaleServe: it is served by the last rules, however old they are.
	StaleServe OnStale = "serve"
	// StaleBlockAtGrace: it is served until the fleet's grace age.
	StaleBlockAtGrace OnStale = "block_at_grace"
)

var stalePolicies = map[OnStale]decision.OnStale{
	StaleBlock: decision.StaleBlock, StaleServe: decision.StaleServe, StaleBlockAtGrace: decision.StaleBlockAtGrace,
}

// RouteMatch says which requests a route takes: exact host, then longest literal prefix, then method decides.
type RouteMatch struct {
	Host    string   // Exact, without port; empty matches any.
	Path    string   // {x} is one segment, a final /* any rest or none.
	Methods []string // Empty matches any.
}

// RouteCost is what a request takes of the route's meter.
type RouteCost struct{ Fixed int64 }

// Validate checks what callers set, but not that what it refers to exists.
func (r *Route) Validate() error {
	if err := checkKey("key", r.Key); err != nil {
		return err
	}
	if err := checkText("display_name", r.DisplayName, 200); err != nil {
		return err
	}
	if err := checkKey("service", r.Service); err != nil {
		return err
	}
	if err := at("match", r.Match.Validate()); err != nil {
		return err
	}
	if len(r.Requires) > 32 {
		return invalid("requires", "has more than 32 items")
	}
	for i, f := range r.Requires {
		path := "requires[" + strconv.Itoa(i) + "]"
		if err := checkKey(path, f); err != nil {
			return err
		}
		if slices.Contains(r.Requires[:i], f) {
			return invalid(path, "%q is there twice", f)
		}
	}
	if r.Meter != "" {
		if err := checkKey("meter", r.Meter); err != nil {
			return err
		}
	}
	if _, ok := stalePolicies[r.StalePolicy()]; !ok {
		return invalid("on_stale", "%q is not block, serve or block_at_grace", r.OnStale)
	}
	if r.Cost == nil {
		return nil
	}
	if r.Cost.Fixed < 0 || r.Cost.Fixed > MaxCost {
		return invalid("cost.fixed", "is %d: has to be from 0 to %d", r.Cost.Fixed, MaxCost)
	}
	if r.Cost.Fixed > 0 && r.Meter == "" {
		return invalid("cost", "a route without a meter costs nothing")
	}
	return nil
}

// Validate checks the match for itself; that no other route ties with it is checked against all routes.
func (m *RouteMatch) Validate() error {
	if err := checkHost("host", m.Host); err != nil {
		return err
	}
	if err := checkText("path", m.Path, 1000); err != nil {
		return err
	}
	if _, err := decision.ParsePattern(m.Path); err != nil {
		return invalid("path", "%s", err)
	}
	if len(m.Methods) > 16 {
		return invalid("methods", "has more than 16 items")
	}
	for i, method := range m.Methods {
		path := "methods[" + strconv.Itoa(i) + "]"
		if !isMethod(method) {
			return invalid(path, "%q is not a method like %s", method, http.MethodGet)
		}
		if slices.Contains(m.Methods[:i], method) {
			return invalid(path, "%q is there twice", method)
		}
	}
	return nil
}

func (r *Route) normalize() {
	r.Match.Host = strings.ToLower(r.Match.Host)
	switch {
	case r.Meter == "":
		r.Cost = nil
	case r.Cost == nil:
		r.Cost = &RouteCost{Fixed: 1}
	}
	if r.BillOpenIntents == nil {
		r.BillOpenIntents = new(true)
	}
	r.OnStale = r.StalePolicy()
}

// StalePolicy is OnStale with its default.
func (r *Route) StalePolicy() OnStale { return cmp.Or(r.OnStale, StaleBlock) }

// Units is what a request costs.
func (r *Route) Units() int64 {
	switch {
	case r.Meter == "":
		return 0
	case r.Cost == nil:
		return 1
	default:
		return r.Cost.Fixed
	}
}

// BillsOpenIntents is BillOpenIntents with its default.
func (r *Route) BillsOpenIntents() bool { return r.BillOpenIntents == nil || *r.BillOpenIntents }

func (r *Route) sameRule(o *Route) bool {
	return r.Service == o.Service && r.Match.Host == o.Match.Host && r.Match.Path == o.Match.Path &&
		slices.Equal(r.Match.Methods, o.Match.Methods) && slices.Equal(r.Requires, o.Requires) &&
		r.Meter == o.Meter && r.Units() == o.Units() && r.BillsOpenIntents() == o.BillsOpenIntents() &&
		r.StalePolicy() == o.StalePolicy()
}

func (r *Route) sameAs(o *Route) bool { return r.DisplayName == o.DisplayName && r.sameRule(o) }

// rule is the route as the heart sees it.
func (r *Route) rule() *decision.Route {
	return &decision.Route{
		Key: r.Key, Service: r.Service, Host: r.Match.Host, Path: r.Match.Path, Methods: r.Match.Methods,
		Requires: r.Requires, Meter: r.Meter, Cost: r.Units(), BillOpenIntents: r.BillsOpenIntents(),
		OnStale: stalePolicies[r.StalePolicy()],
	}
}
