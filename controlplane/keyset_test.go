package controlplane

import (
	"path/filepath"
	"testing"
	"time"

	"tollgate/controlplane/internal/keyring"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/controlplane/internal/trust"
	"tollgate/dataplane/envelope"
)

// Control planes that are configured with two roots, as while a lost one is replaced, do not fight over the database: only people replace a set by another root's.
func TestKeySets_OfAnotherRootAreNotReplacedByThemselves(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.Database(t)})
	must(t, err)
	t.Cleanup(db.Close)
	founded := func() (keySets, []byte) {
		dir := t.TempDir()
		a, err := trust.Open(filepath.Join(dir, "trust"))
		must(t, err)
		must(t, a.Equip(dir, "rules", envelope.UsageRules, "rules"))
		signed, err := a.Enrol(dir, time.Now())
		must(t, err)
		root, err := envelope.ParseRoot(a.Root())
		must(t, err)
		api, err := licensing.New(licensing.Config{
			Store: db.Licensing(), Encoder: rulefeed.Encoder{}, KeySets: keyring.OpenKeySet(envelope.NewVerifier(a.Fleet(), root)),
		})
		must(t, err)
		_, err = api.Bootstrap(t.Context(), licensing.Founding{ErrorBaseURL: "http://127.0.0.1"})
		must(t, err)
		return keySets{api}, signed
	}
	old, oldSet := founded()
	next, nextSet := founded()
	if held, err := old.KeySet(t.Context()); held != nil || err != nil {
		t.Fatalf("before there is one: %v, %v", held, err)
	}
	must(t, old.SetKeySet(t.Context(), oldSet))
	if held, err := next.KeySet(t.Context()); held != nil || licensing.CodeOf(err) != licensing.FailedPrecondition {
		t.Errorf("another root's set: %v, %v", held, err)
	}
	must(t, next.SetKeySet(t.Context(), nextSet))
	if held, err := next.KeySet(t.Context()); string(held) != string(nextSet) || err != nil {
		t.Errorf("after it was replaced: %v", err)
	}
}
