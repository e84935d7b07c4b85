package licensing_test

import (
	"testing"

	"pgregory.net/rapid"

	"tollgate/controlplane/internal/licensing"
)

func TestRollover_HandWorked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, carryCap, rolledIn, used, want int64 }{
		{1000, 0, 0, 400, 0},        // No rollover.
		{1000, 500, 0, 400, 500},    // Capped.
		{1000, 500, 0, 700, 300},    // What is left.
		{1000, 500, 500, 1200, 300}, // What was carried in counts.
		{1000, 500, 0, 1000, 0},     // All used.
		{100, 500, 0, 900, 0},       // The limit was lowered: nothing is owed.
		{0, 500, 200, 0, 200},       // A quota of nothing keeps what was carried.
		{licensing.MaxQuota, licensing.MaxQuota, licensing.MaxQuota, 0, licensing.MaxQuota},
	} {
		if got := licensing.Rollover(c.limit, c.carryCap, c.rolledIn, c.used); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// Over many periods: never above the cap, never negative, and no unit comes from nowhere.
func TestRollover_ConservesUnits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.Int64Range(0, licensing.MaxQuota)
		carryCap := units.Draw(t, "cap")
		var granted, used, lapsed, carried int64
		for range rapid.IntRange(1, 20).Draw(t, "periods") {
			limit := units.Draw(t, "limit")
			// A hard quota is never exceeded.
			spent := rapid.Int64Range(0, limit+carried).Draw(t, "used")
			next := licensing.Rollover(limit, carryCap, carried, spent)
			if next < 0 || next > carryCap || next > limit+carried-spent {
				t.Fatalf("limit %d, cap %d, %d carried in, %d used: %d carried on", limit, carryCap, carried, spent, next)
			}
			if carryCap >= limit+carried-spent && next != limit+carried-spent {
				t.Fatalf("units under the cap were lost: limit %d, cap %d, %d carried in, %d used: %d carried on", limit, carryCap, carried, spent, next)
			}
			granted, used, lapsed = granted+limit, used+spent, lapsed+limit+carried-spent-next
			carried = next
		}
		if granted != used+lapsed+carried {
			t.Fatalf("granted %d, used %d, lapsed %d, carried %d", granted, used, lapsed, carried)
		}
	})
}
