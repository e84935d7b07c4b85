package lender_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/lender"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bootID is a boot's id that ends in name.
func bootID(name string) string { return strings.Repeat("0", 32-len(name)) + name }

// world is a licence with limits, in a database of its own.
type world struct {
	db      *postgres.DB
	license string

	mu      sync.Mutex
	recalls []*lendv1.Recall
	// onRecall is called for each recall, before it counts as sent.
	onRecall func(*lendv1.LoanKey)
}

func setup(t *testing.T, quota licensing.Quota, rates ...licensing.RateLimit) *world {
	t.Helper()
	w := &world{db: pgtest.Open(t)}
	api, err := licensing.New(licensing.Config{Store: w.db.Licensing(), Encoder: rulefeed.Encoder{}})
	must(t, err)
	ctx := t.Context()
	_, err = api.Bootstrap(ctx, licensing.Founding{ID: "test", ErrorBaseURL: "http://127.0.0.1"})
	must(t, err)
	_, _, err = api.CreateMeter(ctx, licensing.Meter{Key: "requests", Aggregation: licensing.Count})
	must(t, err)
	_, _, err = api.CreateFeature(ctx, licensing.Feature{Key: "calls", Type: licensing.Metered, Meter: "requests"})
	must(t, err)
	_, _, err = api.CreatePlan(ctx, licensing.Plan{Key: "free"})
	must(t, err)
	draft, _, err := api.CreatePlanDraft(ctx, "free", 0)
	must(t, err)
	draft.Entitlements = []licensing.Entitlement{{Feature: "calls", Quota: &quota}}
	draft.RateLimits = rates
	_, _, err = api.UpdatePlanDraft(ctx, draft, []string{"entitlements", "rate_limits"})
	must(t, err)
	_, _, _, err = api.PublishPlanVersion(ctx, "free", draft.Version, licensing.Publication{Migration: licensing.MigrationNewOnly})
	must(t, err)
	customer, _, err := api.CreateCustomer(ctx, licensing.Customer{ExternalID: "c", TimeZone: "Europe/Berlin"})
	must(t, err)
	issued, _, err := api.IssueLicense(ctx, licensing.License{Customer: customer.ID, Plan: "free"})
	must(t, err)
	w.license = issued.ID
	return w
}

// lender is a control plane's lender.
func (w *world) lender() *lender.Lender {
	return lender.New(lender.Config{
		Store: w.db.Lending(), Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Recall: func(data []byte) error {
			var r lendv1.Recall
			if err := proto.Unmarshal(data, &r); err != nil {
				return err
			}
			w.mu.Lock()
			w.recalls = append(w.recalls, &r)
			w.mu.Unlock()
			if w.onRecall != nil {
				w.onRecall(r.GetKey())
			}
			return nil
		},
	})
}

func (w *world) recalled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.recalls)
}

// key is the quota's key of the month that contains at.
func (w *world) key(start time.Time) *lendv1.LoanKey {
	return &lendv1.LoanKey{
		Kind: lendv1.LoanKind_LOAN_KIND_QUOTA, License: w.license, Limit: "requests",
		PeriodStart: start.Unix(), PeriodEnd: start.AddDate(0, 1, 0).Unix(), CounterGeneration: 1,
	}
}

func loanKey(k *lendv1.LoanKey) metering.LoanKey {
	return metering.LoanKey{License: k.GetLicense(), Meter: k.GetLimit(), PeriodStart: k.GetPeriodStart(), PeriodEnd: k.GetPeriodEnd(), Generation: k.GetCounterGeneration()}
}

type answerFunc func(ctx context.Context, node string, data []byte) []byte

// lend sends asks of a boot and returns the loans.
func lend(t *testing.T, answer answerFunc, boot string, asks ...*lendv1.Ask) []*lendv1.Loan {
	t.Helper()
	raw, err := proto.Marshal(&lendv1.LendRequest{Node: "n", Boot: boot, Asks: asks})
	must(t, err)
	reply := answer(t.Context(), "n", raw)
	if reply == nil {
		t.Fatal("no answer")
	}
	var res lendv1.LendResponse
	must(t, proto.Unmarshal(reply, &res))
	if len(res.GetLoans()) != len(asks) {
		t.Fatalf("%d loans for %d asks", len(res.GetLoans()), len(asks))
	}
	return res.GetLoans()
}

// closeBoot commits a boot's only segment, which says that it spent units of a quota.
func closeBoot(ctx context.Context, db *postgres.DB, boot string, key metering.LoanKey, spent int64) error {
	e := metering.NewEntries(0)
	e.Movement.Loans[key] = spent
	_, err := db.Ledger().Commit(ctx, []metering.Segment{{
		Place:   metering.Place{Node: "n", Boot: boot, Number: 1, Hash: []byte(boot), SealedAt: time.Now(), Final: true},
		Entries: e,
	}})
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
