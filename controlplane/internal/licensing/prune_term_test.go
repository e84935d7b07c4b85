package licensing_test

import (
	"fmt"
	"testing"

	"tollgate/controlplane/internal/licensing"
)

// A file may put other terms in the place of all that a subject has room for.
func TestPrune_MakesRoomForTerms(t *testing.T) {
	t.Parallel()
	f := setup(t)
	c := sample(10)
	named := func(prefix string) (out []licensing.Term) {
		for i := range 32 {
			out = append(out, licensing.Term{Key: fmt.Sprint(prefix, i), On: "plan:free", When: "false", Effect: licensing.TermBlock})
		}
		return out
	}
	c.Terms = named("old")
	f.apply(c)
	c.Terms = named("new")
	_, _, err := f.ApplyCatalog(t.Context(), c, false, licensing.MigrationDefault)
	wantCode(t, err, licensing.FailedPrecondition, "has its 32 terms already")
	c.Prune = true
	if changes := f.apply(c); len(changes) != 64 {
		t.Errorf("%d changes: %v", len(changes), changes)
	}
	if changes := f.apply(c); len(changes) != 0 {
		t.Errorf("again: %v", changes)
	}
}
