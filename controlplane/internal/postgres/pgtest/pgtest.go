// Package pgtest runs tests against a real PostgreSQL server, started from the binaries on this machine.
//
// A test binary that needs databases has
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// and calls Database in its tests. A test that stops the server starts one of its own with Start.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/postgres"
)

// urlVar hands the server's URL from Main to the tests of the same process.
const urlVar = "TOLLGATE_PGTEST_URL"

// Main starts a server, runs the tests and stops it. It ends the process.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	code, err := serve(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	return code
}

func serve(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "tollgate-pgtest-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	s, err := start(dir)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	if err := os.Setenv(urlVar, s.URL); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// Database makes a database with the current schema on Main's server, and returns its URL. It is dropped when the test
// ends.
func Database(tb testing.TB) string {
	tb.Helper()
	admin := os.Getenv(urlVar)
	if admin == "" {
		tb.Fatal("pgtest: no server: the test binary's TestMain has to call pgtest.Main")
	}
	return database(tb, admin)
}

// Empty makes a database without a schema, as Database does.
func Empty(tb testing.TB) string {
	tb.Helper()
	admin := os.Getenv(urlVar)
	if admin == "" {
		tb.Fatal("pgtest: no server: the test binary's TestMain has to call pgtest.Main")
	}
	return create(tb, admin, "template1")
}

// template is the database that others are copied from: copying is quicker than migrating each.
const template = "tollgate_template"

func prepare(ctx context.Context, admin string) error {
	if err := execute(ctx, admin, "CREATE DATABASE "+template); err != nil {
		return err
	}
	_, err := postgres.Migrate(ctx, named(admin, template))
	return err
}

func database(tb testing.TB, admin string) string {
	tb.Helper()
	return create(tb, admin, template)
}

func create(tb testing.TB, admin, from string) string {
	tb.Helper()
	name := "t_" + strings.ToLower(rand.Text())
	if err := execute(tb.Context(), admin, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		// The test's own context is over.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := execute(ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return named(admin, name)
}

func named(admin, database string) string {
	return strings.Replace(admin, "/postgres?", "/"+database+"?", 1)
}

// Exec runs a statement in a database, for what no adapter does: to let time pass, say.
func Exec(tb testing.TB, url, statement string) {
	tb.Helper()
	if err := execute(tb.Context(), url, statement); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
}

func execute(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// Waiting is how many sessions of a database wait for a lock.
func Waiting(tb testing.TB, url string) int {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(tb.Context())) }() // It has only read.
	n := 0
	const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	if err := conn.QueryRow(tb.Context(), waiting).Scan(&n); err != nil {
		tb.Fatalf("pgtest: count who waits: %v", err)
	}
	return n
}

// Open is a DB on a new database, closed when the test ends.
func Open(tb testing.TB) *postgres.DB {
	tb.Helper()
	return open(tb, Database(tb))
}

func open(tb testing.TB, url string) *postgres.DB {
	tb.Helper()
	db, err := postgres.Open(tb.Context(), postgres.Config{URL: url})
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(db.Close)
	return db
}
