package decision_test

import (
	"testing"

	"tollgate/dataplane/decision"
)

// The index by hash follows what is set, replaced and removed, and never holds what is not imported.
func TestEditor_KeepsTheIndexOfImportedKeys(t *testing.T) {
	t.Parallel()
	build := func(s *decision.State, change func(*decision.Editor)) *decision.State {
		e := decision.Edit(s)
		change(e)
		next, err := e.Build(decision.Epoch{Generation: 1, Number: 1})
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	a, b := [32]byte{1}, [32]byte{2}
	cred := func(id string, hash [32]byte, imported bool) *decision.Credential {
		return &decision.Credential{ID: id, Hash: hash, Imported: imported}
	}
	own := build(nil, func(e *decision.Editor) { e.SetCredential(cred("own", a, false)) })
	if own.HoldsImported() || own.Imported(a) != nil {
		t.Error("a key of our own is in the index")
	}
	with := build(own, func(e *decision.Editor) { e.SetCredential(cred("imp", b, true)) })
	if with.Imported(b) == nil || with.Imported(a) != nil || own.HoldsImported() {
		t.Error("what was imported is not found, or is found in the former state, too")
	}
	revoked := build(with, func(e *decision.Editor) {
		c := cred("imp", b, true)
		c.Revoked = true
		e.SetCredential(c)
	})
	if !revoked.Imported(b).Revoked || with.Imported(b).Revoked {
		t.Error("the index holds another state's credential")
	}
	// One takes the other's hash over, in either order.
	moved := build(with, func(e *decision.Editor) { e.SetCredential(cred("next", b, true)); e.RemoveCredential("imp") })
	if c := moved.Imported(b); c == nil || c.ID != "next" {
		t.Errorf("found %v", c)
	}
	gone := build(moved, func(e *decision.Editor) { e.RemoveCredential("next") })
	if gone.HoldsImported() || gone.Imported(b) != nil {
		t.Error("what was removed is found")
	}
	if rehashed := build(with, func(e *decision.Editor) { e.SetCredential(cred("imp", a, true)) }); rehashed.Imported(b) != nil || rehashed.Imported(a) == nil {
		t.Error("the former hash is still there")
	}
}
