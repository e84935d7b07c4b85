package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// Fleet implements licensing.Reader.
func (r reader) Fleet(ctx context.Context) (licensing.Fleet, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.FleetRow, error) { return q.Fleet(ctx) })
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.Fleet{}, &licensing.Error{Code: licensing.FailedPrecondition, Message: "the fleet is not founded yet"}
	}
	if err != nil {
		return licensing.Fleet{}, fmt.Errorf("read fleet: %w", err)
	}
	return toFleet(row), nil
}

// Head implements licensing.Reader.
func (r reader) Head(ctx context.Context) (licensing.Head, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.HeadRow, error) { return q.Head(ctx) })
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.Head{}, nil
	}
	if err != nil {
		return licensing.Head{}, fmt.Errorf("read head of rules: %w", err)
	}
	return toHead(row), nil
}

// Customer implements licensing.Reader.
func (r reader) Customer(ctx context.Context, id string) (licensing.Customer, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.Customer, error) { return q.Customer(ctx, id) })
	if err != nil {
		return licensing.Customer{}, missing(err, licensing.KindCustomer, id)
	}
	return toCustomer(row)
}

// Customers implements licensing.Reader.
func (r reader) Customers(ctx context.Context, l licensing.List) ([]licensing.Customer, error) {
	return list(ctx, r, licensing.KindCustomer, func(ctx context.Context, q *query.Queries) ([]query.Customer, error) {
		return q.Customers(ctx, query.CustomersParams{
			After: l.After, PageSize: int32(l.PageSize), Archived: archived(l), ExternalID: filtered(l, "external_id"),
		})
	}, toCustomer)
}

// Meter implements licensing.Reader.
func (r reader) Meter(ctx context.Context, key string) (licensing.Meter, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.Meter, error) { return q.Meter(ctx, key) })
	if err != nil {
		return licensing.Meter{}, missing(err, licensing.KindMeter, key)
	}
	return toMeter(row), nil
}

// Meters implements licensing.Reader.
func (r reader) Meters(ctx context.Context, l licensing.List) ([]licensing.Meter, error) {
	return list(ctx, r, licensing.KindMeter, func(ctx context.Context, q *query.Queries) ([]query.Meter, error) {
		return q.Meters(ctx, query.MetersParams{
			After: l.After, PageSize: int32(l.PageSize), Archived: archived(l), Aggregation: filtered(l, "aggregation"),
		})
	}, sure(toMeter))
}

// Feature implements licensing.Reader.
func (r reader) Feature(ctx context.Context, key string) (licensing.Feature, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.Feature, error) { return q.Feature(ctx, key) })
	if err != nil {
		return licensing.Feature{}, missing(err, licensing.KindFeature, key)
	}
	return toFeature(row), nil
}

// FeaturesNamed implements licensing.Reader.
func (r reader) FeaturesNamed(ctx context.Context, keys []string) ([]licensing.Feature, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return list(ctx, r, licensing.KindFeature, func(ctx context.Context, q *query.Queries) ([]query.Feature, error) {
		return q.FeaturesNamed(ctx, keys)
	}, sure(toFeature))
}

// Features implements licensing.Reader.
func (r reader) Features(ctx context.Context, l licensing.List) ([]licensing.Feature, error) {
	return list(ctx, r, licensing.KindFeature, func(ctx context.Context, q *query.Queries) ([]query.Feature, error) {
		return q.Features(ctx, query.FeaturesParams{
			After: l.After, PageSize: int32(l.PageSize), Archived: archived(l),
			Type: filtered(l, "type"), Meter: filtered(l, "meter"),
		})
	}, sure(toFeature))
}

// Plan implements licensing.Reader.
func (r reader) Plan(ctx context.Context, key string) (licensing.Plan, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.PlanRow, error) { return q.Plan(ctx, key) })
	if err != nil {
		return licensing.Plan{}, missing(err, licensing.KindPlan, key)
	}
	return toPlan(row.Plan, row.PublishedVersion, row.DraftVersion), nil
}

// Plans implements licensing.Reader.
func (r reader) Plans(ctx context.Context, l licensing.List) ([]licensing.Plan, error) {
	return list(ctx, r, licensing.KindPlan, func(ctx context.Context, q *query.Queries) ([]query.PlansRow, error) {
		return q.Plans(ctx, query.PlansParams{After: l.After, PageSize: int32(l.PageSize), Archived: archived(l)})
	}, func(row query.PlansRow) (licensing.Plan, error) {
		return toPlan(row.Plan, row.PublishedVersion, row.DraftVersion), nil
	})
}

// PlanVersion implements licensing.Reader.
func (r reader) PlanVersion(ctx context.Context, plan string, version uint32) (licensing.PlanVersion, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.PlanVersion, error) {
		return q.PlanVersion(ctx, query.PlanVersionParams{Plan: plan, Version: int32(version)})
	})
	if err != nil {
		return licensing.PlanVersion{}, missing(err, licensing.KindPlanVersion, licensing.VersionID(plan, version))
	}
	return toPlanVersion(row)
}

// PlanVersions implements licensing.Reader.
func (r reader) PlanVersions(ctx context.Context, plan string, l licensing.List) ([]licensing.PlanVersion, error) {
	after := 0
	if l.After != "" {
		var err error
		if after, err = strconv.Atoi(l.After); err != nil {
			return nil, fmt.Errorf("list versions of plan %s: %w", plan, err)
		}
	}
	return list(ctx, r, licensing.KindPlanVersion, func(ctx context.Context, q *query.Queries) ([]query.PlanVersion, error) {
		return q.PlanVersions(ctx, query.PlanVersionsParams{Plan: plan, After: int32(after), PageSize: int32(l.PageSize)})
	}, toPlanVersion)
}

// Upstream implements licensing.Reader.
func (r reader) Upstream(ctx context.Context, key string) (licensing.Upstream, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.Service, error) { return q.Upstream(ctx, key) })
	if err != nil {
		return licensing.Upstream{}, missing(err, licensing.KindService, key)
	}
	return toUpstream(row), nil
}

// Upstreams implements licensing.Reader.
func (r reader) Upstreams(ctx context.Context, l licensing.List) ([]licensing.Upstream, error) {
	return list(ctx, r, licensing.KindService, func(ctx context.Context, q *query.Queries) ([]query.Service, error) {
		return q.Upstreams(ctx, query.UpstreamsParams{After: l.After, PageSize: int32(l.PageSize), Archived: archived(l)})
	}, sure(toUpstream))
}

// Route implements licensing.Reader.
func (r reader) Route(ctx context.Context, key string) (licensing.Route, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.Route, error) { return q.Route(ctx, key) })
	if err != nil {
		return licensing.Route{}, missing(err, licensing.KindRoute, key)
	}
	return toRoute(row), nil
}

// Routes implements licensing.Reader.
func (r reader) Routes(ctx context.Context, l licensing.List) ([]licensing.Route, error) {
	return list(ctx, r, licensing.KindRoute, func(ctx context.Context, q *query.Queries) ([]query.Route, error) {
		return q.Routes(ctx, query.RoutesParams{
			After: l.After, PageSize: int32(l.PageSize), Archived: archived(l),
			Service: filtered(l, "service"), Meter: filtered(l, "meter"),
		})
	}, sure(toRoute))
}

// LiveRoutes implements licensing.Reader.
func (r reader) LiveRoutes(ctx context.Context) ([]licensing.Route, error) {
	return list(ctx, r, licensing.KindRoute, func(ctx context.Context, q *query.Queries) ([]query.Route, error) {
		return q.LiveRoutes(ctx)
	}, sure(toRoute))
}

// License implements licensing.Reader.
func (r reader) License(ctx context.Context, id string) (licensing.License, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.License, error) { return q.License(ctx, id) })
	if err != nil {
		return licensing.License{}, missing(err, licensing.KindLicense, id)
	}
	return toLicense(row)
}

// Licenses implements licensing.Reader.
func (r reader) Licenses(ctx context.Context, l licensing.List, now time.Time) ([]licensing.License, error) {
	p := query.LicensesParams{
		After: l.After, PageSize: int32(l.PageSize), Now: now,
		Customer: filtered(l, "customer"), ExternalID: filtered(l, "external_id"), Plan: filtered(l, "plan"), Status: filtered(l, "status"),
	}
	if v, ok := l.Filter["plan_version"]; ok {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return nil, &licensing.Error{Code: licensing.InvalidArgument, Field: "filter.plan_version", Message: "is not a version's number"}
		}
		p.PlanVersion = new(int32(n))
	}
	return list(ctx, r, licensing.KindLicense, func(ctx context.Context, q *query.Queries) ([]query.License, error) {
		return q.Licenses(ctx, p)
	}, toLicense)
}

// APIKey implements licensing.Reader.
func (r reader) APIKey(ctx context.Context, id string) (licensing.APIKey, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.ApiKey, error) { return q.APIKey(ctx, id) })
	if err != nil {
		return licensing.APIKey{}, missing(err, licensing.KindAPIKey, id)
	}
	return toAPIKey(row)
}

// APIKeys implements licensing.Reader.
func (r reader) APIKeys(ctx context.Context, l licensing.List) ([]licensing.APIKey, error) {
	return list(ctx, r, licensing.KindAPIKey, func(ctx context.Context, q *query.Queries) ([]query.ApiKey, error) {
		return q.APIKeys(ctx, query.APIKeysParams{After: l.After, PageSize: int32(l.PageSize), License: filtered(l, "license")})
	}, toAPIKey)
}

// Token implements licensing.Reader.
func (r reader) Token(ctx context.Context, id string) (licensing.Token, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.ApiToken, error) { return q.Token(ctx, id) })
	if err != nil {
		return licensing.Token{}, missing(err, licensing.KindToken, id)
	}
	return toToken(row)
}

// TokenByHash implements licensing.Reader.
func (r reader) TokenByHash(ctx context.Context, hash [32]byte) (licensing.Token, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.ApiToken, error) {
		return q.TokenByHash(ctx, hash[:])
	})
	if err != nil {
		return licensing.Token{}, missing(err, licensing.KindToken, "")
	}
	return toToken(row)
}

// Tokens implements licensing.Reader.
func (r reader) Tokens(ctx context.Context, l licensing.List) ([]licensing.Token, error) {
	return list(ctx, r, licensing.KindToken, func(ctx context.Context, q *query.Queries) ([]query.ApiToken, error) {
		return q.Tokens(ctx, query.TokensParams{After: l.After, PageSize: int32(l.PageSize)})
	}, toToken)
}
