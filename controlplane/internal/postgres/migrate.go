package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"tollgate/migrations"
)

// Migrate brings the schema to this build's version, and says how many steps that took. Several processes may call
// it at once: a session lock lets one do the work while the others wait for it, up to five minutes.
func Migrate(ctx context.Context, url string) (int, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return 0, fmt.Errorf("database URL: %w", redact(err))
	}
	c.ConnectTimeout = connectTimeout
	db := stdlib.OpenDB(*c)
	defer func() { _ = db.Close() }() // What it held is committed, or an error.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 30))
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return len(done), nil
}
