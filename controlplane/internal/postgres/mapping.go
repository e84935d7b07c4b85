package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

// missing turns "no rows" into the domain's error, and wraps the rest.
func missing(err error, kind licensing.Kind, id string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.Missing(kind, id)
	}
	return failed(err, "read", kind)
}

// taken turns a unique violation into the domain's error, and wraps the rest.
func taken(err error, kind licensing.Kind, field, value string) error {
	if _, ok := violated(err, "23505"); ok {
		return licensing.Taken(kind, field, value)
	}
	return failed(err, "write", kind)
}

// violated is the constraint that a statement broke, if it is of the class code.
func violated(err error, code string) (string, bool) {
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == code {
		return e.ConstraintName, true
	}
	return "", false
}

func failed(err error, what string, kind licensing.Kind) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, kind, err)
}

// instant is a nullable time as the domain has it: zero for null.
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func nullText(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func meta(revision int64, created, updated time.Time, archived *time.Time) licensing.Meta {
	return licensing.Meta{
		Etag: strconv.FormatInt(revision, 10), CreateTime: created.UTC(), UpdateTime: updated.UTC(),
		ArchiveTime: instant(archived),
	}
}

func toFleet(r query.FleetRow) licensing.Fleet {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)).Round(time.Microsecond) }
	return licensing.Fleet{
		ID: r.ID, Env: r.Env, Pepper: r.Pepper, ErrorBaseURL: r.ErrorBaseUrl,
		StaleAfter: seconds(r.StaleAfter), GraceAfter: seconds(r.GraceAfter), BlockAfter: seconds(r.BlockAfter),
		LoanHorizon: seconds(r.LoanHorizon), OfflineStart: r.OfflineStart,
	}
}

func toHead(r query.HeadRow) licensing.Head {
	h := licensing.Head{
		Epoch: licensing.Epoch{Generation: uint64(r.Generation), Number: uint64(r.Number)}, Hash: r.Hash,
	}
	if len(r.StateHash) > 0 {
		h.StateHash = new(decision.Digest(r.StateHash))
	}
	return h
}

func toCustomer(r query.Customer) (licensing.Customer, error) {
	c := licensing.Customer{
		ID: r.ID, ExternalID: r.ExternalID, DisplayName: r.DisplayName, TimeZone: r.TimeZone,
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
	if err := json.Unmarshal(r.Metadata, &c.Metadata); err != nil {
		return c, fmt.Errorf("metadata of customer %s: %w", r.ID, err)
	}
	return c, nil
}

func toMeter(r query.Meter) licensing.Meter {
	return licensing.Meter{
		Key: r.Key, DisplayName: r.DisplayName, Aggregation: licensing.Aggregation(r.Aggregation),
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
}

func toFeature(r query.Feature) licensing.Feature {
	return licensing.Feature{
		Key: r.Key, DisplayName: r.DisplayName, Type: licensing.FeatureType(r.Type), Meter: text(r.Meter),
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
}

func toPlan(r query.Plan, published, draft int32) licensing.Plan {
	return licensing.Plan{
		Key: r.Key, DisplayName: r.DisplayName, PublishedVersion: uint32(published), DraftVersion: uint32(draft),
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
}

func toUpstream(r query.Service) licensing.Upstream {
	return licensing.Upstream{
		Key: r.Key, DisplayName: r.DisplayName, Endpoints: r.Endpoints,
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
}

func toRoute(r query.Route) licensing.Route {
	out := licensing.Route{
		Key: r.Key, DisplayName: r.DisplayName, Service: r.Service,
		Match:    licensing.RouteMatch{Host: r.Host, Path: r.Path, Methods: r.Methods},
		Requires: r.Requires, Meter: text(r.Meter), BillOpenIntents: &r.BillOpenIntents,
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
	if r.Meter != nil {
		out.Cost = &licensing.RouteCost{Fixed: r.CostFixed}
	}
	return out
}

func toAPIKey(r query.ApiKey) (licensing.APIKey, error) {
	k := licensing.APIKey{
		ID: r.ID, License: r.License, DisplayName: r.DisplayName, Prefix: r.Prefix,
		ExpiresAt: instant(r.ExpiresAt), RevokeTime: instant(r.RevokedAt), CreateTime: r.CreatedAt.UTC(),
		Imported: r.Imported, Etag: strconv.FormatInt(r.Revision, 10),
	}
	if copy(k.Hash[:], r.Hash) != len(k.Hash) || len(r.Hash) != len(k.Hash) {
		return k, fmt.Errorf("API key %s has a hash of %d bytes", r.ID, len(r.Hash))
	}
	return k, nil
}

func toToken(r query.ApiToken) (licensing.Token, error) {
	t := licensing.Token{
		ID: r.ID, DisplayName: r.DisplayName, Role: licensing.Role(r.Role),
		CreateTime: r.CreatedAt.UTC(), RevokeTime: instant(r.RevokedAt), Etag: strconv.FormatInt(r.Revision, 10),
	}
	if copy(t.Hash[:], r.Hash) != len(t.Hash) || len(r.Hash) != len(t.Hash) {
		return t, fmt.Errorf("token %s has a hash of %d bytes", r.ID, len(r.Hash))
	}
	return t, nil
}

// all converts rows.
func all[R, T any](rows []R, to func(R) (T, error)) ([]T, error) {
	out := make([]T, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = to(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sure makes a conversion that cannot fail fit all.
func sure[R, T any](to func(R) T) func(R) (T, error) {
	return func(r R) (T, error) { return to(r), nil }
}
