package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// licensingTx implements licensing.Tx.
type licensingTx struct {
	reader
	p        *pipeline
	q, lists *query.Queries // As those of DB.
}

func newLicensingTx(p *pipeline) *licensingTx {
	by := func(q *query.Queries) func(context.Context, func(context.Context, *query.Queries) error) error {
		return func(ctx context.Context, f func(context.Context, *query.Queries) error) error { return f(ctx, q) }
	}
	q, lists := query.New(p), query.New(planned{p})
	return &licensingTx{reader: reader{run: by(q), runList: by(lists)}, p: p, q: q, lists: lists}
}

var _ licensing.Tx = (*licensingTx)(nil)

func (t *licensingTx) InsertCustomer(ctx context.Context, c licensing.Customer) (licensing.Customer, error) {
	metadata, err := metadataJSON(c.Metadata)
	if err != nil {
		return c, err
	}
	row, err := t.q.InsertCustomer(ctx, query.InsertCustomerParams{
		ID: c.ID, ExternalID: c.ExternalID, DisplayName: c.DisplayName, TimeZone: c.TimeZone, Metadata: metadata,
		CreatedAt: c.CreateTime, UpdatedAt: c.UpdateTime,
	})
	if err != nil {
		return c, taken(err, licensing.KindCustomer, "external_id", c.ExternalID)
	}
	return toCustomer(row)
}

func (t *licensingTx) UpdateCustomer(ctx context.Context, c licensing.Customer) (licensing.Customer, error) {
	metadata, err := metadataJSON(c.Metadata)
	if err != nil {
		return c, err
	}
	row, err := t.q.UpdateCustomer(ctx, query.UpdateCustomerParams{
		ID: c.ID, ExternalID: c.ExternalID, DisplayName: c.DisplayName, TimeZone: c.TimeZone, Metadata: metadata,
		UpdatedAt: c.UpdateTime, ArchivedAt: nullable(c.ArchiveTime),
	})
	if err != nil {
		return c, taken(err, licensing.KindCustomer, "external_id", c.ExternalID)
	}
	return toCustomer(row)
}

func metadataJSON(m map[string]string) ([]byte, error) {
	if m == nil {
		m = map[string]string{}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return b, nil
}

func (t *licensingTx) InsertMeter(ctx context.Context, m licensing.Meter) (licensing.Meter, error) {
	row, err := t.q.InsertMeter(ctx, query.InsertMeterParams{
		Key: m.Key, DisplayName: m.DisplayName, Aggregation: string(m.Aggregation),
		CreatedAt: m.CreateTime, UpdatedAt: m.UpdateTime,
	})
	return toMeter(row), taken(err, licensing.KindMeter, "key", m.Key)
}

func (t *licensingTx) UpdateMeter(ctx context.Context, m licensing.Meter) (licensing.Meter, error) {
	row, err := t.q.UpdateMeter(ctx, query.UpdateMeterParams{
		Key: m.Key, DisplayName: m.DisplayName, UpdatedAt: m.UpdateTime, ArchivedAt: nullable(m.ArchiveTime),
	})
	return toMeter(row), failed(err, "write", licensing.KindMeter)
}

func (t *licensingTx) InsertFeature(ctx context.Context, f licensing.Feature) (licensing.Feature, error) {
	row, err := t.q.InsertFeature(ctx, query.InsertFeatureParams{
		Key: f.Key, DisplayName: f.DisplayName, Type: string(f.Type), Meter: nullText(f.Meter),
		CreatedAt: f.CreateTime, UpdatedAt: f.UpdateTime,
	})
	return toFeature(row), taken(err, licensing.KindFeature, "key", f.Key)
}

func (t *licensingTx) UpdateFeature(ctx context.Context, f licensing.Feature) (licensing.Feature, error) {
	row, err := t.q.UpdateFeature(ctx, query.UpdateFeatureParams{
		Key: f.Key, DisplayName: f.DisplayName, UpdatedAt: f.UpdateTime, ArchivedAt: nullable(f.ArchiveTime),
	})
	return toFeature(row), failed(err, "write", licensing.KindFeature)
}

func (t *licensingTx) InsertPlan(ctx context.Context, p licensing.Plan) (licensing.Plan, error) {
	err := t.q.InsertPlan(ctx, query.InsertPlanParams{
		Key: p.Key, DisplayName: p.DisplayName, CreatedAt: p.CreateTime, UpdatedAt: p.UpdateTime,
	})
	if err != nil {
		return p, taken(err, licensing.KindPlan, "key", p.Key)
	}
	return t.Plan(ctx, p.Key)
}

func (t *licensingTx) UpdatePlan(ctx context.Context, p licensing.Plan) (licensing.Plan, error) {
	_, err := t.q.UpdatePlan(ctx, query.UpdatePlanParams{
		Key: p.Key, DisplayName: p.DisplayName, UpdatedAt: p.UpdateTime, ArchivedAt: nullable(p.ArchiveTime),
	})
	if err != nil {
		return p, failed(err, "write", licensing.KindPlan)
	}
	return t.Plan(ctx, p.Key)
}

func (t *licensingTx) InsertPlanVersion(ctx context.Context, v licensing.PlanVersion) (licensing.PlanVersion, error) {
	entitlements, limits, cards, err := grantsOf(&v)
	if err != nil {
		return v, failed(err, "encode", licensing.KindPlanVersion)
	}
	row, err := t.q.InsertPlanVersion(ctx, query.InsertPlanVersionParams{
		Plan: v.Plan, Version: int32(v.Version), State: string(v.State),
		Entitlements: entitlements, RateLimits: limits, RateCards: cards, TrialDays: int32(v.TrialDays),
		CreatedAt: v.CreateTime, PublishedAt: nullable(v.PublishTime), EffectiveAt: nullable(v.EffectiveAt),
	})
	if err != nil {
		return v, taken(err, licensing.KindPlanVersion, "version", licensing.VersionID(v.Plan, v.Version))
	}
	return toPlanVersion(row)
}

func (t *licensingTx) UpdatePlanVersion(ctx context.Context, v licensing.PlanVersion) (licensing.PlanVersion, error) {
	entitlements, limits, cards, err := grantsOf(&v)
	if err != nil {
		return v, failed(err, "encode", licensing.KindPlanVersion)
	}
	row, err := t.q.UpdatePlanVersion(ctx, query.UpdatePlanVersionParams{
		Plan: v.Plan, Version: int32(v.Version), State: string(v.State),
		Entitlements: entitlements, RateLimits: limits, RateCards: cards, TrialDays: int32(v.TrialDays), PublishedAt: nullable(v.PublishTime),
		EffectiveAt: nullable(v.EffectiveAt),
	})
	if err != nil {
		return v, missing(err, licensing.KindPlanVersion, licensing.VersionID(v.Plan, v.Version))
	}
	return toPlanVersion(row)
}

func (t *licensingTx) NewestVersion(ctx context.Context, plan string) (uint32, error) {
	n, err := t.q.NewestVersion(ctx, plan)
	return uint32(n), failed(err, "read", licensing.KindPlanVersion)
}

func (t *licensingTx) RenumberDraft(ctx context.Context, plan string, to uint32) error {
	n, err := t.q.RenumberDraft(ctx, query.RenumberDraftParams{Plan: plan, Version: int32(to)})
	if err == nil && n != 1 {
		err = fmt.Errorf("plan %s has %d drafts", plan, n)
	}
	return failed(err, "renumber", licensing.KindPlanVersion)
}

func (t *licensingTx) ArchivePlanVersions(ctx context.Context, plan string) ([]uint32, error) {
	rows, err := t.q.ArchivePlanVersions(ctx, plan)
	var published []uint32
	for _, r := range rows {
		if r.PublishedAt != nil {
			published = append(published, uint32(r.Version))
		}
	}
	slices.Sort(published)
	return published, failed(err, "archive", licensing.KindPlanVersion)
}

func (t *licensingTx) RestorePlanVersions(ctx context.Context, plan string) ([]licensing.PlanVersion, error) {
	rows, err := t.q.RestorePlanVersions(ctx, plan)
	if err != nil {
		return nil, failed(err, "restore", licensing.KindPlanVersion)
	}
	slices.SortFunc(rows, func(a, b query.PlanVersion) int { return cmp.Compare(a.Version, b.Version) })
	return all(rows, toPlanVersion)
}

func (t *licensingTx) InsertUpstream(ctx context.Context, u licensing.Upstream) (licensing.Upstream, error) {
	row, err := t.q.InsertUpstream(ctx, query.InsertUpstreamParams{
		Key: u.Key, DisplayName: u.DisplayName, Endpoints: u.Endpoints, CreatedAt: u.CreateTime, UpdatedAt: u.UpdateTime,
	})
	return toUpstream(row), taken(err, licensing.KindService, "key", u.Key)
}

func (t *licensingTx) UpdateUpstream(ctx context.Context, u licensing.Upstream) (licensing.Upstream, error) {
	row, err := t.q.UpdateUpstream(ctx, query.UpdateUpstreamParams{
		Key: u.Key, DisplayName: u.DisplayName, Endpoints: u.Endpoints,
		UpdatedAt: u.UpdateTime, ArchivedAt: nullable(u.ArchiveTime),
	})
	return toUpstream(row), failed(err, "write", licensing.KindService)
}

func (t *licensingTx) InsertRoute(ctx context.Context, r licensing.Route) (licensing.Route, error) {
	row, err := t.q.InsertRoute(ctx, query.InsertRouteParams{
		Key: r.Key, DisplayName: r.DisplayName, Service: r.Service, Host: r.Match.Host, Path: r.Match.Path,
		Methods: filled(r.Match.Methods), Requires: filled(r.Requires), Meter: nullText(r.Meter), CostFixed: r.Units(),
		BillOpenIntents: r.BillsOpenIntents(), OnStale: string(r.StalePolicy()), CreatedAt: r.CreateTime, UpdatedAt: r.UpdateTime,
	})
	return toRoute(row), taken(err, licensing.KindRoute, "key", r.Key)
}

func (t *licensingTx) UpdateRoute(ctx context.Context, r licensing.Route) (licensing.Route, error) {
	row, err := t.q.UpdateRoute(ctx, query.UpdateRouteParams{
		Key: r.Key, DisplayName: r.DisplayName, Service: r.Service, Host: r.Match.Host, Path: r.Match.Path,
		Methods: filled(r.Match.Methods), Requires: filled(r.Requires), Meter: nullText(r.Meter), CostFixed: r.Units(),
		BillOpenIntents: r.BillsOpenIntents(), OnStale: string(r.StalePolicy()), UpdatedAt: r.UpdateTime, ArchivedAt: nullable(r.ArchiveTime),
	})
	return toRoute(row), failed(err, "write", licensing.KindRoute)
}

// filled: an array column that is empty, not null.
func filled(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (t *licensingTx) InsertToken(ctx context.Context, k licensing.Token) (licensing.Token, error) {
	row, err := t.q.InsertToken(ctx, query.InsertTokenParams{
		ID: k.ID, DisplayName: k.DisplayName, Role: string(k.Role), Hash: k.Hash[:], CreatedAt: k.CreateTime,
	})
	if err != nil {
		return k, taken(err, licensing.KindToken, "id", k.ID)
	}
	return toToken(row)
}

func (t *licensingTx) RevokeToken(ctx context.Context, id string, at time.Time) (licensing.Token, error) {
	row, err := t.q.RevokeToken(ctx, query.RevokeTokenParams{ID: id, RevokedAt: &at})
	if err != nil {
		return licensing.Token{}, missing(err, licensing.KindToken, id)
	}
	return toToken(row)
}
