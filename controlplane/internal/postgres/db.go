package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/controlplane/internal/postgres/query"
)

// Config says how to reach the server.
type Config struct {
	// URL is a PostgreSQL connection URL or keyword string. Required.
	URL string
	// MaxConns bounds the pool. 0: 16.
	MaxConns int32
}

const (
	defaultMaxConns = 16
	// What a session does with a client that does not come back.
	statementTimeout = "30s"
	lockTimeout      = "10s"
	idleTimeout      = "10s"
	connectTimeout   = 5 * time.Second
	// A read of the API that takes longer is of no use to anyone.
	readTimeout = 10 * time.Second
)

// DB is a pool of connections. Safe for concurrent use.
type DB struct {
	pool *pgxpool.Pool
	q    *query.Queries
	// lists is q for statements whose best plan depends on their arguments.
	lists *query.Queries
	// writers is where writes of rules queue.
	writers queue
}

// Open makes a pool, and fails where the server cannot be reached now. Later it may go and come back. The schema is
// Migrate's to make.
func Open(ctx context.Context, c Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", redact(err))
	}
	pc.MaxConns = c.MaxConns
	if pc.MaxConns <= 0 {
		pc.MaxConns = defaultMaxConns
	}
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.ConnConfig.ConnectTimeout = connectTimeout
	for name, value := range map[string]string{
		"statement_timeout": statementTimeout, "lock_timeout": lockTimeout,
		"idle_in_transaction_session_timeout": idleTimeout, "application_name": "tollgate",
	} {
		if pc.ConnConfig.RuntimeParams[name] == "" {
			pc.ConnConfig.RuntimeParams[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return &DB{pool: pool, q: query.New(pool), lists: query.New(planned{pool}), writers: make(queue, writers)}, nil
}

// redact keeps the reason and drops the text of the URL, which may hold a password.
func redact(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) && errors.Unwrap(parse) != nil {
		return errors.Unwrap(parse)
	}
	return errors.New("it cannot be read")
}

// planned has every query planned for its arguments. A prepared statement comes to be planned once for all of them, which for a list with
// filters that may be missing is a walk through the whole table.
type planned struct{ query.DBTX }

func (p planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.DBTX.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}

// Close closes all connections, once those in use are given back.
func (db *DB) Close() { db.pool.Close() }

// Ping reports whether the server answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// maxAttempts bounds how often something is run again.
const maxAttempts = 6

// inTx runs f in a transaction, again where that helps. f must have no effects outside of it.
func (db *DB) inTx(ctx context.Context, o pgx.TxOptions, f func(pgx.Tx) error) error {
	return again(ctx, func() (retry bool, err error) {
		tx, err := db.pool.BeginTx(ctx, o)
		if err != nil {
			return lost(err), fmt.Errorf("begin: %w", err)
		}
		if err := f(tx); err != nil {
			// The session's own end of the transaction is what matters; ctx may be over.
			rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
			defer cancel()
			_ = tx.Rollback(rollback)
			return conflicted(err) || lost(err), err
		}
		if err := tx.Commit(ctx); err != nil {
			return conflicted(err), unknown(fmt.Errorf("commit: %w", err))
		}
		return false, nil
	})
}

// read runs one read, again where the connection was lost.
func (db *DB) read(ctx context.Context, f func(context.Context, *query.Queries) error) error {
	return db.readBy(ctx, db.q, f)
}

// readList is read for a list with filters.
func (db *DB) readList(ctx context.Context, f func(context.Context, *query.Queries) error) error {
	return db.readBy(ctx, db.lists, f)
}

func (db *DB) readBy(ctx context.Context, q *query.Queries, f func(context.Context, *query.Queries) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return again(ctx, func() (bool, error) {
		err := f(ctx, q)
		return lost(err), err
	})
}

// again runs f until it says that running it again will not help, ctx is over, or often enough.
func again(ctx context.Context, f func() (retry bool, err error)) error {
	pause := 10 * time.Millisecond
	for attempt := 1; ; attempt++ {
		retry, err := f()
		if err == nil || !retry || attempt == maxAttempts || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(pause + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause *= 2
	}
}

// conflicted: the server asks to run the transaction again (SQLSTATE serialization_failure, deadlock_detected).
func conflicted(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// lost: the connection was lost or could not be made, or the server is going down or coming up.
func lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code {
		case "57P01", "57P02", "57P03": // admin_shutdown, crash_shutdown, cannot_connect_now
			return true
		}
		return len(e.Code) == 5 && e.Code[:2] == "08" // connection_exception
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return pgconn.SafeToRetry(err) || errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}
