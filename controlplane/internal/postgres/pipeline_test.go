package postgres_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/pgtest"
)

// Nobody waits for the answer to what is stored last. A change set or an event that does not follow on its head fails the commit that it goes along with
// nevertheless, and nothing of the transaction stays.
func TestI6_Update_RefusesWhatDoesNotFollowOnItsHead(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s := service(t, db)
	ctx := t.Context()
	head, err := db.Licensing().Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, end, err := db.Audit().Events(ctx, audit.List{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	meter := func(tx licensing.Tx) error {
		_, err := tx.InsertMeter(ctx, licensing.Meter{Key: "m", Aggregation: licensing.Count, Meta: licensing.Meta{CreateTime: now, UpdateTime: now}})
		return err
	}
	for name, c := range map[string]struct {
		last func(licensing.Tx) error
		said string
	}{
		"a change set": {func(tx licensing.Tx) error {
			return tx.AppendEnvelope(ctx, licensing.Envelope{
				Epoch:   licensing.Epoch{Generation: head.Epoch.Generation, Number: head.Epoch.Number + 2},
				Payload: []byte("x"), Hash: []byte("x"), CreateTime: now,
			})
		}, "store change set 1.3"},
		"a change set of another generation": {func(tx licensing.Tx) error {
			return tx.AppendEnvelope(ctx, licensing.Envelope{
				Epoch:   licensing.Epoch{Generation: head.Epoch.Generation + 1, Number: head.Epoch.Number + 1},
				Payload: []byte("x"), Hash: []byte("x"), CreateTime: now,
			})
		}, "store change set 2.2"},
		"an audit event": {func(tx licensing.Tx) error {
			return tx.AppendAudit(ctx, audit.Event{Sequence: end.Sequence + 2, Time: now, Before: "{}", After: "{}", Previous: end.Hash, Hash: []byte("x")})
		}, "store audit event"},
	} {
		err := db.Licensing().Update(ctx, func(tx licensing.Tx) error {
			if err := meter(tx); err != nil {
				return err
			}
			return c.last(tx)
		})
		if err == nil || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%s: %v", name, err)
		}
		// What breaks late is no fault of what was asked for meanwhile.
		err = db.Licensing().Update(ctx, func(tx licensing.Tx) error {
			if err := c.last(tx); err != nil {
				return err
			}
			return meter(tx)
		})
		if err == nil || !strings.Contains(err.Error(), c.said) || licensing.CodeOf(err) == licensing.AlreadyExists {
			t.Errorf("%s, before another statement: %v", name, err)
		}
	}
	if _, err := s.GetMeter(ctx, "m"); licensing.CodeOf(err) != licensing.NotFound {
		t.Errorf("something of a transaction that failed is there: %v", err)
	}
	if now, err := db.Licensing().Head(ctx); err != nil || now.Epoch != head.Epoch {
		t.Errorf("the head is at %v, %v; want %v", now.Epoch, err, head.Epoch)
	}
	// The connections are as good as before.
	if _, e, err := s.CreateMeter(ctx, licensing.Meter{Key: "m", Aggregation: licensing.Count}); err != nil || e.Number != head.Epoch.Number+1 {
		t.Errorf("a write afterwards: %v, %v", e, err)
	}
}
