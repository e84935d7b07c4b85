package postgres

import (
	"context"
	"fmt"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// Licensing is the domain's store. Safe for concurrent use.
type Licensing struct {
	reader
	db *DB
}

var _ licensing.Store = (*Licensing)(nil)

// Licensing is the domain's port on this database.
func (db *DB) Licensing() *Licensing {
	return &Licensing{reader: reader{run: db.read, runList: db.readList}, db: db}
}

// Update implements licensing.Store. Statements of a READ COMMITTED transaction see what was committed when they begin, so
// whatever is read after LockHead is what the former writer left.
func (s *Licensing) Update(ctx context.Context, f func(licensing.Tx) error) error {
	return again(ctx, func() (retry bool, err error) {
		p := &pipeline{pool: s.db.pool, queue: s.db.writers}
		defer p.end(ctx)
		if err := f(newLicensingTx(p)); err != nil {
			return conflicted(err) || lost(err), err
		}
		return p.commit(ctx)
	})
}

// reader implements licensing.Reader on the pool, or in a transaction.
type reader struct {
	run     func(context.Context, func(context.Context, *query.Queries) error) error
	runList func(context.Context, func(context.Context, *query.Queries) error) error
}

// lists reads by statements that are planned for their arguments.
func (r reader) lists() reader { return reader{run: r.runList, runList: r.runList} }

// get runs a query for one thing, or a list of things.
func get[R any](ctx context.Context, r reader, f func(context.Context, *query.Queries) (R, error)) (out R, err error) {
	err = r.run(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		out, err = f(ctx, q)
		return err
	})
	return out, err
}

// list runs a query for rows, and converts them.
func list[R, T any](ctx context.Context, r reader, kind licensing.Kind, f func(context.Context, *query.Queries) ([]R, error), to func(R) (T, error)) ([]T, error) {
	rows, err := get(ctx, r.lists(), f)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	return all(rows, to)
}

// filtered is a filter's value, if there is one.
func filtered(l licensing.List, field string) *string {
	if v, ok := l.Filter[field]; ok {
		return &v
	}
	return nil
}

func archived(l licensing.List) bool { return l.Filter["archived"] == "true" }
