package licensing_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/internal/catalog"
	"tollgate/controlplane/internal/licensing"
)

// text draws what YAML could take for something else, too.
func text(t *rapid.T, name string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "true", "no", "null", "~", "1", "1e3", "0x10", ".inf", "- a", "a: b", "# no", "'", `"`, "2026-01-01", " x ", "é\u2028", "<<", "!!int 5", "&a", "*a", "{", "|", ">"}),
		rapid.StringMatching(`[ -~]{0,30}`),
	).Draw(t, name)
}

func decimal(t *rapid.T, name string) string {
	return rapid.StringMatching(`[0-9]{1,15}(\.[0-9]{1,12})?`).Draw(t, name)
}

// randomPlan draws what a plan may say of the features that the test has made.
func randomPlan(t *rapid.T, key string) licensing.CatalogPlan {
	units := rapid.Int64Range(0, licensing.MaxQuota)
	p := licensing.CatalogPlan{Key: key, DisplayName: text(t, "name"), TrialDays: rapid.IntRange(0, 366).Draw(t, "trial")}
	if rapid.Bool().Draw(t, "switch") {
		p.Entitlements = append(p.Entitlements, licensing.Entitlement{Feature: "reports", Enabled: rapid.Bool().Draw(t, "on")})
	}
	if rapid.Bool().Draw(t, "static") {
		v := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) licensing.Value {
				return licensing.Value{Kind: licensing.TextValue, Text: text(t, "text")}
			}),
			rapid.Map(rapid.Bool(), func(b bool) licensing.Value { return licensing.Value{Kind: licensing.BoolValue, Bool: b} }),
			rapid.Map(rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) })),
				func(n float64) licensing.Value { return licensing.Value{Kind: licensing.NumberValue, Number: n} }),
		).Draw(t, "value")
		p.Entitlements = append(p.Entitlements, licensing.Entitlement{Feature: "seats", Value: v})
	}
	for _, metered := range []string{"calls", "gigabytes"} {
		if !rapid.Bool().Draw(t, metered) {
			continue
		}
		e := licensing.Entitlement{Feature: metered}
		if rapid.Bool().Draw(t, "quota") {
			e.Quota = &licensing.Quota{Limit: units.Draw(t, "limit"), Period: rapid.SampledFrom(licensing.Periods()).Draw(t, "period"), Mode: licensing.Soft}
			if metered == "calls" && rapid.Bool().Draw(t, "hard") {
				e.Quota.Mode = licensing.Hard
				if e.Quota.Period != licensing.Lifetime {
					e.Quota.Rollover = units.Draw(t, "rollover")
				}
			}
		}
		p.Entitlements = append(p.Entitlements, e)
		p.RateCards = append(p.RateCards, randomCard(t, metered))
	}
	if rapid.Bool().Draw(t, "rate") {
		p.RateLimits = append(p.RateLimits, licensing.RateLimit{
			Key: "r", Limit: rapid.Int64Range(1, licensing.MaxRate).Draw(t, "rate limit"),
			Per: time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(366*24*time.Hour)).Draw(t, "per")), Burst: rapid.Int64Range(0, licensing.MaxRate).Draw(t, "burst"),
		})
	}
	return p
}

func randomCard(t *rapid.T, of string) licensing.RateCard {
	r := licensing.RateCard{
		Key: "of-" + of, Feature: of, Currency: "JPY", Included: rapid.Int64Range(0, 1000).Draw(t, "included"),
		Kind: rapid.SampledFrom([]licensing.CardKind{licensing.Flat, licensing.PerUnit, licensing.Package, licensing.Graduated, licensing.Volume}).Draw(t, "kind"),
	}
	switch r.Kind {
	case licensing.Flat:
		r.Feature, r.Included, r.Amount = "", 0, decimal(t, "amount")
	case licensing.PerUnit, licensing.Package:
		r.Amount, r.UnitSize = decimal(t, "amount"), rapid.Int64Range(1, 1000).Draw(t, "size")
	case licensing.Graduated, licensing.Volume:
		var upTo int64
		for range rapid.IntRange(0, 3).Draw(t, "tiers") {
			upTo += rapid.Int64Range(1, 1000).Draw(t, "step")
			r.Tiers = append(r.Tiers, licensing.Tier{UpTo: upTo, UnitPrice: decimal(t, "unit price")})
		}
		r.Tiers = append(r.Tiers, licensing.Tier{FlatPrice: decimal(t, "flat price")})
	}
	return r
}

// randomAddOn draws what an add-on may say of the same.
func randomAddOn(t *rapid.T, key string) licensing.AddOn {
	p := randomPlan(t, key)
	a := licensing.AddOn{Key: key, DisplayName: p.DisplayName, Entitlements: p.Entitlements, RateCards: p.RateCards}
	for i := range a.Entitlements {
		a.Entitlements[i].Enabled = true
	}
	return a
}

// Whatever the catalog says: applied twice it changes nothing, and what is exported changes nothing where it is applied,
// pruned or not.
func TestExport_AppliedChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(priced())
	// What a file cannot name stays in spite of a prune.
	if _, _, err := f.CreatePlan(ctx, licensing.Plan{Key: "planned"}); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		wanted := licensing.Catalog{Plans: []licensing.CatalogPlan{randomPlan(t, "free"), randomPlan(t, "pro")}, AddOns: []licensing.AddOn{randomAddOn(t, "extra"), randomAddOn(t, "more")}}
		if _, _, err := f.ApplyCatalog(ctx, wanted, false, licensing.MigrationNow); err != nil {
			t.Fatalf("%+v: %v", wanted, err)
		}
		if again, _, err := f.ApplyCatalog(ctx, wanted, false, licensing.MigrationNow); err != nil || len(again) != 0 {
			t.Fatalf("applied again: %v, %v", again, err)
		}
		exported, err := f.ExportCatalog(ctx)
		if err != nil {
			t.Fatal(err)
		}
		file, err := catalog.Write(&exported)
		if err != nil {
			t.Fatal(err)
		}
		read, err := catalog.Parse(file)
		if err != nil {
			t.Fatalf("%s\n%v", file, err)
		}
		for _, prune := range []bool{false, true} {
			read.Prune = prune
			if changes, _, err := f.ApplyCatalog(ctx, read, true, licensing.MigrationNow); err != nil || len(changes) != 0 {
				t.Fatalf("prune %t: %v, %v\n%s", prune, changes, err, file)
			}
		}
	})
}

// A prune archives what the file does not name, what refers to others first; customers and licences never.
func TestPrune_ArchivesWhatTheFileDoesNotName(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := priced()
	c.Plans = append(c.Plans, licensing.CatalogPlan{Key: "pro", Entitlements: []licensing.Entitlement{{Feature: "reports", Enabled: true}}})
	f.apply(c)
	f.apply(licensing.Catalog{AddOns: []licensing.AddOn{{Key: "extra", Entitlements: []licensing.Entitlement{{Feature: "reports", Enabled: true}}}}})
	l := f.license("a")
	rest := licensing.Catalog{Plans: []licensing.CatalogPlan{{Key: "free"}}, Prune: true}
	dry, _, err := f.ApplyCatalog(ctx, rest, true, licensing.MigrationNow)
	if err != nil {
		t.Fatal(err)
	}
	got := f.apply(rest)
	if !slices.Equal(dry, got) {
		t.Errorf("dry run said %v, done %v", dry, got)
	}
	var archived []string
	for _, change := range got {
		if change.Action == "archive" {
			archived = append(archived, fmt.Sprint(change.Kind, " ", change.Key))
		}
	}
	want := []string{
		"route hello", "route reports", "service sample", "plan pro", "add_on extra", "feature calls", "feature gigabytes", "feature reports", "feature seats",
		"meter requests", "meter storage",
	}
	if !slices.Equal(archived, want) {
		t.Errorf("archived %q", archived)
	}
	if got, err := f.GetLicense(ctx, l.ID); err != nil || got.Status != licensing.Trialing || got.PlanVersion != 2 {
		t.Errorf("licence is %+v, %v", got, err)
	}
	if again := f.apply(rest); len(again) != 0 {
		t.Errorf("again: %v", again)
	}
	f.chain()
}

// One object in use refuses the whole apply, and is named with what uses it.
func TestPrune_IsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(priced())
	l := f.license("a")
	before := f.epoch()
	_, _, err := f.ApplyCatalog(ctx, licensing.Catalog{Prune: true}, false, licensing.MigrationNow)
	wantCode(t, err, licensing.FailedPrecondition, "plan", "free", l.ID)
	if field(err) != "prune" {
		t.Errorf("field %q", field(err))
	}
	if r, err := f.GetRoute(ctx, "hello"); err != nil || r.Archived() || f.epoch() != before {
		t.Errorf("route %+v, %v", r, err)
	}
	// New licences only: the old version, with its licence, still grants the feature.
	c := priced()
	c.Prune, c.Features = true, c.Features[:2]
	c.Meters = c.Meters[:1]
	c.Plans[0].Entitlements, c.Plans[0].RateCards = c.Plans[0].Entitlements[:1], c.Plans[0].RateCards[:2]
	_, _, err = f.ApplyCatalog(ctx, c, false, licensing.MigrationNewOnly)
	wantCode(t, err, licensing.FailedPrecondition, "free@1")
	f.apply(c)
}

func TestValue_IsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := licensing.Value{Kind: licensing.TextValue, Text: text(t, "text")}
		if rapid.Bool().Draw(t, "number") {
			v = licensing.Value{Kind: licensing.NumberValue, Number: rapid.Float64().Draw(t, "n")}
		}
		got, err := licensing.ParseValue(v.JSON())
		if err != nil || got != v {
			t.Fatalf("%+v became %+v, %v", v, got, err)
		}
	})
	for _, bad := range []string{"null", "[1]", "{}", "1 2", "x", `"a`} {
		if v, err := licensing.ParseValue(bad); err == nil {
			t.Errorf("%s is %+v", bad, v)
		}
	}
}
