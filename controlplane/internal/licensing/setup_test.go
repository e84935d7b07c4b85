package licensing_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// clock is the tests' time: it stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a service on a database of its own.
type fixture struct {
	*licensing.Service
	t     *testing.T
	db    *postgres.DB
	url   string
	clock *clock
}

func setup(t *testing.T) *fixture {
	t.Helper()
	url := pgtest.Database(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c := &clock{now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	s, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bootstrap(t.Context(), licensing.Founding{ID: "test", Env: "test", ErrorBaseURL: "http://errors.test"}); err != nil {
		t.Fatal(err)
	}
	return &fixture{Service: s, t: t, db: db, url: url, clock: c}
}

// sample is what the sample catalog sells, with another limit on calls.
func sample(limit int64) licensing.Catalog {
	return licensing.Catalog{
		Meters: []licensing.Meter{{Key: "requests", Aggregation: licensing.Count}},
		Features: []licensing.Feature{
			{Key: "reports", Type: licensing.Boolean},
			{Key: "calls", Type: licensing.Metered, Meter: "requests"},
		},
		Plans: []licensing.CatalogPlan{{
			Key: "free", DisplayName: "Free",
			Entitlements: []licensing.Entitlement{
				{Feature: "calls", Quota: &licensing.Quota{Limit: limit, Period: licensing.Month}},
			},
			RateLimits: []licensing.RateLimit{{Key: "free-rate", Limit: 5, Per: time.Second}},
			RateCards:  []licensing.RateCard{{Key: "base", Kind: "flat", Amount: "0.00", Currency: "USD"}},
		}},
		Services: []licensing.Upstream{{Key: "sample", Endpoints: []string{"http://127.0.0.1:9000/"}}},
		Routes: []licensing.Route{
			{Key: "reports", Service: "sample", Match: licensing.RouteMatch{Path: "/reports/*", Methods: []string{"GET"}}, Requires: []string{"reports"}, Meter: "requests"},
			{Key: "hello", Service: "sample", Match: licensing.RouteMatch{Path: "/hello"}},
		},
	}
}

func (f *fixture) apply(c licensing.Catalog) []licensing.CatalogChange {
	f.t.Helper()
	changes, _, err := f.ApplyCatalog(f.t.Context(), c, false, licensing.MigrationDefault)
	if err != nil {
		f.t.Fatal(err)
	}
	return changes
}

func (f *fixture) customer(external string) licensing.Customer {
	f.t.Helper()
	c, _, err := f.CreateCustomer(f.t.Context(), licensing.Customer{ExternalID: external})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// license issues one on plan free to a new customer.
func (f *fixture) license(external string) licensing.License {
	f.t.Helper()
	l, _, err := f.IssueLicense(f.t.Context(), licensing.License{Customer: f.customer(external).ID, Plan: "free"})
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

func (f *fixture) epoch() licensing.Epoch {
	f.t.Helper()
	e, err := f.Epoch(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return e
}

// chain reads all envelopes, and checks that they are one chain without gaps that ends at the head.
func (f *fixture) chain() []*rulesv1.Envelope {
	f.t.Helper()
	var all []*rulesv1.Envelope
	var previous []byte
	for {
		n := len(all)
		err := f.db.Outbox().Envelopes(f.t.Context(), decision.Epoch{Generation: 1, Number: uint64(n)}, 500,
			func(at decision.Epoch, payload []byte, _ time.Time) error {
				var e rulesv1.Envelope
				if err := proto.Unmarshal(payload, &e); err != nil {
					return err
				}
				if at.Generation != 1 || e.GetGeneration() != 1 || e.GetFleet() != "test" || e.GetTo() != at.Number ||
					e.GetFrom() != uint64(len(all)) || e.GetTo() != e.GetFrom()+1 || !bytes.Equal(e.GetPreviousHash(), previous) {
					f.t.Errorf("envelope %v after %d: from %d to %d of %s, previous hash %x, want %x",
						at, len(all), e.GetFrom(), e.GetTo(), e.GetFleet(), e.GetPreviousHash(), previous)
				}
				sum := sha256.Sum256(payload)
				previous = sum[:]
				all = append(all, &e)
				return nil
			})
		if err != nil {
			f.t.Fatal(err)
		}
		if len(all) == n {
			break
		}
	}
	head, hash, err := f.db.Outbox().Head(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if head.Number != uint64(len(all)) || !bytes.Equal(hash, previous) {
		f.t.Errorf("head is %v %x, want %d %x", head, hash, len(all), previous)
	}
	return all
}

// wantCode checks an error's code, and that it says what it should.
func wantCode(t *testing.T, err error, code licensing.Code, says ...string) {
	t.Helper()
	if licensing.CodeOf(err) != code {
		t.Fatalf("error %v has code %q, want %q", err, licensing.CodeOf(err), code)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

func field(err error) string {
	if e, ok := errors.AsType[*licensing.Error](err); ok {
		return e.Field
	}
	return ""
}
