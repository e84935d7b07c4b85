package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/lending"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

// Lending is lender.Store. The arithmetic of a grant is in the database's functions lend_quota and lend_rate.
type Lending struct {
	db *DB

	// plans holds what published versions lend: they never change.
	mu    sync.Mutex
	plans map[lending.PlanVersion]*lending.Limits
}

// maxPlans bounds the plan versions that are remembered; all are forgotten when there are more.
const maxPlans = 10_000

// Lending is the port of the lender.
func (db *DB) Lending() *Lending {
	return &Lending{db: db, plans: map[lending.PlanVersion]*lending.Limits{}}
}

// Terms reads licences and their add-ons afresh, for people may have changed them, and what their plans lend.
func (s *Lending) Terms(ctx context.Context, licenses []string) (map[string]lending.Terms, error) {
	terms := make(map[string]lending.Terms, len(licenses))
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) error {
		rows, err := q.LendTerms(ctx, licenses)
		if err != nil {
			return err
		}
		licenses, err := all(rows, func(r query.LendTermsRow) (licensing.License, error) { return toLicense(r.License) })
		if err != nil {
			return err
		}
		addOns, err := addOnsOf(ctx, q, licenses)
		if err != nil {
			return err
		}
		for i, r := range rows {
			l := &licenses[i]
			t := lending.Terms{License: l.Rule(), Plans: map[lending.PlanVersion]*lending.Limits{}, AddOns: addOns}
			t.Grants = grantsOfLicense(l.Grants)
			if t.Zone, err = time.LoadLocation(r.TimeZone); err != nil {
				return fmt.Errorf("time zone of licence %s: %w", l.ID, err)
			}
			if t.Meters, err = metersOf(ctx, q, &t.License); err != nil {
				return err
			}
			for _, p := range append([]decision.Phase{t.License.Phase}, t.License.Next...) {
				v := lending.PlanVersion{Plan: p.Plan, Version: p.PlanVersion}
				if t.Plans[v], err = s.plan(ctx, q, v); err != nil {
					return err
				}
			}
			terms[l.ID] = t
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read terms: %w", err)
	}
	return terms, nil
}

func (s *Lending) plan(ctx context.Context, q *query.Queries, v lending.PlanVersion) (*lending.Limits, error) {
	s.mu.Lock()
	t, ok := s.plans[v]
	s.mu.Unlock()
	if ok {
		return t, nil
	}
	row, err := q.PlanVersion(ctx, query.PlanVersionParams{Plan: v.Plan, Version: int32(v.Version)})
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", licensing.VersionID(v.Plan, v.Version), err)
	}
	pv, err := toPlanVersion(row)
	if err != nil {
		return nil, err
	}
	if t, err = lent(ctx, q, &pv); err != nil {
		return nil, err
	}
	if pv.State == licensing.Draft {
		return t, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.plans) >= maxPlans {
		clear(s.plans)
	}
	s.plans[v] = t
	return t, nil
}

// lent are the limits of a version of which units are lent.
func lent(ctx context.Context, q *query.Queries, v *licensing.PlanVersion) (*lending.Limits, error) {
	t := &lending.Limits{Rates: map[string]decision.RateLimit{}}
	for i := range v.RateLimits {
		t.Rates[v.RateLimits[i].Key] = v.RateLimits[i].Rule()
	}
	features, err := featuresOf(ctx, q, v.Entitlements)
	if err != nil {
		return nil, err
	}
	t.Granted, err = licensing.Granted(v.Entitlements, features)
	return t, err
}

// featuresOf are the features of entitlements, by key.
func featuresOf(ctx context.Context, q *query.Queries, all []licensing.Entitlement) (map[string]*licensing.Feature, error) {
	keys := make([]string, len(all))
	for i := range all {
		keys[i] = all[i].Feature
	}
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := q.FeaturesNamed(ctx, keys)
	if err != nil {
		return nil, err
	}
	features := make(map[string]*licensing.Feature, len(rows))
	for _, r := range rows {
		features[r.Key] = new(toFeature(r))
	}
	return features, nil
}

// addOnsOf are what the add-ons of licences grant, by key. They may change at any time, so none are remembered.
func addOnsOf(ctx context.Context, q *query.Queries, licenses []licensing.License) (map[string]*decision.Granted, error) {
	var keys []string
	for i := range licenses {
		for _, a := range licenses[i].AddOns {
			keys = append(keys, a.AddOn)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := q.AddOnsNamed(ctx, keys)
	if err != nil {
		return nil, err
	}
	granted := make(map[string]*decision.Granted, len(rows))
	for _, r := range rows {
		a, err := toAddOn(r.AddOn, r.AddOnVersion)
		if err != nil {
			return nil, err
		}
		if a.Archived() {
			continue
		}
		features, err := featuresOf(ctx, q, a.Entitlements)
		if err != nil {
			return nil, err
		}
		if granted[a.Key], err = licensing.Granted(a.Entitlements, features); err != nil {
			return nil, fmt.Errorf("add-on %s: %w", a.Key, err)
		}
	}
	return granted, nil
}

// metersOf are the meters of the features that a licence has overrides and grants for.
func metersOf(ctx context.Context, q *query.Queries, l *decision.License) (map[string]string, error) {
	var features []string
	for i := range l.Overrides {
		if f := l.Overrides[i].Feature; f != "" {
			features = append(features, f)
		}
	}
	for i := range l.Grants {
		features = append(features, l.Grants[i].Feature)
	}
	if len(features) == 0 {
		return nil, nil
	}
	rows, err := q.FeaturesNamed(ctx, features)
	if err != nil {
		return nil, err
	}
	meters := make(map[string]string, len(rows))
	for _, f := range rows {
		meters[f.Key] = text(f.Meter)
	}
	return meters, nil
}

// grantsOfLicense are a licence's grants in burn order.
func grantsOfLicense(grants []licensing.Grant) []lending.Grant {
	ordered, before := licensing.BurnOrder(grants)
	out := make([]lending.Grant, len(ordered))
	for i := range ordered {
		out[i] = lending.Grant{Grant: ordered[i].Rule(), Before: i < before}
	}
	return out
}

// Lend answers asks in one transaction. Pools are locked in one order, so that two requests do not wait for each other in a
// circle.
func (s *Lending) Lend(ctx context.Context, boot string, nodes int, asks []lending.Ask) ([]lending.Loan, error) {
	if len(asks) == 0 {
		return nil, nil
	}
	order := make([]int, len(asks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareKeys(asks[a].Key, asks[b].Key) })
	loans := make([]lending.Loan, len(asks))
	err := s.db.inTx(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error {
		q := query.New(tx)
		for _, i := range order {
			var err error
			if asks[i].Key.Kind == decision.QuotaLoan {
				loans[i], err = lendQuota(ctx, q, boot, nodes, &asks[i])
			} else {
				loans[i], err = lendRate(ctx, q, boot, nodes, &asks[i])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lend to boot %s: %w", boot, err)
	}
	return loans, nil
}

func compareKeys(a, b decision.LoanKey) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.License, b.License), cmp.Compare(a.Limit, b.Limit),
		cmp.Compare(a.PeriodStart, b.PeriodStart), cmp.Compare(a.PeriodEnd, b.PeriodEnd), cmp.Compare(a.Generation, b.Generation))
}

func lendQuota(ctx context.Context, q *query.Queries, boot string, nodes int, a *lending.Ask) (lending.Loan, error) {
	grants, units, before := []string{}, []int64{}, int32(0)
	for i := range a.Grants {
		g := &a.Grants[i]
		grants, units = append(grants, g.ID), append(units, g.Units)
		if g.Before {
			before++
		}
	}
	r, err := q.LendQuota(ctx, query.LendQuotaParams{
		Boot: boot, License: a.Key.License, Meter: a.Key.Limit,
		PeriodStart: a.Key.PeriodStart, PeriodEnd: periodEnd(a.Key.PeriodEnd), Generation: int64(a.Key.Generation), Units: a.Units,
		Rollover: a.Rollover, PrevStart: a.Before.PeriodStart, PrevEnd: a.Before.PeriodEnd, PrevLimit: a.Before.Units,
		Grants: grants, GrantUnits: units, GrantsBefore: before,
		Waiting: a.Waiting, Want: a.Want, Nodes: int64(nodes), Spent: a.Spent, Returned: a.Returned,
	})
	if err != nil {
		return lending.Loan{}, fmt.Errorf("quota %s of licence %s: %w", a.Key.Limit, a.Key.License, err)
	}
	return lending.Loan{Closed: r.Closed, Granted: r.Granted, Grant: r.Added, Remaining: r.Remaining, Idle: r.Idle}, nil
}

// periodEnd is what a lifetime's end is stored as: every other end is before it.
func periodEnd(unix int64) int64 {
	if unix == 0 {
		return math.MaxInt64
	}
	return unix
}

func lendRate(ctx context.Context, q *query.Queries, boot string, nodes int, a *lending.Ask) (lending.Loan, error) {
	r, err := q.LendRate(ctx, query.LendRateParams{
		Boot: boot, License: a.Key.License, RateLimit: a.Key.Limit, PerSecond: a.PerSecond, Burst: a.Burst,
		Waiting: a.Waiting, Want: a.Want, Nodes: int64(nodes), Closed: a.Spent + a.Returned, Lives: lending.Lives.Seconds(),
	})
	if err != nil {
		return lending.Loan{}, fmt.Errorf("rate limit %s of licence %s: %w", a.Key.Limit, a.Key.License, err)
	}
	return lending.Loan{Granted: r.Granted, Grant: r.Added, RetryAfter: time.Duration(r.RetryAfter * float64(time.Second))}, nil
}

// Blocked is why a node gets no loans; empty: it is not blocked.
func (s *Lending) Blocked(ctx context.Context, node string) (string, error) {
	var row query.BlockedNode
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		row, err = q.NodeBlock(ctx, node)
		return err
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("look whether node %s is blocked: %w", node, err)
	}
	return row.Reason, nil
}

// LiveNodes counts the nodes that have reported within five seconds.
func (s *Lending) LiveNodes(ctx context.Context) (int, error) {
	var n int64
	err := s.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		n, err = q.LiveNodes(ctx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count live nodes: %w", err)
	}
	return int(n), nil
}
