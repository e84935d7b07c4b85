package licensing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/internal/catalog"
	"tollgate/controlplane/internal/licensing"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func noDelete(on string) licensing.Term {
	return licensing.Term{Key: "no-delete", On: on, When: `request.method == "DELETE"`, Effect: licensing.TermBlock, Priority: 10}
}

// lastRecords are those of the newest change set.
func (f *fixture) lastRecords() []*rulesv1.Record {
	f.t.Helper()
	all := f.chain()
	return all[len(all)-1].GetRecords()
}

func TestTerm_IsSentAsItIsSaved(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	before := f.epoch()
	made, epoch, err := f.CreateTerm(ctx, noDelete("plan:free"))
	if err != nil || epoch.Number != before.Number+1 || made.On != "plan:free" || made.RetryAfter != 0 || made.Cost != nil {
		t.Fatalf("made %+v, epoch %v, %v", made, epoch, err)
	}
	if got := f.lastRecords()[0].GetTerm(); got.GetOn() != "plan:free" || got.GetWhen() != made.When || got.GetPriority() != 10 ||
		got.GetEffect() != rulesv1.TermEffect_TERM_EFFECT_BLOCK || got.GetRetryAfter() != nil {
		t.Errorf("sent %v", got)
	}
	// What belongs to an effect goes with it, and a throttle has a default.
	next, _, err := f.UpdateTerm(ctx, licensing.Term{Key: "no-delete", Effect: licensing.TermThrottle}, []string{"effect"})
	if err != nil || next.RetryAfter != time.Second || next.When != made.When {
		t.Errorf("throttle is %+v, %v", next, err)
	}
	if got := f.lastRecords()[0].GetTerm(); got.GetEffect() != rulesv1.TermEffect_TERM_EFFECT_THROTTLE || got.GetRetryAfter().AsDuration() != time.Second {
		t.Errorf("sent %v", got)
	}
	_, _, err = f.UpdateTerm(ctx, licensing.Term{Key: "no-delete", Effect: licensing.TermCost}, []string{"effect"})
	wantCode(t, err, licensing.InvalidArgument, "cost: is required")
	next, _, err = f.UpdateTerm(ctx, licensing.Term{Key: "no-delete", Effect: licensing.TermCost, Cost: new(int64(0)), On: "route:hello"}, []string{"effect", "cost", "on"})
	if err != nil || next.RetryAfter != 0 || *next.Cost != 0 {
		t.Errorf("cost is %+v, %v", next, err)
	}
	if got := f.lastRecords()[0].GetTerm(); got.GetEffect() != rulesv1.TermEffect_TERM_EFFECT_COST || got.GetCost() != 0 || got.GetOn() != "route:hello" {
		t.Errorf("sent %v", got)
	}
	// A name is not for nodes.
	at := f.epoch()
	if _, epoch, err := f.UpdateTerm(ctx, licensing.Term{Key: "no-delete", DisplayName: "Free"}, []string{"display_name"}); err != nil || epoch != at {
		t.Errorf("epoch %v, %v", epoch, err)
	}
	if _, epoch, err := f.UpdateTerm(ctx, licensing.Term{Key: "no-delete", On: "route:hello"}, []string{"on"}); err != nil || epoch != at {
		t.Errorf("no change: epoch %v, %v", epoch, err)
	}
	gone, _, err := f.ArchiveTerm(ctx, "no-delete")
	if r := f.lastRecords()[0].GetRemoval(); err != nil || !gone.Archived() || r.GetKind() != rulesv1.Kind_KIND_TERM || r.GetId() != "no-delete" {
		t.Errorf("archived %+v, sent %v, %v", gone, r, err)
	}
	_, _, err = f.UpdateTerm(ctx, licensing.Term{Key: "no-delete", Priority: 1}, []string{"priority"})
	wantCode(t, err, licensing.FailedPrecondition, "archived")
}

// What a term is on stays while the term does, and the refusal names the term.
func TestTerm_KeepsItsSubjectInUse(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	f.apply(licensing.Catalog{Plans: []licensing.CatalogPlan{{Key: "bare"}}})
	c := f.customer("a")
	archive := map[string]func() error{
		"route:hello":      func() error { return last(f.ArchiveRoute(ctx, "hello")) },
		"plan:bare":        func() error { return last(f.ArchivePlan(ctx, "bare")) },
		"customer:" + c.ID: func() error { return last(f.ArchiveCustomer(ctx, c.ID)) },
	}
	for on, do := range archive {
		if _, _, err := f.CreateTerm(ctx, licensing.Term{Key: "t-" + on[:4], On: on, When: "true", Effect: licensing.TermBlock}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, do(), licensing.FailedPrecondition, "term t-"+on[:4])
		if _, _, err := f.ArchiveTerm(ctx, "t-"+on[:4]); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil {
			t.Errorf("%s: %v", on, err)
		}
		_, _, err := f.CreateTerm(ctx, licensing.Term{Key: "again-" + on[:4], On: on, When: "true", Effect: licensing.TermBlock})
		wantCode(t, err, licensing.FailedPrecondition, "archived")
		if field(err) != "on" {
			t.Errorf("%s: field %q", on, field(err))
		}
	}
}

func TestTerm_OneSubjectHasABoundedNumber(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	c := licensing.Catalog{}
	for i := range 32 {
		c.Terms = append(c.Terms, licensing.Term{Key: fmt.Sprint("t", i), On: "route:hello", When: "false", Effect: licensing.TermBlock})
	}
	f.apply(c)
	_, _, err := f.CreateTerm(ctx, licensing.Term{Key: "more", On: "route:hello", When: "false", Effect: licensing.TermBlock})
	wantCode(t, err, licensing.FailedPrecondition, "on: has its 32 terms already")
	if _, _, err := f.CreateTerm(ctx, licensing.Term{Key: "more", On: "route:reports", When: "false", Effect: licensing.TermBlock}); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.UpdateTerm(ctx, licensing.Term{Key: "more", On: "route:hello"}, []string{"on"})
	wantCode(t, err, licensing.FailedPrecondition, "32 terms")
	if _, _, err := f.UpdateTerm(ctx, licensing.Term{Key: "t0", Priority: 4}, []string{"priority"}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if _, _, err := f.ArchiveTerm(ctx, "t0"); err != nil {
		t.Fatal(err)
	}
	f.apply(licensing.Catalog{Terms: []licensing.Term{{Key: "more", On: "route:hello", When: "false", Effect: licensing.TermBlock}}})
	_, _, err = f.ApplyCatalog(ctx, licensing.Catalog{Terms: c.Terms[:1]}, false, licensing.MigrationNow)
	wantCode(t, err, licensing.FailedPrecondition, "32 terms")
}

// Whatever terms and issuers the catalog holds: applied twice it changes nothing, and neither does what is exported.
func TestExport_OfTermsAndIssuersChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	l := f.license("a")
	rapid.Check(t, func(t *rapid.T) {
		term := licensing.Term{
			Key: "t", DisplayName: text(t, "name"), When: "true || request.method == " + fmt.Sprintf("%q", rapid.StringMatching(`[ -!#-\[\]-~]{0,30}`).Draw(t, "text")),
			On:       rapid.SampledFrom([]string{"", "all", "plan:free", "route:hello", "license:" + l.ID, "customer:" + l.Customer}).Draw(t, "on"),
			Effect:   rapid.SampledFrom([]licensing.TermEffect{licensing.TermBlock, licensing.TermThrottle, licensing.TermForward, licensing.TermCost}).Draw(t, "effect"),
			Priority: rapid.Int32().Draw(t, "priority"),
		}
		if rapid.Bool().Draw(t, "lines") {
			term.When = strings.ReplaceAll(term.When, " || ", "\n||\t")
		}
		switch term.Effect {
		case licensing.TermThrottle:
			term.RetryAfter = time.Duration(rapid.Int64Range(0, 86400_000).Draw(t, "retry after")) * time.Millisecond
			term.Message = text(t, "message")
		case licensing.TermCost:
			term.Cost = new(rapid.Int64Range(0, licensing.MaxCost).Draw(t, "cost"))
		case licensing.TermBlock:
			term.Message = text(t, "message")
		}
		issuer := licensing.Issuer{Key: "i", DisplayName: text(t, "issuer's name"), Issuer: "https://idp.example", Audiences: []string{"a" + text(t, "audience")}}
		switch rapid.IntRange(0, 2).Draw(t, "keys") {
		case 0:
			issuer.JwksFile = "/etc/jwks.json"
		case 1:
			issuer.JwksURL = "https://idp.example/keys?a=b"
		default:
			issuer.Discovery = true
		}
		if rapid.Bool().Draw(t, "claim") {
			issuer.CustomerClaim = "c" + text(t, "customer claim")
		} else {
			issuer.LicenseClaim = "l" + text(t, "license claim")
		}
		issuer.Algorithms = rapid.SliceOfDistinct(rapid.SampledFrom(licensing.Algorithms()), rapid.ID[string]).Draw(t, "algorithms")
		wanted := licensing.Catalog{Terms: []licensing.Term{term}, Issuers: []licensing.Issuer{issuer}}
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
		read.Prune = true
		if changes, _, err := f.ApplyCatalog(ctx, read, true, licensing.MigrationNow); err != nil || len(changes) != 0 {
			t.Fatalf("%v, %v\n%s", changes, err, file)
		}
	})
}

// An apply says what of a term differs; a prune archives terms before what they are on.
func TestApply_OfTermsAndIssuers(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	f.apply(sample(1000))
	c := licensing.Catalog{
		Terms:   []licensing.Term{noDelete("route:hello")},
		Issuers: []licensing.Issuer{{Key: "idp", Issuer: "https://idp.example", Discovery: true, Audiences: []string{"a"}, CustomerClaim: "sub"}},
	}
	f.apply(c)
	c.Terms[0].When, c.Terms[0].Priority, c.Terms[0].DisplayName = "true", 3, "All"
	c.Issuers[0].Audiences, c.Issuers[0].CustomerClaim, c.Issuers[0].LicenseClaim = []string{"b"}, "", "lic"
	want := []licensing.CatalogChange{
		{Action: "update", Kind: licensing.KindTerm, Key: "no-delete", Detail: "display_name, when, priority"},
		{Action: "update", Kind: licensing.KindIssuer, Key: "idp", Detail: "audiences, customer_claim, license_claim"},
	}
	if got := f.apply(c); !slices.Equal(got, want) {
		t.Errorf("changes %v", got)
	}
	bad := noDelete("")
	bad.When = "request.metod == ''"
	_, _, err := f.ApplyCatalog(ctx, licensing.Catalog{Terms: []licensing.Term{bad}}, false, licensing.MigrationNow)
	wantCode(t, err, licensing.InvalidArgument, `line 1, column 1: request has no "metod"`)
	if field(err) != "terms[no-delete].when" {
		t.Errorf("field %q", field(err))
	}
	var order []string
	for _, change := range f.apply(licensing.Catalog{Prune: true}) {
		order = append(order, fmt.Sprint(change.Kind, " ", change.Key))
	}
	if len(order) < 3 || !slices.Equal(order[:3], []string{"term no-delete", "issuer idp", "route hello"}) {
		t.Errorf("archived %q", order)
	}
	// What the file names again comes back, on something else where the file says so.
	_, _, err = f.ApplyCatalog(ctx, licensing.Catalog{Terms: []licensing.Term{noDelete("route:hello")}}, false, licensing.MigrationNow)
	wantCode(t, err, licensing.FailedPrecondition, "archived")
	if field(err) != "terms[no-delete].on" {
		t.Errorf("field %q", field(err))
	}
	want = []licensing.CatalogChange{
		{Action: "unarchive", Kind: licensing.KindTerm, Key: "no-delete"},
		{Action: "update", Kind: licensing.KindTerm, Key: "no-delete", Detail: "on, when, priority"},
		{Action: "unarchive", Kind: licensing.KindIssuer, Key: "idp"},
	}
	c.Terms[0] = noDelete("")
	if got := f.apply(c); !slices.Equal(got, want) {
		t.Errorf("changes %v", got)
	}
	records := f.lastRecords()
	if got := records[len(records)-1].GetTerm(); got.GetOn() != "all" || got.GetPriority() != 10 {
		t.Errorf("sent %v", records)
	}
	if got := f.apply(c); len(got) != 0 {
		t.Errorf("again: %v", got)
	}
}

// An issuer's URL has one meaning among those in use, and nodes are told of none.
func TestIssuer_IsStoredAndNotSent(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	before := f.epoch()
	idp := licensing.Issuer{Key: "idp", Issuer: "https://idp.example", JwksFile: "/etc/tollgate/jwks.json", Audiences: []string{"api"}, CustomerClaim: "sub"}
	made, epoch, err := f.CreateIssuer(ctx, idp)
	if err != nil || epoch != before || !slices.Equal(made.Algorithms, licensing.Algorithms()) {
		t.Fatalf("made %+v, epoch %v, %v", made, epoch, err)
	}
	twin := idp
	twin.Key = "twin"
	_, _, err = f.CreateIssuer(ctx, twin)
	wantCode(t, err, licensing.AlreadyExists, "issuer: ")
	twin.Issuer = "https://twin.example"
	if _, _, err := f.CreateIssuer(ctx, twin); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.UpdateIssuer(ctx, licensing.Issuer{Key: "twin", Issuer: idp.Issuer}, []string{"issuer"})
	wantCode(t, err, licensing.AlreadyExists, "issuer: ")
	next, _, err := f.UpdateIssuer(ctx, licensing.Issuer{Key: "idp", JwksURL: "https://idp.example/keys"}, []string{"jwks_url"})
	if err != nil || next.JwksFile != "" || next.JwksURL == "" || next.CustomerClaim != "sub" {
		t.Errorf("next %+v, %v", next, err)
	}
	if _, _, err := f.ArchiveIssuer(ctx, "idp"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.UpdateIssuer(ctx, licensing.Issuer{Key: "twin", Issuer: idp.Issuer}, []string{"issuer"}); err != nil {
		t.Errorf("the URL of an archived one: %v", err)
	}
	if f.epoch() != before {
		t.Errorf("epoch %v", f.epoch())
	}
}
