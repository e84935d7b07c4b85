package licensing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/rulefeed"
)

func (f *fixture) called(c licensing.Call) context.Context {
	if c.Actor == "" {
		c.Actor = "tok_a"
	}
	return licensing.WithCall(f.t.Context(), c)
}

// sql runs a statement behind everyone's back.
func (f *fixture) sql(statement string, args ...any) {
	f.t.Helper()
	c, err := pgx.Connect(f.t.Context(), f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(f.t.Context(), statement, args...); err != nil {
		f.t.Fatalf("%s: %v", statement, err)
	}
}

// dump is all that the database holds.
func (f *fixture) dump() string {
	f.t.Helper()
	c, err := pgx.Connect(f.t.Context(), f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close(context.Background())
	var s string
	if err := c.QueryRow(f.t.Context(), "SELECT database_to_xml(false, false, '')::text").Scan(&s); err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *fixture) events() []audit.Event {
	f.t.Helper()
	all, _, _, err := audit.NewService(f.db.Audit()).Events(f.t.Context(), audit.List{Limit: 1000})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func TestWrite_OneOfThoseWithTheSameEtagWins(t *testing.T) {
	f := setup(t)
	c := f.customer("acme")
	const writers = 50
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			change := licensing.Customer{ID: c.ID, ExternalID: fmt.Sprint("acme-", i), Meta: licensing.Meta{Etag: c.Etag}}
			_, _, errs[i] = f.UpdateCustomer(f.called(licensing.Call{}), change, []string{"external_id"})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantCode(t, err, licensing.Aborted)
	}
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
	f.chain()
}

// Whoever writes without an etag is kept; whoever names the state that he saw is kept or told that it is gone.
func TestWrite_ManyToOneLicenseAreKeptOrRefused(t *testing.T) {
	f := setup(t)
	f.apply(sample(1000))
	l := f.license("acme")
	before := len(f.kinds(l.ID))
	const writers = 50
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		call := licensing.Call{}
		if i%2 == 0 {
			call.Etag = l.Etag
		}
		wg.Go(func() {
			_, _, errs[i] = f.CreateGrant(f.called(call), licensing.Grant{License: l.ID, Feature: "calls", Units: int64(i + 1), Reason: "race"})
		})
	}
	wg.Wait()
	want := map[int64]bool{}
	for i, err := range errs {
		switch {
		case err == nil:
			want[int64(i+1)] = true
		case i%2 == 0:
			wantCode(t, err, licensing.Aborted)
		default:
			t.Errorf("writer %d, of whatever state: %v", i, err)
		}
	}
	got, err := f.GetLicense(t.Context(), l.ID)
	if err != nil || len(want) < writers/2 {
		t.Fatalf("%d writers were kept, %v", len(want), err)
	}
	for _, g := range got.Grants {
		if !want[g.Units] {
			t.Errorf("the licence has a grant of %d units, whose writer was refused", g.Units)
		}
		delete(want, g.Units)
	}
	if len(want) > 0 {
		t.Errorf("lost: grants of %v units", want)
	}
	if n := len(f.kinds(l.ID)) - before; n != len(got.Grants) {
		t.Errorf("%d events of %d grants", n, len(got.Grants))
	}
	f.chain()
}

func TestRequestID_SameCallHasOneEffectAndOneAnswer(t *testing.T) {
	f := setup(t)
	f.apply(sample(10))
	l := f.license("acme")
	ctx := f.called(licensing.Call{Procedure: "CreateApiKey", RequestID: "r1", Fingerprint: []byte("one")})
	before := len(f.events())

	var wg sync.WaitGroup
	var keys [20]licensing.APIKey
	var secrets [20]string
	var epochs [20]licensing.Epoch
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], secrets[i], epochs[i], err = f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	restarted, err := licensing.New(licensing.Config{Store: f.db.Licensing(), Encoder: rulefeed.Encoder{}, Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	key, secret, epoch, err := restarted.CreateAPIKey(ctx, licensing.APIKey{License: l.ID})
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		if keys[i].ID != key.ID || secrets[i] != secret || epochs[i] != epoch || secret == "" {
			t.Errorf("answer %d is %s at %v, another was %s at %v", i, keys[i].ID, epochs[i], key.ID, epoch)
		}
	}
	if n := len(f.events()) - before; n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	page, err := f.ListAPIKeys(t.Context(), licensing.List{})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d keys, %v", len(page.Items), err)
	}

	_, _, _, err = f.CreateAPIKey(f.called(licensing.Call{Procedure: "CreateApiKey", RequestID: "r1", Fingerprint: []byte("two")}), licensing.APIKey{License: l.ID})
	wantCode(t, err, licensing.InvalidArgument)
	if field(err) != "request_id" {
		t.Errorf("the field is %q", field(err))
	}
	f.clock.Add(25 * time.Hour)
	if other, _, _, err := f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID}); err != nil || other.ID == key.ID {
		t.Errorf("after a day: %s, %v", other.ID, err)
	}
}

func TestRequestID_FailedCallMayBeTriedAgain(t *testing.T) {
	f := setup(t)
	ctx := f.called(licensing.Call{Procedure: "CreateFeature", RequestID: "r1", Fingerprint: []byte("one")})
	feature := licensing.Feature{Key: "calls", Type: licensing.Metered, Meter: "requests"}
	_, _, err := f.CreateFeature(ctx, feature)
	wantCode(t, err, licensing.InvalidArgument)
	if _, _, err := f.CreateMeter(t.Context(), licensing.Meter{Key: "requests", Aggregation: licensing.Count}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.CreateFeature(ctx, feature); err != nil {
		t.Fatal(err)
	}
}

func TestI12_StoredAnswersAndEventsHoldNoSecret(t *testing.T) {
	f := setup(t)
	f.apply(sample(10))
	l := f.license("acme")
	_, key, _, err := f.CreateAPIKey(f.called(licensing.Call{Procedure: "a", RequestID: "r1", Fingerprint: []byte("1")}), licensing.APIKey{License: l.ID})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := f.CreateToken(f.called(licensing.Call{Procedure: "b", RequestID: "r1", Fingerprint: []byte("1")}), licensing.Token{Role: licensing.Owner})
	if err != nil {
		t.Fatal(err)
	}
	all := f.dump()
	if strings.Contains(all, key) || strings.Contains(all, token) {
		t.Error("the database holds a secret in the clear")
	}
	for _, e := range f.events() {
		if strings.Contains(e.Before+e.After, `"hash"`) || strings.Contains(e.Before+e.After, `"pepper"`) {
			t.Errorf("event %d holds a hash: %s", e.Sequence, e.After)
		}
	}
}

func TestValidateOnly_ChecksAndStoresNothing(t *testing.T) {
	f := setup(t)
	f.apply(sample(10))
	l := f.license("acme")
	ctx := f.called(licensing.Call{Procedure: "p", RequestID: "r1", Fingerprint: []byte("1"), ValidateOnly: true})
	before, epoch := f.dump(), f.epoch()
	_, secret, at, err := f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID})
	if err != nil || secret != "" || at != epoch {
		t.Errorf("CreateAPIKey: secret of %d characters, epoch %v, %v", len(secret), at, err)
	}
	if _, secret, err := f.CreateToken(ctx, licensing.Token{Role: licensing.Viewer}); err != nil || secret != "" {
		t.Errorf("CreateToken: secret of %d characters, %v", len(secret), err)
	}
	if got, _, err := f.SuspendLicense(ctx, l.ID); err != nil || got.Decided != licensing.Suspended {
		t.Errorf("SuspendLicense: %s, %v", got.Decided, err)
	}
	_, _, err = f.CreateCustomer(ctx, licensing.Customer{ExternalID: "acme"})
	wantCode(t, err, licensing.AlreadyExists)
	if f.dump() != before {
		t.Error("the database has changed")
	}
}

func TestEtag_StaleOneIsRefused(t *testing.T) {
	f := setup(t)
	f.apply(sample(10))
	l := f.license("acme")
	ctx := f.called(licensing.Call{Etag: "stale"})
	for name, call := range map[string]func() error{
		"customer": func() error { _, _, err := f.ArchiveCustomer(ctx, l.Customer); return err },
		"meter":    func() error { _, _, err := f.ArchiveMeter(ctx, "requests"); return err },
		"feature":  func() error { _, _, err := f.ArchiveFeature(ctx, "reports"); return err },
		"plan":     func() error { _, _, err := f.ArchivePlan(ctx, "free"); return err },
		"service":  func() error { _, _, err := f.ArchiveService(ctx, "sample"); return err },
		"route":    func() error { _, _, err := f.ArchiveRoute(ctx, "hello"); return err },
		"suspend":  func() error { _, _, err := f.SuspendLicense(ctx, l.ID); return err },
		"resume":   func() error { _, _, err := f.ResumeLicense(ctx, l.ID); return err },
		"cancel":   func() error { _, _, err := f.CancelLicense(ctx, l.ID, licensing.WhenNow); return err },
		"revoke":   func() error { _, _, err := f.RevokeLicense(ctx, l.ID); return err },
		"publish": func() error {
			v, _, err := f.CreatePlanDraft(t.Context(), "free", 0)
			if err != nil {
				return err
			}
			_, _, _, err = f.PublishPlanVersion(ctx, "free", v.Version, licensing.Publication{Migration: licensing.MigrationDefault})
			return err
		},
	} {
		if err := call(); licensing.CodeOf(err) != licensing.Aborted {
			t.Errorf("%s: %v, want %s", name, err, licensing.Aborted)
		}
	}
	if _, _, err := f.SuspendLicense(f.called(licensing.Call{Etag: l.Etag}), l.ID); err != nil {
		t.Errorf("with the right etag: %v", err)
	}
}

func TestAudit_FindsWhatWasTamperedWith(t *testing.T) {
	for name, c := range map[string]struct {
		sql string
		bad uint64
	}{
		"nothing": {"SELECT 1", 0},
		"changed": {"UPDATE audit_event SET actor_name = 'mallory' WHERE sequence = 3", 3},
		"removed": {"DELETE FROM audit_event WHERE sequence = 3", 3},
		"newest":  {"DELETE FROM audit_event WHERE sequence = (SELECT max(sequence) FROM audit_event)", 6},
		"oldest":  {"DELETE FROM audit_event WHERE sequence = 1", 1},
		"swapped": {"UPDATE audit_event SET sequence = CASE sequence WHEN 3 THEN -4 ELSE -3 END WHERE sequence IN (3, 4); UPDATE audit_event SET sequence = -sequence WHERE sequence < 0", 3},
		"put in":  {"INSERT INTO audit_event SELECT sequence + 1, at, actor, actor_name, role, procedure, kind, object, before, after, request_id, generation, number, hash, hash FROM audit_event WHERE sequence = 6", 7},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			for i := range 5 {
				f.customer(fmt.Sprint("c", i))
			}
			f.sql(c.sql)
			r, _, err := audit.NewService(f.db.Audit()).Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			first, bad := r.First()
			if bad != (c.bad != 0) || first.Sequence != c.bad {
				t.Errorf("the first finding is %+v, want event %d", first, c.bad)
			}
		})
	}
}

func TestAudit_SaysWhoChangedWhat(t *testing.T) {
	f := setup(t)
	c := f.customer("acme")
	ctx := f.called(licensing.Call{Actor: "tok_b", ActorName: "bob", Role: licensing.Editor, Procedure: "UpdateCustomer", CallID: "req_1"})
	if _, _, err := f.UpdateCustomer(ctx, licensing.Customer{ID: c.ID, DisplayName: "Acme"}, []string{"display_name"}); err != nil {
		t.Fatal(err)
	}
	e := f.events()[0]
	if e.Actor != "tok_b" || e.ActorName != "bob" || e.Role != "editor" || e.Procedure != "UpdateCustomer" || e.RequestID != "req_1" ||
		e.Kind != "customer" || e.ID != c.ID || e.Number != f.epoch().Number {
		t.Errorf("the event is %+v", e)
	}
	if !strings.Contains(e.Before, `"display_name":""`) || !strings.Contains(e.After, `"display_name":"Acme"`) || strings.Contains(e.After, "external_id") {
		t.Errorf("from %s to %s", e.Before, e.After)
	}
	if _, _, err := f.UpdateCustomer(ctx, licensing.Customer{ID: "cus_x"}, []string{"display_name"}); !errors.As(err, new(*licensing.Error)) {
		t.Errorf("update of nothing: %v", err)
	}
	if n := len(f.events()); n != 3 {
		t.Errorf("%d events, want 3: founding, create, update", n)
	}
}
