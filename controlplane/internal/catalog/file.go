package catalog

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/internal/licensing"
)

// file is the file's shape. Sections and keys that are known but not supported yet are nodes, so that the error can say
// so.
type file struct {
	Version  number    `yaml:"version"`
	Meters   []meter   `yaml:"meters"`
	Features []feature `yaml:"features"`
	Plans    []plan    `yaml:"plans"`
	AddOns   []addOn   `yaml:"addons"`
	Services []service `yaml:"services"`
	Routes   []route   `yaml:"routes"`
	Terms    []term    `yaml:"terms"`
	Issuers  []issuer  `yaml:"issuers"`
}

type meter struct {
	Key         string                `yaml:"key"`
	Name        string                `yaml:"name"`
	Aggregation licensing.Aggregation `yaml:"aggregation"`
}

type feature struct {
	Key   string                `yaml:"key"`
	Name  string                `yaml:"name"`
	Type  licensing.FeatureType `yaml:"type"`
	Meter string                `yaml:"meter"`
}

type plan struct {
	Key          string        `yaml:"key"`
	Name         string        `yaml:"name"`
	Entitlements []entitlement `yaml:"entitlements"`
	RateLimits   []rateLimit   `yaml:"rate_limits"`
	RateCards    []rateCard    `yaml:"rate_cards"`
	TrialDays    number        `yaml:"trial_days"`
}

type addOn struct {
	Key          string        `yaml:"key"`
	Name         string        `yaml:"name"`
	Entitlements []entitlement `yaml:"entitlements"`
	RateCards    []rateCard    `yaml:"rate_cards"`
}

type entitlement struct {
	Feature string `yaml:"feature"`
	// Enabled is true where it is left out: to name a feature is to grant it.
	Enabled *bool  `yaml:"enabled"`
	Value   value  `yaml:"value"`
	Quota   *quota `yaml:"quota"`
}

type quota struct {
	Limit         *number             `yaml:"limit"`
	Period        licensing.Period    `yaml:"period"`
	Mode          licensing.QuotaMode `yaml:"mode"`
	Rollover      number              `yaml:"rollover"`
	OnUnavailable yaml.Node           `yaml:"on_unavailable"`
}

type rateLimit struct {
	Key   string          `yaml:"key"`
	Limit number          `yaml:"limit"`
	Per   duration        `yaml:"per"`
	Burst number          `yaml:"burst"`
	Scope licensing.Scope `yaml:"scope"`
}

type rateCard struct {
	Key      string             `yaml:"key"`
	Kind     licensing.CardKind `yaml:"kind"`
	Feature  string             `yaml:"feature"`
	Amount   string             `yaml:"amount"`
	Currency string             `yaml:"currency"`
	UnitSize number             `yaml:"unit_size"`
	Included number             `yaml:"included"`
	Tiers    []tier             `yaml:"tiers"`
}

type tier struct {
	// UpTo is left out of the last tier, which is open.
	UpTo      number `yaml:"up_to"`
	UnitPrice string `yaml:"unit_price"`
	FlatPrice string `yaml:"flat_price"`
}

type service struct {
	Key       string   `yaml:"key"`
	Name      string   `yaml:"name"`
	Endpoints []string `yaml:"endpoints"`
}

type route struct {
	Key             string   `yaml:"key"`
	Name            string   `yaml:"name"`
	Service         string   `yaml:"service"`
	Match           match    `yaml:"match"`
	Requires        []string `yaml:"requires"`
	Meter           string   `yaml:"meter"`
	Cost            *cost    `yaml:"cost"`
	BillOpenIntents *bool    `yaml:"bill_open_intents"`
	OnStale         string   `yaml:"on_stale"`
}

type match struct {
	Host    string   `yaml:"host"`
	Path    string   `yaml:"path"`
	Methods []string `yaml:"methods"`
}

type cost struct {
	Fixed number `yaml:"fixed"`
}

// number is a whole number. The library would cut 1.5 to 1.
type number int64

// UnmarshalYAML implements yaml.Unmarshaler.
func (n *number) UnmarshalYAML(node *yaml.Node) error {
	v, err := strconv.ParseInt(node.Value, 0, 64)
	if err != nil || node.ShortTag() != "!!int" {
		return typeError(node, "is not a whole number")
	}
	*n = number(v)
	return nil
}

// value is a static feature's: text, a number or a bool.
type value licensing.Value

// exact is how far floating point goes without skipping whole numbers.
const exact = 1 << 53

// UnmarshalYAML implements yaml.Unmarshaler.
func (v *value) UnmarshalYAML(node *yaml.Node) error {
	switch tag := node.ShortTag(); {
	case node.Kind != yaml.ScalarNode:
		return typeError(node, "is neither text, a number nor a bool")
	case tag == "!!str":
		*v = value{Kind: licensing.TextValue, Text: node.Value}
	case tag == "!!bool":
		*v = value{Kind: licensing.BoolValue}
		return node.Decode(&v.Bool)
	case tag == "!!int":
		n, err := strconv.ParseInt(node.Value, 0, 64)
		if err != nil || n > exact || n < -exact {
			return typeError(node, "is beyond what a number holds exactly: write it as text")
		}
		*v = value{Kind: licensing.NumberValue, Number: float64(n)}
	case tag == "!!float":
		*v = value{Kind: licensing.NumberValue}
		return node.Decode(&v.Number)
	default:
		return typeError(node, "is neither text, a number nor a bool")
	}
	return nil
}

// duration is Go's form: 500ms, 1s, 1h30m.
type duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *duration) UnmarshalYAML(node *yaml.Node) error {
	v, err := time.ParseDuration(node.Value)
	if err != nil || node.Kind != yaml.ScalarNode {
		return typeError(node, "is not a duration like 500ms, 1s or 1h")
	}
	*d = duration(v)
	return nil
}

func typeError(node *yaml.Node, problem string) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %s %s", node.Line, found(node.ShortTag(), node.Value), problem)}}
}

// check refuses what a later version will read, and what must not be left out.
func (f *file) check() error {
	for _, p := range f.Plans {
		if err := checkEntitlements(fmt.Sprintf("plan %q", p.Key), p.Entitlements); err != nil {
			return err
		}
	}
	for _, a := range f.AddOns {
		if err := checkEntitlements(fmt.Sprintf("add-on %q", a.Key), a.Entitlements); err != nil {
			return err
		}
	}
	return f.checkTerms()
}

func checkEntitlements(of string, all []entitlement) error {
	for _, e := range all {
		if e.Quota == nil {
			continue
		}
		// Left out, it would be a quota of nothing.
		if e.Quota.Limit == nil {
			return wrong("%s: the quota of feature %q has no limit", of, e.Feature)
		}
		if n := &e.Quota.OnUnavailable; !n.IsZero() && n.Value != "deny" {
			return wrong("line %d: on_unavailable: only deny is supported yet", n.Line)
		}
	}
	return nil
}

func (f *file) catalog() licensing.Catalog {
	var c licensing.Catalog
	for _, m := range f.Meters {
		c.Meters = append(c.Meters, licensing.Meter{Key: m.Key, DisplayName: m.Name, Aggregation: m.Aggregation})
	}
	for _, v := range f.Features {
		c.Features = append(c.Features, licensing.Feature{Key: v.Key, DisplayName: v.Name, Type: v.Type, Meter: v.Meter})
	}
	for _, p := range f.Plans {
		c.Plans = append(c.Plans, p.plan())
	}
	for _, a := range f.AddOns {
		c.AddOns = append(c.AddOns, licensing.AddOn{Key: a.Key, DisplayName: a.Name, Entitlements: entitlements(a.Entitlements), RateCards: rateCards(a.RateCards)})
	}
	for _, s := range f.Services {
		c.Services = append(c.Services, licensing.Upstream{Key: s.Key, DisplayName: s.Name, Endpoints: s.Endpoints})
	}
	for _, r := range f.Routes {
		next := licensing.Route{
			Key: r.Key, DisplayName: r.Name, Service: r.Service, Match: licensing.RouteMatch(r.Match), Requires: r.Requires,
			Meter: r.Meter, BillOpenIntents: r.BillOpenIntents, OnStale: licensing.OnStale(r.OnStale),
		}
		if r.Cost != nil {
			next.Cost = &licensing.RouteCost{Fixed: int64(r.Cost.Fixed)}
		}
		c.Routes = append(c.Routes, next)
	}
	for i := range f.Terms {
		c.Terms = append(c.Terms, f.Terms[i].term())
	}
	for i := range f.Issuers {
		c.Issuers = append(c.Issuers, f.Issuers[i].issuer())
	}
	return c
}

func (p *plan) plan() licensing.CatalogPlan {
	out := licensing.CatalogPlan{
		Key: p.Key, DisplayName: p.Name, TrialDays: int(p.TrialDays), Entitlements: entitlements(p.Entitlements), RateCards: rateCards(p.RateCards),
	}
	for _, l := range p.RateLimits {
		out.RateLimits = append(out.RateLimits, licensing.RateLimit{
			Key: l.Key, Limit: int64(l.Limit), Per: time.Duration(l.Per), Burst: int64(l.Burst), Scope: l.Scope,
		})
	}
	return out
}

func entitlements(all []entitlement) (out []licensing.Entitlement) {
	for _, e := range all {
		next := licensing.Entitlement{Feature: e.Feature, Enabled: e.Enabled == nil || *e.Enabled, Value: licensing.Value(e.Value)}
		next.Off = !next.Enabled
		if e.Quota != nil {
			next.Quota = &licensing.Quota{
				Limit: int64(*e.Quota.Limit), Period: e.Quota.Period, Mode: e.Quota.Mode, Rollover: int64(e.Quota.Rollover),
			}
		}
		out = append(out, next)
	}
	return out
}

func rateCards(all []rateCard) (out []licensing.RateCard) {
	for _, r := range all {
		card := licensing.RateCard{
			Key: r.Key, Kind: r.Kind, Feature: r.Feature, Amount: r.Amount, Currency: r.Currency,
			UnitSize: int64(r.UnitSize), Included: int64(r.Included),
		}
		for _, t := range r.Tiers {
			card.Tiers = append(card.Tiers, licensing.Tier{UpTo: int64(t.UpTo), UnitPrice: t.UnitPrice, FlatPrice: t.FlatPrice})
		}
		out = append(out, card)
	}
	return out
}
