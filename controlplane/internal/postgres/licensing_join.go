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

// JoinToken implements licensing.Reader.
func (r reader) JoinToken(ctx context.Context, id string) (licensing.JoinToken, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.JoinToken, error) { return q.JoinToken(ctx, id) })
	if err != nil {
		return licensing.JoinToken{}, missing(err, licensing.KindJoinToken, id)
	}
	return toJoinToken(row)
}

// JoinTokens implements licensing.Reader.
func (r reader) JoinTokens(ctx context.Context, l licensing.List) ([]licensing.JoinToken, error) {
	return list(ctx, r, licensing.KindJoinToken, func(ctx context.Context, q *query.Queries) ([]query.JoinToken, error) {
		return q.JoinTokens(ctx, query.JoinTokensParams{After: l.After, PageSize: int32(l.PageSize)})
	}, toJoinToken)
}

// NodeIdentity implements licensing.Reader.
func (r reader) NodeIdentity(ctx context.Context, node string) (licensing.NodeIdentity, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.NodeIdentity, error) {
		return q.NodeIdentity(ctx, node)
	})
	if err != nil {
		return licensing.NodeIdentity{}, missing(err, "node", node)
	}
	return licensing.NodeIdentity{
		Node: row.Node, PublicKey: row.PublicKey, NATSUser: row.NatsUser, Token: row.Token, Certificate: row.Certificate, NATSJWT: row.NatsJwt,
		JoinTime: row.JoinedAt.UTC(), RenewTime: instant(row.RenewedAt), ExpireTime: row.ExpiresAt.UTC(),
	}, nil
}

// NodeReported implements licensing.Reader.
func (r reader) NodeReported(ctx context.Context, node string) (bool, error) {
	there, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (bool, error) { return q.NodeReported(ctx, node) })
	return there, failed(err, "look for", "node")
}

// NodeKeysShared implements licensing.Reader.
func (r reader) NodeKeysShared(ctx context.Context, node string, publicKey []byte, natsUser string) (bool, error) {
	shared, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (bool, error) {
		return q.NodeIdentityTaken(ctx, query.NodeIdentityTakenParams{Node: node, PublicKey: publicKey, NatsUser: natsUser})
	})
	return shared, failed(err, "look for the keys of", "node")
}

func (t *licensingTx) InsertJoinToken(ctx context.Context, k licensing.JoinToken) (licensing.JoinToken, error) {
	row, err := t.q.InsertJoinToken(ctx, query.InsertJoinTokenParams{
		ID: k.ID, Hash: k.Hash[:], Node: k.Node, Replaces: k.Replace, Uses: k.Uses, ExpiresAt: k.ExpireTime, CreatedBy: k.CreatedBy, CreatedAt: k.CreateTime,
	})
	if err != nil {
		return k, taken(err, licensing.KindJoinToken, "id", k.ID)
	}
	return toJoinToken(row)
}

func (t *licensingTx) RevokeJoinToken(ctx context.Context, id string, at time.Time) (licensing.JoinToken, error) {
	row, err := t.q.RevokeJoinToken(ctx, query.RevokeJoinTokenParams{ID: id, RevokedAt: &at})
	if err != nil {
		return licensing.JoinToken{}, missing(err, licensing.KindJoinToken, id)
	}
	return toJoinToken(row)
}

func (t *licensingTx) UseJoinToken(ctx context.Context, id string, now time.Time) (licensing.JoinToken, error) {
	row, err := t.q.UseJoinToken(ctx, query.UseJoinTokenParams{ID: id, Now: now})
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.JoinToken{}, &licensing.Error{Code: licensing.FailedPrecondition, Field: "token", Message: "the join token is used up: make another one"}
	}
	if err != nil {
		return licensing.JoinToken{}, failed(err, "use", licensing.KindJoinToken)
	}
	return toJoinToken(row)
}

func (t *licensingTx) SaveNodeIdentity(ctx context.Context, n licensing.NodeIdentity) error {
	err := t.q.SaveNodeIdentity(ctx, query.SaveNodeIdentityParams{
		Node: n.Node, PublicKey: n.PublicKey, NatsUser: n.NATSUser, Token: n.Token, Certificate: n.Certificate, NatsJwt: n.NATSJWT,
		JoinedAt: n.JoinTime, RenewedAt: nullable(n.RenewTime), ExpiresAt: n.ExpireTime,
	})
	return failed(err, "write", "node")
}

func toJoinToken(r query.JoinToken) (licensing.JoinToken, error) {
	t := licensing.JoinToken{
		ID: r.ID, Node: r.Node, Replace: r.Replaces, Uses: r.Uses, Used: r.Used, ExpireTime: r.ExpiresAt.UTC(), CreatedBy: r.CreatedBy,
		CreateTime: r.CreatedAt.UTC(), RevokeTime: instant(r.RevokedAt), Etag: strconv.FormatInt(r.Revision, 10),
	}
	if copy(t.Hash[:], r.Hash) != len(t.Hash) || len(r.Hash) != len(t.Hash) {
		return t, fmt.Errorf("join token %s has a hash of %d bytes", r.ID, len(r.Hash))
	}
	return t, nil
}
