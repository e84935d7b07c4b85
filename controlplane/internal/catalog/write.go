package catalog

import (
	"bytes"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/internal/licensing"
)

// Write is the file of a catalog: Parse reads the same catalog from it, but for what stands there as a default.
func Write(c *licensing.Catalog) ([]byte, error) {
	var root mapping
	root.add("version", whole(1))
	root.list("meters", items(c.Meters, func(m *licensing.Meter, n *mapping) {
		n.text("key", m.Key)
		n.text("name", m.DisplayName)
		n.text("aggregation", string(m.Aggregation))
	}))
	root.list("features", items(c.Features, func(f *licensing.Feature, n *mapping) {
		n.text("key", f.Key)
		n.text("name", f.DisplayName)
		n.text("type", string(f.Type))
		n.text("meter", f.Meter)
	}))
	switches := map[string]bool{}
	for _, f := range c.Features {
		switches[f.Key] = f.Type == licensing.Boolean
	}
	root.list("plans", items(c.Plans, func(p *licensing.CatalogPlan, n *mapping) { writePlan(p, switches, n) }))
	root.list("addons", items(c.AddOns, func(a *licensing.AddOn, n *mapping) {
		n.text("key", a.Key)
		n.text("name", a.DisplayName)
		writeEntitlements(a.Entitlements, switches, n)
		writeRateCards(a.RateCards, n)
	}))
	root.list("services", items(c.Services, func(u *licensing.Upstream, n *mapping) {
		n.text("key", u.Key)
		n.text("name", u.DisplayName)
		n.list("endpoints", texts(u.Endpoints))
	}))
	root.list("routes", items(c.Routes, writeRoute))
	root.list("terms", items(c.Terms, writeTerm))
	root.list("issuers", items(c.Issuers, writeIssuer))
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root.node()); err != nil {
		return nil, fmt.Errorf("write catalog file: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write catalog file: %w", err)
	}
	return out.Bytes(), nil
}

func writePlan(p *licensing.CatalogPlan, switches map[string]bool, n *mapping) {
	n.text("key", p.Key)
	n.text("name", p.DisplayName)
	n.number("trial_days", int64(p.TrialDays))
	writeEntitlements(p.Entitlements, switches, n)
	n.list("rate_limits", items(p.RateLimits, func(r *licensing.RateLimit, n *mapping) {
		n.text("key", r.Key)
		n.number("limit", r.Limit)
		n.text("per", r.Per.String())
		n.number("burst", r.Burst)
		n.text("scope", string(r.Scope))
	}))
	writeRateCards(p.RateCards, n)
}

// writeEntitlements: switches are the features that are on or off, and not just named.
func writeEntitlements(all []licensing.Entitlement, switches map[string]bool, n *mapping) {
	n.list("entitlements", items(all, func(e *licensing.Entitlement, n *mapping) {
		writeEntitlement(e, n)
		if switches[e.Feature] {
			n.add("enabled", boolean(e.Enabled))
		}
	}))
}

func writeRateCards(all []licensing.RateCard, n *mapping) {
	n.list("rate_cards", items(all, func(r *licensing.RateCard, n *mapping) {
		n.text("key", r.Key)
		n.text("kind", string(r.Kind))
		n.text("feature", r.Feature)
		n.text("amount", r.Amount)
		n.text("currency", r.Currency)
		n.number("unit_size", r.UnitSize)
		n.number("included", r.Included)
		n.list("tiers", items(r.Tiers, func(t *licensing.Tier, n *mapping) {
			n.number("up_to", t.UpTo)
			n.text("unit_price", t.UnitPrice)
			n.text("flat_price", t.FlatPrice)
		}))
	}))
}

func writeEntitlement(e *licensing.Entitlement, n *mapping) {
	n.text("feature", e.Feature)
	switch v := e.Value; {
	case v.Kind == licensing.TextValue:
		n.add("value", scalar(v.Text))
	case v.Kind == licensing.NumberValue:
		n.add("value", number64(v.Number))
	case v.Kind == licensing.BoolValue:
		n.add("value", boolean(v.Bool))
	case e.Quota != nil:
		var q mapping
		q.add("limit", whole(e.Quota.Limit)) // A quota of 0 is one.
		q.text("period", string(e.Quota.Period))
		q.text("mode", string(e.Quota.Mode))
		q.number("rollover", e.Quota.Rollover)
		n.add("quota", q.node())
	}
}

func writeRoute(r *licensing.Route, n *mapping) {
	n.text("key", r.Key)
	n.text("name", r.DisplayName)
	n.text("service", r.Service)
	var match mapping
	match.text("host", r.Match.Host)
	match.text("path", r.Match.Path)
	match.list("methods", texts(r.Match.Methods))
	n.add("match", match.node())
	n.list("requires", texts(r.Requires))
	n.text("meter", r.Meter)
	if r.Cost != nil {
		var cost mapping
		cost.add("fixed", whole(r.Cost.Fixed))
		n.add("cost", cost.node())
	}
	if !r.BillsOpenIntents() {
		n.add("bill_open_intents", boolean(false))
	}
	if p := r.StalePolicy(); p != licensing.StaleBlock {
		n.text("on_stale", string(p))
	}
}

// mapping is a YAML mapping in the order in which it is made.
type mapping struct{ content []*yaml.Node }

func (m *mapping) node() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Content: m.content} }

func (m *mapping) add(key string, v *yaml.Node) { m.content = append(m.content, scalar(key), v) }

// text, number and list leave out what is empty.
func (m *mapping) text(key, s string) {
	if s != "" {
		m.add(key, scalar(s))
	}
}

func (m *mapping) number(key string, n int64) {
	if n != 0 {
		m.add(key, whole(n))
	}
}

func (m *mapping) list(key string, of []*yaml.Node) {
	if len(of) > 0 {
		m.add(key, &yaml.Node{Kind: yaml.SequenceNode, Content: of})
	}
}

func items[T any](of []T, write func(*T, *mapping)) []*yaml.Node {
	all := make([]*yaml.Node, len(of))
	for i := range of {
		var m mapping
		write(&of[i], &m)
		all[i] = m.node()
	}
	return all
}

func texts(of []string) []*yaml.Node {
	all := make([]*yaml.Node, len(of))
	for i, s := range of {
		all[i] = scalar(s)
	}
	return all
}

// scalar is a string; the encoder quotes one that would read as something else.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func whole(n int64) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(n, 10)}
}

func boolean(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}

// number64 writes whole numbers as such, where they are read back exactly.
func number64(f float64) *yaml.Node {
	if f == float64(int64(f)) && f <= exact && f >= -exact {
		return whole(int64(f))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: strconv.FormatFloat(f, 'e', -1, 64)}
}
