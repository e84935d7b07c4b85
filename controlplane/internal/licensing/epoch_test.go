package licensing_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// The first epoch carries the settings, however many control planes start at once.
func TestI6_BootstrapPublishesSettingsOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}})
			if err == nil {
				_, err = s.Bootstrap(t.Context(), licensing.Founding{ID: "test", ErrorBaseURL: "http://a.test"})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Service: s, t: t, db: db}
	all := f.chain()
	if len(all) != 1 || len(all[0].GetRecords()) != 1 {
		t.Fatalf("got %d envelopes", len(all))
	}
	settings := all[0].GetRecords()[0].GetSettings()
	if settings.GetEnv() != "live" || len(settings.GetPepper()) != 32 || settings.GetErrorBaseUrl() != "http://a.test" ||
		settings.GetStaleAfter().GetSeconds() != 15 || settings.GetGraceAfter().GetSeconds() != 900 ||
		settings.GetBlockAfter().GetSeconds() != 86400 || settings.GetLoanHorizon().GetSeconds() != 60 {
		t.Errorf("settings are %v", settings)
	}

	if _, err := s.Bootstrap(t.Context(), licensing.Founding{ErrorBaseURL: "http://b.test"}); err != nil {
		t.Fatal(err)
	}
	if all = f.chain(); len(all) != 2 || all[1].GetRecords()[0].GetSettings().GetErrorBaseUrl() != "http://b.test" {
		t.Errorf("another base URL made %d envelopes", len(all))
	}
	_, err = s.Bootstrap(t.Context(), licensing.Founding{Env: "prod"})
	wantCode(t, err, licensing.FailedPrecondition, "live", "prod")
	_, err = s.Bootstrap(t.Context(), licensing.Founding{ID: "other"})
	wantCode(t, err, licensing.FailedPrecondition, "other")
}

// Epochs have no gaps and are chained by hash in the order of commits, whoever writes.
func TestI6_EpochsAreGaplessAndChainedUnderParallelWriters(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const writers, each = 16, 20
	before := f.epoch()
	epochs := make(chan licensing.Epoch, writers*each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				_, e, err := f.CreateCustomer(t.Context(), licensing.Customer{ExternalID: fmt.Sprintf("c-%d-%d", w, i)})
				if err != nil {
					t.Error(err)
					return
				}
				epochs <- e
				// A refused write leaves no epoch behind.
				_, _, err = f.CreateCustomer(t.Context(), licensing.Customer{ExternalID: fmt.Sprintf("c-%d-%d", w, i)})
				if licensing.CodeOf(err) != licensing.AlreadyExists {
					t.Errorf("second customer of one external id: %v", err)
				}
			}
		})
	}
	wg.Wait()
	close(epochs)
	got := slices.SortedFunc(func(yield func(licensing.Epoch) bool) {
		for e := range epochs {
			if !yield(e) {
				return
			}
		}
	}, licensing.Epoch.Compare)
	for i, e := range got {
		if want := before.Number + uint64(i) + 1; e.Number != want {
			t.Fatalf("write %d answered epoch %v, want number %d", i, e, want)
		}
	}
	if n := len(f.chain()); n != int(before.Number)+writers*each {
		t.Errorf("%d envelopes, want %d", n, int(before.Number)+writers*each)
	}
}

// What a new node learns from a snapshot equals what the change sets added up to.
func TestI6_RuleStateEqualsWhatChangeSetsAddUpTo(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("one")
	canceled := f.license("two")
	key, _, _, err := f.CreateAPIKey(ctx, licensing.APIKey{License: l.ID})
	if err != nil {
		t.Fatal(err)
	}
	f.apply(sample(2000))
	gone, _, err := f.CreateCustomer(ctx, licensing.Customer{ExternalID: "gone"})
	if err != nil {
		t.Fatal(err)
	}
	extra := licensing.Catalog{
		Meters:   []licensing.Meter{{Key: "bytes", Aggregation: licensing.Sum}},
		Features: []licensing.Feature{{Key: "old", Type: licensing.Metered, Meter: "bytes"}},
		Plans:    []licensing.CatalogPlan{{Key: "old", Entitlements: []licensing.Entitlement{{Feature: "old"}}}},
		AddOns: []licensing.AddOn{
			{Key: "old", Entitlements: []licensing.Entitlement{{Feature: "old"}}}, {Key: "more", Entitlements: []licensing.Entitlement{{Feature: "calls"}}},
		},
		Services: []licensing.Upstream{{Key: "old", Endpoints: []string{"http://old"}}},
		Routes:   []licensing.Route{{Key: "old", Service: "old", Match: licensing.RouteMatch{Path: "/old"}, Requires: []string{"old"}, Meter: "bytes"}},
	}
	f.apply(extra)
	phased, bent := f.license("three"), f.license("four")
	f.apply(licensing.Catalog{Terms: []licensing.Term{noDelete("license:" + bent.ID), {Key: "old", When: "true", Effect: licensing.TermThrottle}}})
	for _, err := range []error{
		last(f.ChangePlan(ctx, licensing.PlanChange{License: phased.ID, Plan: "free", Version: 1, When: licensing.PeriodEnd, ResetUsage: true})),
		last(f.CreateOverride(ctx, licensing.Override{License: bent.ID, Feature: "calls", Value: licensing.Value{Kind: licensing.BoolValue, Bool: true}, Reason: "test"})),
		last(f.SetPastDue(ctx, bent.ID, f.clock.Now().Add(time.Hour))),
		last(f.CancelLicense(ctx, phased.ID, licensing.PeriodEnd)),
		last(f.SuspendLicense(ctx, l.ID)), last(f.CancelLicense(ctx, canceled.ID, licensing.WhenNow)), last(f.RevokeAPIKey(ctx, key.ID)),
		last(f.ArchiveCustomer(ctx, gone.ID)), last(f.ArchiveTerm(ctx, "old")),
		last(f.AttachAddOn(ctx, phased.ID, licensing.Attachment{AddOn: "more", EndsAt: f.clock.Now().Add(time.Hour)})),
		last(f.AttachAddOn(ctx, bent.ID, licensing.Attachment{AddOn: "more", StartsAt: f.clock.Now().Add(time.Hour)})),
		last(f.UpdateAddOn(ctx, licensing.AddOn{Key: "more", Entitlements: []licensing.Entitlement{{Feature: "reports", Enabled: true}}}, nil)),
		last(f.ArchiveAddOn(ctx, "old")),
		last(f.ArchivePlan(ctx, "old")), last(f.ArchiveRoute(ctx, "old")), last(f.ArchiveFeature(ctx, "old")),
		last(f.ArchiveMeter(ctx, "bytes")), last(f.ArchiveService(ctx, "old")),
		last(f.UpdateRoute(ctx, licensing.Route{Key: "hello", Match: licensing.RouteMatch{Host: "API.test", Path: "/hi"}}, []string{"match"})),
		last(f.UpdateCustomer(ctx, licensing.Customer{ID: l.Customer, TimeZone: "Asia/Tokyo"}, []string{"time_zone"})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	f.elapse(40 * 24 * time.Hour)
	before := f.epoch()
	want := f.told()
	got := f.ruleState()
	if !maps.Equal(got, want) {
		t.Errorf("rule state holds %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		for k := range want {
			if got[k] != want[k] {
				t.Errorf("%s: got %q, want %q", k, got[k], want[k])
			}
		}
	}
	f.stateHashIs(got)
	if n, err := f.Resync(ctx); n != 0 || err != nil || f.epoch() != before {
		t.Errorf("%d changes are published though nothing differs, %v", n, err)
	}
	if r := got["feature/old"] + got["add_on/old"] + got["customer/"+gone.ID] + got["plan_version/old@1"]; r != "" {
		t.Errorf("archived objects are still rules: %q", r)
	}
}

// ruleState is what a snapshot holds: encoded records by kind and id.
func (f *fixture) ruleState() map[string]string {
	f.t.Helper()
	got := map[string]string{}
	head, err := f.db.RuleState(f.t.Context(), func(_ licensing.Head, c licensing.Change) error {
		r, err := rulefeed.Record(c)
		if err == nil {
			fold(got, r)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if head.Epoch != f.epoch() {
		f.t.Errorf("rule state is at %v, want %v", head.Epoch, f.epoch())
	}
	return got
}

// stateHashIs checks that the state hash that the newest change set and the head name is that of a rule state.
func (f *fixture) stateHashIs(state map[string]string) {
	f.t.Helper()
	var want decision.Digest
	for _, r := range state {
		want = want.Plus(decision.DigestOf([]byte(r)))
	}
	head, err := f.db.Licensing().Head(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if head.StateHash == nil || *head.StateHash != want {
		f.t.Errorf("the state hash is %x, want %x", head.StateHash, want)
	}
	chain := f.chain()
	if said := chain[len(chain)-1].GetStateHash(); !bytes.Equal(said, want[:]) {
		f.t.Errorf("the newest change set says %x, want %x", said, want)
	}
}

// told is the rule state that change sets add up to.
func (f *fixture) told() map[string]string {
	f.t.Helper()
	state := map[string]string{}
	for _, e := range f.chain() {
		for _, r := range e.GetRecords() {
			fold(state, r)
		}
	}
	return state
}

// fold applies a record to a rule state of encoded records by kind and id.
func fold(state map[string]string, r *rulesv1.Record) {
	var id string
	switch v := r.GetValue().(type) {
	case *rulesv1.Record_Removal:
		kinds := map[rulesv1.Kind]string{
			rulesv1.Kind_KIND_SERVICE: "service", rulesv1.Kind_KIND_ROUTE: "route", rulesv1.Kind_KIND_METER: "meter",
			rulesv1.Kind_KIND_FEATURE: "feature", rulesv1.Kind_KIND_PLAN_VERSION: "plan_version", rulesv1.Kind_KIND_CUSTOMER: "customer",
			rulesv1.Kind_KIND_TERM: "term", rulesv1.Kind_KIND_CREDENTIAL: "credential",
			rulesv1.Kind_KIND_ADD_ON: "add_on",
		}
		delete(state, kinds[v.Removal.GetKind()]+"/"+v.Removal.GetId())
		return
	case *rulesv1.Record_Settings:
		id = "settings"
	case *rulesv1.Record_Service:
		id = "service/" + v.Service.GetKey()
	case *rulesv1.Record_Route:
		id = "route/" + v.Route.GetKey()
	case *rulesv1.Record_Meter:
		id = "meter/" + v.Meter.GetKey()
	case *rulesv1.Record_Feature:
		id = "feature/" + v.Feature.GetKey()
	case *rulesv1.Record_PlanVersion:
		id = "plan_version/" + licensing.VersionID(v.PlanVersion.GetPlan(), v.PlanVersion.GetVersion())
	case *rulesv1.Record_AddOn:
		id = "add_on/" + v.AddOn.GetKey()
	case *rulesv1.Record_Customer:
		id = "customer/" + v.Customer.GetId()
	case *rulesv1.Record_License:
		id = "license/" + v.License.GetId()
	case *rulesv1.Record_Credential:
		id = "credential/" + v.Credential.GetId()
	case *rulesv1.Record_Term:
		id = "term/" + v.Term.GetKey()
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil {
		b = []byte(err.Error())
	}
	state[id] = string(b)
}

func last[A, B any](_ A, _ B, err error) error { return err }

// Bulk changes go out in change sets of at most 1,000 records, within one transaction.
func TestPublish_SplitsBulkChanges(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var c licensing.Catalog
	for i := range 2100 {
		c.Meters = append(c.Meters, licensing.Meter{Key: fmt.Sprintf("m%d", i), Aggregation: licensing.Count})
	}
	c.Services = []licensing.Upstream{{Key: "s", Endpoints: []string{"http://s"}}}
	for i := range 3 {
		c.Routes = append(c.Routes, licensing.Route{Key: fmt.Sprintf("r%d", i), Service: "s", Match: licensing.RouteMatch{Path: fmt.Sprintf("/%d", i)}})
	}
	before := f.epoch()
	_, epoch, err := f.ApplyCatalog(t.Context(), c, false, licensing.MigrationDefault)
	if err != nil {
		t.Fatal(err)
	}
	all := f.chain()[before.Number:]
	var sizes []int
	for _, e := range all {
		sizes = append(sizes, len(e.GetRecords()))
	}
	if !slices.Equal(sizes, []int{1000, 1000, 101, 3}) || epoch.Number != before.Number+4 {
		t.Errorf("change sets of %v records, epoch %v after %v", sizes, epoch, before)
	}
}

// A transaction that its store gives up leaves neither an object nor an epoch.
func TestUpdate_LeavesNothingBehindOnError(t *testing.T) {
	t.Parallel()
	f := setup(t)
	boom := errors.New("boom")
	err := f.db.Licensing().Update(t.Context(), func(tx licensing.Tx) error {
		head, err := tx.LockHead(t.Context())
		if err != nil {
			return err
		}
		now := f.clock.Now()
		_, err = tx.InsertMeter(t.Context(), licensing.Meter{Key: "m", Aggregation: licensing.Count, Meta: licensing.Meta{CreateTime: now, UpdateTime: now}})
		e := licensing.Envelope{Epoch: licensing.Epoch{Generation: 1, Number: head.Epoch.Number + 1}, Payload: []byte("x"), Hash: []byte("y"), CreateTime: now}
		return cmp.Or(err, tx.AppendEnvelope(t.Context(), e), boom)
	})
	if !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	_, err = f.GetMeter(t.Context(), "m")
	wantCode(t, err, licensing.NotFound)
	f.chain()
}
