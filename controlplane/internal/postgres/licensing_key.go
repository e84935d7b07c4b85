package postgres

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// InsertAPIKeys implements licensing.Tx. That a key is there already is not the caller's to see here: its hash names no field of a call.
func (t *licensingTx) InsertAPIKeys(ctx context.Context, all []licensing.APIKey) ([]licensing.APIKey, error) {
	params := make([]query.InsertAPIKeysParams, len(all))
	for i := range all {
		k := &all[i]
		params[i] = query.InsertAPIKeysParams{
			ID: k.ID, License: k.License, DisplayName: k.DisplayName, Prefix: k.Prefix, Hash: k.Hash[:], Imported: k.Imported,
			ExpiresAt: nullable(k.ExpiresAt), CreatedAt: k.CreateTime,
		}
	}
	return batched(len(all), t.q.InsertAPIKeys(ctx, params).QueryRow, toAPIKey, func(i int, err error) error {
		return taken(err, licensing.KindAPIKey, "id", all[i].ID)
	})
}

// UpdateAPIKey implements licensing.Tx.
func (t *licensingTx) UpdateAPIKey(ctx context.Context, k licensing.APIKey) (licensing.APIKey, error) {
	row, err := t.q.UpdateAPIKey(ctx, query.UpdateAPIKeyParams{
		ID: k.ID, DisplayName: k.DisplayName, ExpiresAt: nullable(k.ExpiresAt), RevokedAt: nullable(k.RevokeTime),
	})
	if err != nil {
		return k, missing(err, licensing.KindAPIKey, k.ID)
	}
	return toAPIKey(row)
}

// ImportedAPIKeys implements licensing.Reader.
func (r reader) ImportedAPIKeys(ctx context.Context, hashes [][]byte) ([]licensing.APIKey, error) {
	return list(ctx, r, licensing.KindAPIKey, func(ctx context.Context, q *query.Queries) ([]query.ApiKey, error) {
		return q.ImportedAPIKeys(ctx, hashes)
	}, toAPIKey)
}

// batched collects the rows of statements that were sent together, in their order. The first that failed is told: those after
// it failed for its sake.
func batched[R, T any](n int, rows func(func(int, R, error)), to func(R) (T, error), wrap func(int, error) error) ([]T, error) {
	out := make([]T, n)
	var first error
	rows(func(i int, row R, err error) {
		if err == nil {
			out[i], err = to(row)
		}
		if err != nil && first == nil {
			first = wrap(i, err)
		}
	})
	if first != nil {
		return nil, first
	}
	return out, nil
}
