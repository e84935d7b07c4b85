package licensing_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

func TestRotate_BothGoOnForTheOverlap(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	ctx := t.Context()
	create := func(customer string, expires time.Time) licensing.APIKey {
		k, _, _, err := f.CreateAPIKey(ctx, licensing.APIKey{License: f.license(customer).ID, DisplayName: "build", ExpiresAt: expires})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	now := f.clock.Now()
	for name, c := range map[string]struct {
		expires time.Time
		overlap time.Duration
		ends    time.Time // Zero: revoked at once.
		records int
	}{
		"for a day":                         {time.Time{}, 24 * time.Hour, now.Add(24 * time.Hour), 2},
		"at once":                           {time.Time{}, 0, time.Time{}, 2},
		"sooner than it would":              {now.Add(48 * time.Hour), 24 * time.Hour, now.Add(24 * time.Hour), 2},
		"never longer than it would anyhow": {now.Add(time.Hour), 24 * time.Hour, now.Add(time.Hour), 1},
		"at most":                           {time.Time{}, licensing.MaxOverlap, now.Add(licensing.MaxOverlap), 2},
	} {
		old := create(name, c.expires)
		before := len(f.chain())
		r, epoch, err := f.RotateAPIKey(ctx, licensing.Rotation{ID: old.ID, Overlap: c.overlap, ExpiresAt: now.Add(72 * time.Hour)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Key.License != old.License || r.Key.DisplayName != "build" || r.Key.ID == old.ID || r.Secret == "" || !r.Key.ExpiresAt.Equal(now.Add(72*time.Hour)) {
			t.Errorf("%s: new %+v", name, r.Key)
		}
		if r.Old.ID != old.ID || c.ends.IsZero() != !r.Old.RevokeTime.IsZero() || !c.ends.IsZero() && !r.Old.ExpiresAt.Equal(c.ends) {
			t.Errorf("%s: old %+v", name, r.Old)
		}
		// Nodes learn of both in one epoch: there is no moment without a key.
		envelopes := f.chain()[before:]
		if len(envelopes) != 1 || len(envelopes[0].GetRecords()) != c.records || envelopes[0].GetTo() != epoch.Number {
			t.Errorf("%s: %d envelopes at epoch %v: %v", name, len(envelopes), epoch, envelopes)
		}
	}
}

func TestRotate_IsRefusedForWhatHasEnded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	ctx := t.Context()
	l := f.license("acme")
	k, _, _, err := f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID, ExpiresAt: f.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.Add(time.Hour)
	_, _, err = f.RotateAPIKey(ctx, licensing.Rotation{ID: k.ID})
	wantCode(t, err, licensing.FailedPrecondition, "the API key expired at 2026-11-23T11:00:00Z")
	if _, _, err = f.RevokeAPIKey(ctx, k.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.RotateAPIKey(ctx, licensing.Rotation{ID: k.ID})
	wantCode(t, err, licensing.FailedPrecondition, "the API key was revoked at 2026-11-23T11:00:00Z, for good")
	other, _, _, err := f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.RevokeLicense(ctx, l.ID); err != nil {
		t.Fatal(err)
	}
	before := f.epoch()
	_, _, err = f.RotateAPIKey(ctx, licensing.Rotation{ID: other.ID})
	wantCode(t, err, licensing.FailedPrecondition, "the licence is revoked for good")
	if f.epoch() != before {
		t.Error("a refused rotation took an epoch")
	}
}

// The same call again has the same secret, and the old key is replaced once.
func TestRotate_TheSameCallHasOneEffect(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	k, _, _, err := f.CreateAPIKey(t.Context(), licensing.APIKey{License: f.license("acme").ID})
	if err != nil {
		t.Fatal(err)
	}
	ctx := licensing.WithCall(t.Context(), licensing.Call{Actor: "tok_1", Procedure: "rotate", RequestID: "r", Fingerprint: []byte("f"), Etag: k.Etag})
	first, epoch, err := f.RotateAPIKey(ctx, licensing.Rotation{ID: k.ID})
	if err != nil {
		t.Fatal(err)
	}
	again, same, err := f.RotateAPIKey(ctx, licensing.Rotation{ID: k.ID})
	if err != nil || again.Secret != first.Secret || again.Secret == "" || again.Key.ID != first.Key.ID || again.Old.RevokeTime != first.Old.RevokeTime || same != epoch {
		t.Errorf("%+v %v, then %+v %v: %v", first, epoch, again, same, err)
	}
	checked := licensing.WithCall(t.Context(), licensing.Call{ValidateOnly: true})
	if dry, _, err := f.RotateAPIKey(checked, licensing.Rotation{ID: first.Key.ID}); err != nil || dry.Secret != "" {
		t.Errorf("validate_only made a secret: %+v, %v", dry, err)
	}
}

func TestRevoke_RefusesAStaleEtag(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	k, _, _, err := f.CreateAPIKey(t.Context(), licensing.APIKey{License: f.license("acme").ID})
	if err != nil {
		t.Fatal(err)
	}
	tok, _, err := f.CreateToken(t.Context(), licensing.Token{Role: licensing.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.UpdateAPIKey(t.Context(), licensing.APIKey{ID: k.ID, DisplayName: "n"}, []string{"display_name"}); err != nil {
		t.Fatal(err)
	}
	stale := func(etag string) licensing.Call { return licensing.Call{Etag: etag} }
	_, _, err = f.RevokeAPIKey(licensing.WithCall(t.Context(), stale(k.Etag)), k.ID)
	wantCode(t, err, licensing.Aborted)
	_, err = f.RevokeToken(licensing.WithCall(t.Context(), stale("9")), tok.ID)
	wantCode(t, err, licensing.Aborted)
	if revoked, err := f.RevokeToken(licensing.WithCall(t.Context(), stale(tok.Etag)), tok.ID); err != nil || revoked.Etag == tok.Etag {
		t.Errorf("%+v, %v", revoked, err)
	}
}

// A name is nothing that nodes know.
func TestUpdateAPIKey_TellsNodesOfItsEndAlone(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	k, _, _, err := f.CreateAPIKey(t.Context(), licensing.APIKey{License: f.license("acme").ID})
	if err != nil {
		t.Fatal(err)
	}
	before := f.epoch()
	named, epoch, err := f.UpdateAPIKey(t.Context(), licensing.APIKey{ID: k.ID, DisplayName: "n"}, []string{"display_name"})
	if err != nil || epoch != before || named.DisplayName != "n" || named.Etag == k.Etag {
		t.Errorf("%+v at %v, %v", named, epoch, err)
	}
	end := f.clock.Now().Add(time.Hour)
	ended, epoch, err := f.UpdateAPIKey(t.Context(), licensing.APIKey{ID: k.ID, ExpiresAt: end, Etag: named.Etag}, []string{"expires_at"})
	if err != nil || epoch == before || !ended.ExpiresAt.Equal(end) || ended.DisplayName != "n" {
		t.Errorf("%+v at %v, %v", ended, epoch, err)
	}
	f.clock.Add(2 * time.Hour)
	_, _, err = f.UpdateAPIKey(t.Context(), licensing.APIKey{ID: k.ID}, []string{"expires_at"})
	wantCode(t, err, licensing.FailedPrecondition, "expired")
}
