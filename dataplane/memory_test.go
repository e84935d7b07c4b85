package dataplane

import "testing"

func TestPercent_BoundsGarbageAndTheNumberOfCollections(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 100, maxGarbage: 100, 2 * maxGarbage: 50, 4 * maxGarbage: 25, 100 * maxGarbage: leastPercent} {
		if got := percent(live); got != want {
			t.Errorf("%d bytes live: %d %%, want %d", live, got, want)
		}
	}
}
