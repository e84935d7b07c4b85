package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// SignedKeySet implements licensing.Reader.
func (r reader) SignedKeySet(ctx context.Context) ([]byte, error) {
	signed, err := get(ctx, r, func(ctx context.Context, q *query.Queries) ([]byte, error) { return q.KeySet(ctx) })
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	return signed, nil
}

func (t *licensingTx) InsertKeySet(ctx context.Context, k licensing.KeySet) error {
	err := t.q.InsertKeySet(ctx, query.InsertKeySetParams{Version: int64(k.Version), Signed: k.Signed, CreatedAt: k.CreateTime})
	if err != nil {
		return fmt.Errorf("store key set %d: %w", k.Version, err)
	}
	return nil
}
