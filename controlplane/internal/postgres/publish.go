package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

// Outbox is where the publisher finds what to publish.
type Outbox struct{ db *DB }

// Outbox is the part of the publisher's port that knows no records.
func (db *DB) Outbox() *Outbox { return &Outbox{db} }

// rulesChannel is what the trigger on rule_envelope notifies.
const rulesChannel = "tollgate_rules"

// leadEvery is how often a lock that another holds is tried, and a lost connection made again.
const leadEvery = 500 * time.Millisecond

// Lead calls f while this session, of all in the database, holds the publisher's lock. f's context ends with the
// session; where f returns, the lock is anybody's. Lead returns when ctx ends.
func (o *Outbox) Lead(ctx context.Context, f func(ctx context.Context, wake <-chan struct{})) error {
	tick := time.NewTicker(leadEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		// An error is a lost session: the next one has to begin anew anyhow.
		_ = o.lead(ctx, tick.C, f)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return ctx.Err()
}

func (o *Outbox) lead(ctx context.Context, tick <-chan time.Time, f func(ctx context.Context, wake <-chan struct{})) error {
	// Its own connection: the lock and LISTEN belong to the session, and must not go back into the pool.
	conn, err := pgx.ConnectConfig(ctx, o.db.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+rulesChannel); err != nil {
		return err
	}
	q := query.New(conn)
	for {
		held, err := q.TryLead(ctx)
		if err != nil {
			return err
		}
		if held {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
		}
	}
	return hold(ctx, conn, f)
}

// hold runs f until it returns, and gives the lock up then, or until the session ends.
func hold(ctx context.Context, conn *pgx.Conn, f func(ctx context.Context, wake <-chan struct{})) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wake := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		f(ctx, wake)
	}()
	defer func() {
		cancel()
		<-done
	}()
	for {
		// A session that is gone without a word is found by asking.
		waiting, stop := context.WithTimeout(ctx, 2*time.Second)
		_, err := conn.WaitForNotification(waiting)
		stop()
		switch {
		case err == nil:
			select {
			case wake <- struct{}{}:
			default:
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case waiting.Err() != nil && !conn.IsClosed():
			asking, stop := context.WithTimeout(ctx, 2*time.Second)
			err := conn.Ping(asking)
			stop()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// Head is the newest epoch and the hash of its envelope; a zero epoch where there is no fleet yet.
func (o *Outbox) Head(ctx context.Context) (decision.Epoch, []byte, error) { return o.db.head(ctx) }

// Envelopes calls yield for the envelopes after an epoch, in order. No connection is held meanwhile.
func (o *Outbox) Envelopes(ctx context.Context, after decision.Epoch, limit int, yield func(at decision.Epoch, payload []byte, created time.Time) error) error {
	var rows []query.EnvelopesAfterRow
	err := o.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		rows, err = q.EnvelopesAfter(ctx, query.EnvelopesAfterParams{
			Generation: int64(after.Generation), Number: int64(after.Number), Batch: int32(limit),
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("read envelopes after %d.%d: %w", after.Generation, after.Number, err)
	}
	for _, r := range rows {
		if err := yield(decision.Epoch{Generation: uint64(r.Generation), Number: uint64(r.Number)}, r.Payload, r.CreatedAt); err != nil {
			return err
		}
	}
	return nil
}

// EnvelopeHash is the hash of one envelope; nil where there is none.
func (o *Outbox) EnvelopeHash(ctx context.Context, at decision.Epoch) ([]byte, error) {
	var hash []byte
	err := o.db.read(ctx, func(ctx context.Context, q *query.Queries) (err error) {
		hash, err = q.EnvelopeHash(ctx, query.EnvelopeHashParams{Generation: int64(at.Generation), Number: int64(at.Number)})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the hash of epoch %d.%d: %w", at.Generation, at.Number, err)
	}
	return hash, nil
}
