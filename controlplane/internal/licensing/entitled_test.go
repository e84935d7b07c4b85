package licensing_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/internal/licensing"
)

// Each value says where it comes from, and an override stands before the plan.
func TestEntitlements_SayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := sample(1000)
	c.Plans[0].Entitlements = append(c.Plans[0].Entitlements, licensing.Entitlement{Feature: "reports", Enabled: true})
	f.apply(c)
	l := f.license("a")
	now := f.clock.Now()
	show := func(at time.Time) (out []string) {
		t.Helper()
		e, err := f.GetEntitlements(ctx, l.ID, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range e.Features {
			out = append(out, fmt.Sprintf("%s %t limit %d of %s until %s", x.Feature.Key, x.Granted, x.Limit, x.Source, until(x.ExpiresAt)))
		}
		for _, r := range e.RateLimits {
			out = append(out, fmt.Sprintf("%s %d of %s", r.Key, r.Limit, r.Source))
		}
		return out
	}
	want := []string{
		"calls true limit 1000 of plan_version:free@1 until never", "reports true limit 0 of plan_version:free@1 until never",
		"free-rate 5 of plan_version:free@1",
	}
	if got := show(time.Time{}); !slices.Equal(got, want) {
		t.Errorf("the plan alone: %q", got)
	}
	o, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, Feature: "calls", Value: number(7), Reason: "less", EndsAt: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	off, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, Feature: "reports", Value: licensing.Value{Kind: licensing.BoolValue}, Reason: "abuse"})
	if err != nil {
		t.Fatal(err)
	}
	rate, _, err := f.CreateOverride(ctx, licensing.Override{License: l.ID, RateLimit: &licensing.RateLimit{Key: "free-rate", Limit: 9, Per: time.Second}, Reason: "more"})
	if err != nil {
		t.Fatal(err)
	}
	g, _, err := f.CreateGrant(ctx, licensing.Grant{License: l.ID, Feature: "calls", Units: 50, ExpiresAt: now.Add(30 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		"calls true limit 57 of override:" + o.ID + " until 11:00", "reports false limit 0 of override:" + off.ID + " until never",
		"free-rate 9 of override:" + rate.ID,
	}
	if got := show(time.Time{}); !slices.Equal(got, want) {
		t.Errorf("with overrides and a grant: %q, want %q", got, want)
	}
	want[0] = "calls true limit 7 of override:" + o.ID + " until 11:00"
	if got := show(now.Add(30 * time.Minute)); !slices.Equal(got, want) {
		t.Errorf("when the grant %s has expired: %q, want %q", g.ID, got, want)
	}
	want[0] = "calls true limit 1000 of plan_version:free@1 until never"
	if got := show(now.Add(time.Hour)); !slices.Equal(got, want) {
		t.Errorf("when the override has ended: %q, want %q", got, want)
	}
	_, err = f.GetEntitlements(ctx, "lic_none", time.Time{})
	wantCode(t, err, licensing.NotFound)
}

func until(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Format("15:04")
}

// Lower priorities burn first, then what expires sooner, then what is older.
func TestBurnOrder_PriorityThenExpiryThenAge(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var grants []licensing.Grant
		for i := range rapid.IntRange(0, 12).Draw(t, "grants") {
			g := licensing.Grant{ID: fmt.Sprintf("grt_%02d", i), Units: 1, Priority: rapid.Int32Range(-2, 2).Draw(t, "priority")}
			if days := rapid.IntRange(0, 3).Draw(t, "days"); days > 0 {
				g.ExpiresAt = at.AddDate(0, 0, days)
			}
			grants = append(grants, g)
		}
		ordered, before := licensing.BurnOrder(grants)
		for i, g := range ordered {
			if (i < before) != (g.Priority < 0) {
				t.Fatalf("%d of priority %d burns before the quota: %t", i, g.Priority, i < before)
			}
			if i == 0 {
				continue
			}
			p := ordered[i-1]
			sooner := !p.ExpiresAt.IsZero() && (g.ExpiresAt.IsZero() || p.ExpiresAt.Before(g.ExpiresAt))
			same := p.ExpiresAt.Equal(g.ExpiresAt)
			if inOrder := p.Priority < g.Priority || p.Priority == g.Priority && (sooner || same && p.ID < g.ID); !inOrder {
				t.Fatalf("%+v burns before %+v", p, g)
			}
		}
		slices.SortFunc(ordered, func(a, b licensing.Grant) int { return int(a.ID[4])*10 + int(a.ID[5]) - int(b.ID[4])*10 - int(b.ID[5]) })
		if !slices.EqualFunc(ordered, grants, func(a, b licensing.Grant) bool { return a.ID == b.ID }) {
			t.Fatal("a grant was lost")
		}
	})
}
