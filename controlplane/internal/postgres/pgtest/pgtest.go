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
	dir, err := os.MkdirTemp("", "tollgate-pgtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	s, err := start(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer s.stop()
	if err := os.Setenv(urlVar, s.URL); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	return m.Run()
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

func database(tb testing.TB, admin string) string {
	tb.Helper()
	name := "t_" + strings.ToLower(rand.Text())
	execute(tb, tb.Context(), admin, "CREATE DATABASE "+name)
	tb.Cleanup(func() {
		// The test's own context is over.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		execute(tb, ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	url := strings.Replace(admin, "/postgres?", "/"+name+"?", 1)
	if _, err := postgres.Migrate(tb.Context(), url); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	return url
}

func execute(tb testing.TB, ctx context.Context, url, statement string) {
	tb.Helper()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		tb.Fatalf("pgtest: %s: %v", statement, err)
	}
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
