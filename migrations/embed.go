// Package migrations holds the database schema as numbered goose migrations.
package migrations

import "embed"

// FS holds the migration files at its root.
//
//go:embed *.sql
var FS embed.FS
