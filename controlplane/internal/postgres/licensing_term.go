package postgres

import (
	"context"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// Term implements licensing.Reader.
func (r reader) Term(ctx context.Context, key string) (licensing.Term, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.Term, error) { return q.Term(ctx, key) })
	if err != nil {
		return licensing.Term{}, missing(err, licensing.KindTerm, key)
	}
	return toTerm(row), nil
}

// Terms implements licensing.Reader.
func (r reader) Terms(ctx context.Context, l licensing.List) ([]licensing.Term, error) {
	return list(ctx, r, licensing.KindTerm, func(ctx context.Context, q *query.Queries) ([]query.Term, error) {
		return q.Terms(ctx, query.TermsParams{
			After: l.After, PageSize: int32(l.PageSize), Archived: archived(l), Subject: filtered(l, "on"), Effect: filtered(l, "effect"),
		})
	}, sure(toTerm))
}

// Issuer implements licensing.Reader.
func (r reader) Issuer(ctx context.Context, key string) (licensing.Issuer, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.Issuer, error) { return q.Issuer(ctx, key) })
	if err != nil {
		return licensing.Issuer{}, missing(err, licensing.KindIssuer, key)
	}
	return toIssuer(row), nil
}

// Issuers implements licensing.Reader.
func (r reader) Issuers(ctx context.Context, l licensing.List) ([]licensing.Issuer, error) {
	return list(ctx, r, licensing.KindIssuer, func(ctx context.Context, q *query.Queries) ([]query.Issuer, error) {
		return q.Issuers(ctx, query.IssuersParams{
			After: l.After, PageSize: int32(l.PageSize), Archived: archived(l), Issuer: filtered(l, "issuer"),
		})
	}, sure(toIssuer))
}

func (t *licensingTx) InsertTerm(ctx context.Context, v licensing.Term) (licensing.Term, error) {
	row, err := t.q.InsertTerm(ctx, query.InsertTermParams{
		Key: v.Key, DisplayName: v.DisplayName, Subject: v.On, Condition: v.When, Effect: string(v.Effect), Priority: v.Priority,
		RetryAfterMs: v.RetryAfter.Milliseconds(), Cost: v.Cost, Message: v.Message, CreatedAt: v.CreateTime, UpdatedAt: v.UpdateTime,
	})
	return toTerm(row), taken(err, licensing.KindTerm, "key", v.Key)
}

func (t *licensingTx) UpdateTerm(ctx context.Context, v licensing.Term) (licensing.Term, error) {
	row, err := t.q.UpdateTerm(ctx, query.UpdateTermParams{
		Key: v.Key, DisplayName: v.DisplayName, Subject: v.On, Condition: v.When, Effect: string(v.Effect), Priority: v.Priority,
		RetryAfterMs: v.RetryAfter.Milliseconds(), Cost: v.Cost, Message: v.Message, UpdatedAt: v.UpdateTime, ArchivedAt: nullable(v.ArchiveTime),
	})
	return toTerm(row), failed(err, "write", licensing.KindTerm)
}

func (t *licensingTx) InsertIssuer(ctx context.Context, v licensing.Issuer) (licensing.Issuer, error) {
	row, err := t.q.InsertIssuer(ctx, query.InsertIssuerParams{
		Key: v.Key, DisplayName: v.DisplayName, Issuer: v.Issuer, JwksFile: v.JwksFile, JwksUrl: v.JwksURL, Discovery: v.Discovery,
		Audiences: filled(v.Audiences), CustomerClaim: v.CustomerClaim, LicenseClaim: v.LicenseClaim, Algorithms: filled(v.Algorithms),
		CreatedAt: v.CreateTime, UpdatedAt: v.UpdateTime,
	})
	return toIssuer(row), takenIssuer(err, &v)
}

func (t *licensingTx) UpdateIssuer(ctx context.Context, v licensing.Issuer) (licensing.Issuer, error) {
	row, err := t.q.UpdateIssuer(ctx, query.UpdateIssuerParams{
		Key: v.Key, DisplayName: v.DisplayName, Issuer: v.Issuer, JwksFile: v.JwksFile, JwksUrl: v.JwksURL, Discovery: v.Discovery,
		Audiences: filled(v.Audiences), CustomerClaim: v.CustomerClaim, LicenseClaim: v.LicenseClaim, Algorithms: filled(v.Algorithms),
		UpdatedAt: v.UpdateTime, ArchivedAt: nullable(v.ArchiveTime),
	})
	return toIssuer(row), takenIssuer(err, &v)
}

func takenIssuer(err error, v *licensing.Issuer) error {
	if constraint, ok := violated(err, "23505"); ok && constraint == "issuer_issuer" {
		return licensing.Taken(licensing.KindIssuer, "issuer", v.Issuer)
	}
	return taken(err, licensing.KindIssuer, "key", v.Key)
}

func toTerm(r query.Term) licensing.Term {
	return licensing.Term{
		Key: r.Key, DisplayName: r.DisplayName, On: r.Subject, When: r.Condition, Effect: licensing.TermEffect(r.Effect), Priority: r.Priority,
		RetryAfter: time.Duration(r.RetryAfterMs) * time.Millisecond, Cost: r.Cost, Message: r.Message,
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
}

func toIssuer(r query.Issuer) licensing.Issuer {
	return licensing.Issuer{
		Key: r.Key, DisplayName: r.DisplayName, Issuer: r.Issuer, JwksFile: r.JwksFile, JwksURL: r.JwksUrl, Discovery: r.Discovery,
		Audiences: r.Audiences, CustomerClaim: r.CustomerClaim, LicenseClaim: r.LicenseClaim, Algorithms: r.Algorithms,
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, r.ArchivedAt),
	}
}
