package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/controlplane/internal/postgres/query"
)

// pipeline is a transaction that saves waits, as others wait for what it has locked. It begins along with its first statement; statements of which
// nobody waits for the answer go along with the next one, or with the commit; and what is asked for together is answered together. The server runs all
// of it one after the other, as it was asked for: each statement sees what those before it did, and what was committed when it began. One goroutine
// uses it.
type pipeline struct {
	pool    *pgxpool.Pool
	conn    *pgxpool.Conn // nil until the first statement.
	waiting []waiting
	// queue is where those of this process wait that want the head of the rules, and queued that this one is in it.
	queue  queue
	queued bool
}

// queue has as many places as transactions of one process may hold or want the head of the rules at the server. All others wait here, in the order in
// which they came, and without a connection: each change of a row has the server wake all who wait for it, and connections are for others, too.
type queue chan struct{}

// writers are one that works and one that takes over from it without delay.
const writers = 2

// enter waits for a place in the queue. A transaction that has a connection already goes past: what it waited for could wait for its connection.
func (p *pipeline) enter(ctx context.Context) error {
	if p.queued || p.conn != nil {
		return nil
	}
	select {
	case p.queue <- struct{}{}:
		p.queued = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waiting is a statement that was not sent yet.
type waiting struct {
	what string // Of its error: what failed.
	sql  string
	args []any
}

// lateError is that of a statement which nobody waited for. It is no fault of the statement that is told of it, so of a broken constraint nothing shows.
type lateError struct {
	what string
	err  error
}

func (e *lateError) Error() string { return e.what + ": " + e.err.Error() }

func (e *lateError) Unwrap() error {
	var said *pgconn.PgError
	if !errors.As(e.err, &said) || conflicted(e.err) || lost(e.err) {
		return e.err
	}
	return nil
}

// send sends what waits and then more, and returns the answers to more. They have to be closed.
func (p *pipeline) send(ctx context.Context, more ...*pgx.QueuedQuery) (pgx.BatchResults, error) {
	if p.conn == nil {
		conn, err := p.pool.Acquire(ctx)
		if err != nil {
			return nil, fmt.Errorf("begin: %w", err)
		}
		p.conn = conn
		p.waiting = append([]waiting{{what: "begin", sql: "begin isolation level read committed"}}, p.waiting...)
	}
	b := &pgx.Batch{}
	for _, w := range p.waiting {
		b.Queue(w.sql, w.args...)
	}
	b.QueuedQueries = append(b.QueuedQueries, more...)
	sent := p.waiting
	p.waiting = nil
	answers := p.conn.SendBatch(ctx, b)
	for _, w := range sent {
		if _, err := answers.Exec(); err != nil {
			_ = answers.Close() // It is the same error.
			return nil, &lateError{w.what, err}
		}
	}
	return answers, nil
}

// ready reports whether a statement may be sent by itself.
func (p *pipeline) ready() bool { return p.conn != nil && len(p.waiting) == 0 }

// flush sends what waits.
func (p *pipeline) flush(ctx context.Context) error {
	if p.ready() {
		return nil
	}
	answers, err := p.send(ctx)
	if err != nil {
		return err
	}
	return answers.Close()
}

// Exec implements query.DBTX.
func (p *pipeline) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if p.ready() {
		return p.conn.Exec(ctx, sql, args...)
	}
	answers, err := p.send(ctx, &pgx.QueuedQuery{SQL: sql, Arguments: args})
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := answers.Exec()
	if closing := answers.Close(); err == nil {
		err = closing
	}
	return tag, err
}

// Query implements query.DBTX.
func (p *pipeline) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if len(args) > 0 {
		if _, ok := args[0].(pgx.QueryExecMode); ok { // A batch has one mode for all.
			if err := p.flush(ctx); err != nil {
				return nil, err
			}
		}
	}
	if p.ready() {
		return p.conn.Query(ctx, sql, args...)
	}
	answers, err := p.send(ctx, &pgx.QueuedQuery{SQL: sql, Arguments: args})
	if err != nil {
		return nil, err
	}
	rows, err := answers.Query()
	if err != nil {
		_ = answers.Close() // It is the same error.
		return nil, err
	}
	return &lastRows{Rows: rows, answers: answers}, nil
}

// lastRows are those of a batch's last statement: the batch ends with them.
type lastRows struct {
	pgx.Rows
	answers pgx.BatchResults
}

func (r *lastRows) Close() {
	r.Rows.Close()
	_ = r.answers.Close() // What there is to say, Err says.
}

// QueryRow implements query.DBTX.
func (p *pipeline) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if p.ready() {
		return p.conn.QueryRow(ctx, sql, args...)
	}
	answers, err := p.send(ctx, &pgx.QueuedQuery{SQL: sql, Arguments: args})
	if err != nil {
		return failedRow{err}
	}
	return lastRow{answers}
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

type lastRow struct{ answers pgx.BatchResults }

func (r lastRow) Scan(to ...any) error {
	err := r.answers.QueryRow().Scan(to...)
	if closing := r.answers.Close(); err == nil {
		err = closing
	}
	return err
}

// SendBatch implements query.DBTX.
func (p *pipeline) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	answers, err := p.send(ctx, b.QueuedQueries...)
	if err != nil {
		return failedBatch{err}
	}
	return answers
}

type failedBatch struct{ err error }

func (b failedBatch) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, b.err }
func (b failedBatch) Query() (pgx.Rows, error)         { return nil, b.err }
func (b failedBatch) QueryRow() pgx.Row                { return failedRow(b) }
func (b failedBatch) Close() error                     { return b.err }
func (b failedBatch) Tx() pgx.Tx                       { return nil }

// later is for statements of which nobody waits for the answer: they must have none but an error. what is what failed, should one.
func (p *pipeline) later(what string) *query.Queries { return query.New(later{p, what}) }

type later struct {
	*pipeline
	what string
}

// Exec implements query.DBTX.
func (l later) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	l.waiting = append(l.waiting, waiting{l.what, sql, args})
	return pgconn.CommandTag{}, nil
}

// together runs reads, each of one statement that is not planned for its arguments, without waiting in between. Each is called twice: its first answer
// is none.
func (p *pipeline) together(ctx context.Context, reads ...func(*query.Queries) error) error {
	var all asked
	for _, read := range reads {
		_ = read(query.New(&all)) // That it has no answer.
	}
	answers, err := p.send(ctx, all.statements...)
	if err != nil {
		return err
	}
	var first error
	for _, read := range reads {
		if err := read(query.New(answered{answers})); err != nil && first == nil {
			first = err
		}
	}
	if closing := answers.Close(); first == nil {
		first = closing
	}
	return first
}

// asked takes statements down.
type asked struct {
	query.DBTX
	statements []*pgx.QueuedQuery
}

func (a *asked) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	a.statements = append(a.statements, &pgx.QueuedQuery{SQL: sql, Arguments: args})
	return nil, pgx.ErrNoRows
}

func (a *asked) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	_, err := a.Query(ctx, sql, args...)
	return failedRow{err}
}

// answered has the answers to what was taken down.
type answered struct{ pgx.BatchResults }

func (a answered) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return a.BatchResults.Exec()
}
func (a answered) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return a.BatchResults.Query()
}
func (a answered) QueryRow(context.Context, string, ...any) pgx.Row {
	return a.BatchResults.QueryRow()
}
func (a answered) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults { return a.BatchResults }

// commit reports whether running everything again would help. Where the connection is lost, it may have happened.
func (p *pipeline) commit(ctx context.Context) (retry bool, err error) {
	if p.conn == nil && len(p.waiting) == 0 {
		return false, nil
	}
	answers, err := p.send(ctx, &pgx.QueuedQuery{SQL: "commit"})
	switch {
	case err != nil && p.conn == nil: // Nothing was sent.
		return conflicted(err) || lost(err), err
	case err != nil:
		return conflicted(err), unknown(err)
	}
	tag, err := answers.Exec()
	if closing := answers.Close(); err == nil {
		err = closing
	}
	if err == nil && tag.String() != "COMMIT" {
		err = pgx.ErrTxCommitRollback
	}
	if err != nil {
		return conflicted(err), unknown(fmt.Errorf("commit: %w", err))
	}
	return false, nil
}

// unknownError is that of a commit of which the answer did not come.
type unknownError struct{ error }

func (e unknownError) Unwrap() error { return e.error }

// MayBeWritten reports that the transaction may have happened.
func (unknownError) MayBeWritten() bool { return true }

// unknown says of an error of a commit that was sent whether that may have happened: the server did not say that it has not.
func unknown(err error) error {
	cause := err
	if late, ok := errors.AsType[*lateError](err); ok {
		cause = late.err
	}
	var said *pgconn.PgError
	if errors.As(cause, &said) && !lost(cause) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	return unknownError{err}
}

// end rolls back what was not committed, and gives the connection back.
func (p *pipeline) end(ctx context.Context) {
	defer func() {
		if p.queued {
			p.queued = false
			<-p.queue
		}
	}()
	if p.conn == nil {
		return
	}
	if c := p.conn.Conn(); !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
		// The session's own end of the transaction is what matters; ctx may be over.
		rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_, _ = c.Exec(rollback, "rollback")
	}
	p.conn.Release() // One that is still in a transaction is closed.
	p.conn = nil
}
