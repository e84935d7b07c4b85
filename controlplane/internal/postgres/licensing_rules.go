package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

func (t *licensingTx) LockHead(ctx context.Context) (licensing.Head, error) {
	if err := t.p.enter(ctx); err != nil {
		return licensing.Head{}, fmt.Errorf("wait for the head of rules: %w", err)
	}
	row, err := t.q.LockHead(ctx)
	if err != nil {
		return licensing.Head{}, fmt.Errorf("lock head of rules: %w", err)
	}
	return toHead(query.HeadRow(row)), nil
}

func (t *licensingTx) AppendEnvelope(ctx context.Context, e licensing.Envelope) error {
	generation, number := int64(e.Epoch.Generation), int64(e.Epoch.Number)
	return t.p.later(fmt.Sprintf("store change set %d.%d", generation, number)).AppendEnvelope(ctx, query.AppendEnvelopeParams{
		Generation: generation, Number: number, Previous: number - 1, Payload: e.Payload, Hash: e.Hash, StateHash: digestBytes(e.StateHash), CreatedAt: e.CreateTime,
	})
}

// digestBytes are a digest's; nil stays nil.
func digestBytes(d *decision.Digest) []byte {
	if d == nil {
		return nil
	}
	return d[:]
}

func (t *licensingTx) ReplaceDigests(ctx context.Context, digests map[string]*decision.Digest) (decision.Digest, error) {
	var sum decision.Digest
	p := query.ReplaceRuleRecordsParams{Keys: []string{}, Removed: []string{}, Digests: [][]byte{}}
	for key, d := range digests {
		if d != nil {
			p.Keys, p.Digests = append(p.Keys, key), append(p.Digests, d[:])
		} else {
			p.Removed = append(p.Removed, key)
		}
	}
	rows, err := t.q.ReplaceRuleRecords(ctx, p)
	if err != nil {
		return sum, fmt.Errorf("note digests of rules: %w", err)
	}
	for _, r := range rows {
		sum = sum.Plus(decision.Digest(r))
	}
	return sum, nil
}

func (t *licensingTx) Digests(ctx context.Context, yield func(key string, d decision.Digest) error) error {
	err := pages(func(after string) (string, int, error) {
		rows, err := t.q.RuleRecords(ctx, query.RuleRecordsParams{After: after, PageSize: rulePage})
		for _, r := range rows {
			if err := yield(r.Key, decision.Digest(r.Digest)); err != nil {
				return "", 0, err
			}
			after = r.Key
		}
		return after, len(rows), err
	})
	if err != nil {
		return fmt.Errorf("read digests of rules: %w", err)
	}
	return nil
}

func (t *licensingTx) SetStateHash(ctx context.Context, sum decision.Digest) error {
	if err := t.q.SetStateHash(ctx, sum[:]); err != nil {
		return fmt.Errorf("store the state hash: %w", err)
	}
	return nil
}

func (t *licensingTx) RuleState(ctx context.Context, yield func(licensing.Change) error) error {
	if err := ruleState(ctx, t.q, yield); err != nil {
		return fmt.Errorf("read rule state: %w", err)
	}
	return nil
}

func (t *licensingTx) CreateFleet(ctx context.Context, f licensing.Fleet) (bool, error) {
	n, err := t.q.CreateFleet(ctx, query.CreateFleetParams{
		ID: f.ID, Env: f.Env, Pepper: f.Pepper, ErrorBaseUrl: f.ErrorBaseURL,
		StaleAfter: f.StaleAfter.Seconds(), GraceAfter: f.GraceAfter.Seconds(), BlockAfter: f.BlockAfter.Seconds(),
		LoanHorizon: f.LoanHorizon.Seconds(), OfflineStart: f.OfflineStart,
	})
	if err == nil {
		err = t.q.CreateHead(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("found fleet: %w", err)
	}
	return n == 1, nil
}

func (t *licensingTx) UpdateFleet(ctx context.Context, f licensing.Fleet) error {
	err := t.q.UpdateFleet(ctx, query.UpdateFleetParams{
		ErrorBaseUrl: f.ErrorBaseURL,
		StaleAfter:   f.StaleAfter.Seconds(), GraceAfter: f.GraceAfter.Seconds(), BlockAfter: f.BlockAfter.Seconds(),
		LoanHorizon: f.LoanHorizon.Seconds(), OfflineStart: f.OfflineStart,
	})
	if err != nil {
		return fmt.Errorf("write fleet: %w", err)
	}
	return nil
}

func (t *licensingTx) References(ctx context.Context, kind licensing.Kind, id string, now time.Time, limit int) ([]licensing.Reference, error) {
	var out []licensing.Reference
	add := func(kind licensing.Kind, ids []string) {
		for _, id := range ids {
			out = append(out, licensing.Reference{Kind: kind, ID: id})
		}
	}
	var err error
	switch kind {
	case licensing.KindMeter:
		var rows []query.MeterReferencesRow
		rows, err = t.q.MeterReferences(ctx, query.MeterReferencesParams{Meter: id, PageSize: int32(limit)})
		for _, r := range rows {
			add(licensing.Kind(r.Kind), []string{r.ID})
		}
	case licensing.KindFeature:
		var rows []query.FeatureReferencesRow
		rows, err = t.q.FeatureReferences(ctx, query.FeatureReferencesParams{Feature: id, Now: now, PageSize: int32(limit)})
		for _, r := range rows {
			add(licensing.Kind(r.Kind), []string{r.ID})
		}
	case licensing.KindService:
		var ids []string
		ids, err = t.q.UpstreamReferences(ctx, query.UpstreamReferencesParams{Service: id, PageSize: int32(limit)})
		add(licensing.KindRoute, ids)
	case licensing.KindRoute:
		// Terms alone, below.
	case licensing.KindAddOn:
		var ids []string
		ids, err = t.q.AddOnReferences(ctx, query.AddOnReferencesParams{AddOn: id, Now: now, PageSize: int32(limit)})
		add(licensing.KindLicense, ids)
	case licensing.KindPlan, licensing.KindCustomer:
		p := query.LicenseReferencesParams{Now: now, PageSize: int32(limit)}
		if kind == licensing.KindPlan {
			p.Plan = &id
		} else {
			p.Customer = &id
		}
		var ids []string
		ids, err = t.q.LicenseReferences(ctx, p)
		add(licensing.KindLicense, ids)
	default:
		err = fmt.Errorf("nothing refers to a %s", kind)
	}
	if err == nil && len(out) < limit && (kind == licensing.KindRoute || kind == licensing.KindPlan || kind == licensing.KindCustomer) {
		var ids []string
		ids, err = t.q.TermReferences(ctx, query.TermReferencesParams{Subject: string(kind) + ":" + id, PageSize: int32(limit - len(out))})
		add(licensing.KindTerm, ids)
	}
	if err != nil {
		return nil, fmt.Errorf("references to %s %s: %w", kind, id, err)
	}
	return out, nil
}

// rulePage is how many rows of a large table are held at once.
const rulePage = 1000

// RuleState calls yield for every object of the rules, as they are at the head that it returns: the settings first, what
// others refer to before what refers to it. It reads in one transaction that sees one state. An error of yield ends it.
// The objects are yield's to keep. It runs once, and is not tried again.
func (db *DB) RuleState(ctx context.Context, yield func(licensing.Head, licensing.Change) error) (licensing.Head, error) {
	var head licensing.Head
	o := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, db.pool, o, func(tx pgx.Tx) error {
		q := db.q.WithTx(tx)
		// The first statement takes the snapshot.
		row, err := q.Head(ctx)
		if err != nil {
			return err
		}
		head = toHead(row)
		return ruleState(ctx, q, func(c licensing.Change) error { return yield(head, c) })
	})
	if err != nil {
		return licensing.Head{}, fmt.Errorf("read rule state: %w", err)
	}
	return head, nil
}

func ruleState(ctx context.Context, q *query.Queries, yield func(licensing.Change) error) error {
	fleet, err := q.Fleet(ctx)
	if err != nil {
		return err
	}
	if err := yield(new(toFleet(fleet))); err != nil {
		return err
	}
	if err := yieldCatalog(ctx, q, yield); err != nil {
		return err
	}
	return yieldHolders(ctx, q, yield)
}

// yieldCatalog yields what there is little of.
func yieldCatalog(ctx context.Context, q *query.Queries, yield func(licensing.Change) error) error {
	upstreams, err := q.RuleUpstreams(ctx)
	if err := each(upstreams, err, sure(toUpstream), func(v *licensing.Upstream) error { return yield(v) }); err != nil {
		return err
	}
	meters, err := q.RuleMeters(ctx)
	if err := each(meters, err, sure(toMeter), func(v *licensing.Meter) error { return yield(v) }); err != nil {
		return err
	}
	features, err := q.RuleFeatures(ctx)
	if err := each(features, err, sure(toFeature), func(v *licensing.Feature) error { return yield(v) }); err != nil {
		return err
	}
	versions, err := q.RulePlanVersions(ctx)
	if err := each(versions, err, toPlanVersion, func(v *licensing.PlanVersion) error { return yield(v) }); err != nil {
		return err
	}
	addOns, err := q.RuleAddOns(ctx)
	toRow := func(r query.RuleAddOnsRow) (licensing.AddOn, error) { return toAddOn(r.AddOn, r.AddOnVersion) }
	if err := each(addOns, err, toRow, func(v *licensing.AddOn) error { return yield(v) }); err != nil {
		return err
	}
	routes, err := q.LiveRoutes(ctx)
	if err := each(routes, err, sure(toRoute), func(v *licensing.Route) error { return yield(v) }); err != nil {
		return err
	}
	terms, err := q.RuleTerms(ctx)
	return each(terms, err, sure(toTerm), func(v *licensing.Term) error { return yield(v) })
}

// yieldHolders yields customers, licences and keys, page by page.
func yieldHolders(ctx context.Context, q *query.Queries, yield func(licensing.Change) error) error {
	err := pages(func(after string) (string, int, error) {
		rows, err := q.RuleCustomers(ctx, query.RuleCustomersParams{After: after, PageSize: rulePage})
		err = each(rows, err, toCustomer, func(v *licensing.Customer) error { after = v.ID; return yield(v) })
		return after, len(rows), err
	})
	if err != nil {
		return err
	}
	err = pages(func(after string) (string, int, error) {
		rows, err := q.RuleLicenses(ctx, query.RuleLicensesParams{After: after, PageSize: rulePage})
		err = each(rows, err, toLicense, func(v *licensing.License) error { after = v.ID; return yield(v) })
		return after, len(rows), err
	})
	if err != nil {
		return err
	}
	return pages(func(after string) (string, int, error) {
		rows, err := q.RuleAPIKeys(ctx, query.RuleAPIKeysParams{After: after, PageSize: rulePage})
		err = each(rows, err, toAPIKey, func(v *licensing.APIKey) error { after = v.ID; return yield(v) })
		return after, len(rows), err
	})
}

// pages calls read until a page is not full.
func pages(read func(after string) (next string, rows int, err error)) error {
	after, rows, err := "", rulePage, error(nil)
	for rows == rulePage && err == nil {
		after, rows, err = read(after)
	}
	return err
}

func each[R, T any](rows []R, err error, to func(R) (T, error), yield func(*T) error) error {
	if err != nil {
		return err
	}
	for _, r := range rows {
		v, err := to(r)
		if err != nil {
			return err
		}
		if err := yield(&v); err != nil {
			return err
		}
	}
	return nil
}
