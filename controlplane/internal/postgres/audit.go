package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
	"tollgate/dataplane/decision"
)

// Audit is audit.Store.
type Audit struct{ reader }

var _ audit.Store = (*Audit)(nil)

// Audit is the port of the audit log.
func (db *DB) Audit() *Audit { return &Audit{reader{run: db.readList}} }

// Events implements audit.Store.
func (s *Audit) Events(ctx context.Context, l audit.List) ([]audit.Event, audit.Head, error) {
	var below *int64
	if l.Below != 0 {
		n := int64(l.Below)
		below = &n
	}
	rows, err := get(ctx, s.reader, func(ctx context.Context, q *query.Queries) ([]query.AuditEventsRow, error) {
		return q.AuditEvents(ctx, query.AuditEventsParams{
			Below: below, Actor: nullText(l.Actor), Kind: nullText(l.Kind), Object: nullText(l.ID), PageSize: int32(l.Limit),
		})
	})
	if err != nil {
		return nil, audit.Head{}, fmt.Errorf("list audit events: %w", err)
	}
	if len(rows) == 0 {
		h, err := get(ctx, s.reader, func(ctx context.Context, q *query.Queries) (query.AuditHeadRow, error) { return q.AuditHead(ctx) })
		if err != nil {
			return nil, audit.Head{}, fmt.Errorf("read head of audit: %w", err)
		}
		return nil, audit.Head{Sequence: uint64(h.Sequence), Hash: h.Hash}, nil
	}
	events := make([]audit.Event, len(rows))
	for i, r := range rows {
		e := r.AuditEvent
		events[i] = audit.Event{
			Sequence: uint64(e.Sequence), Time: e.At.UTC(), Actor: e.Actor, ActorName: e.ActorName, Role: e.Role,
			Procedure: e.Procedure, Kind: e.Kind, ID: e.Object, Before: e.Before, After: e.After, RequestID: e.RequestID,
			Generation: uint64(e.Generation), Number: uint64(e.Number), Previous: e.PreviousHash, Hash: e.Hash,
		}
	}
	return events, audit.Head{Sequence: uint64(rows[0].HeadSequence), Hash: rows[0].HeadHash}, nil
}

func (t *licensingTx) LockAudit(ctx context.Context) (audit.Head, error) {
	row, err := t.q.LockAuditHead(ctx)
	if err != nil {
		return audit.Head{}, fmt.Errorf("lock head of audit: %w", err)
	}
	return audit.Head{Sequence: uint64(row.Sequence), Hash: row.Hash}, nil
}

func (t *licensingTx) AppendAudit(ctx context.Context, e audit.Event) error {
	return t.p.later(fmt.Sprintf("store audit event %d", e.Sequence)).AppendAuditEvent(ctx, query.AppendAuditEventParams{
		Sequence: int64(e.Sequence), Previous: int64(e.Sequence) - 1, At: e.Time, Actor: e.Actor, ActorName: e.ActorName, Role: e.Role,
		Procedure: e.Procedure, Kind: e.Kind, Object: e.ID, Before: e.Before, After: e.After, RequestID: e.RequestID,
		Generation: int64(e.Generation), Number: int64(e.Number), PreviousHash: filledBytes(e.Previous), Hash: e.Hash,
	})
}

// filledBytes: a column that is empty, not null.
func filledBytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (t *licensingTx) Answer(ctx context.Context, k licensing.CallKey, after time.Time) (licensing.Answer, bool, error) {
	row, err := t.q.AdminCall(ctx, query.AdminCallParams{
		Actor: k.Actor, Procedure: k.Procedure, RequestID: k.RequestID, After: after,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return licensing.Answer{}, false, nil
	}
	if err != nil {
		return licensing.Answer{}, false, fmt.Errorf("read the answer of a call: %w", err)
	}
	return licensing.Answer{
		CallKey: k, Fingerprint: row.Fingerprint, Sealed: row.Answer, CreateTime: row.CreatedAt.UTC(),
		Epoch: decision.Epoch{Generation: uint64(row.Generation), Number: uint64(row.Number)},
	}, true, nil
}

func (t *licensingTx) InsertAnswer(ctx context.Context, a licensing.Answer) error {
	return t.p.later("store the answer of a call").InsertAdminCall(ctx, query.InsertAdminCallParams{
		Actor: a.Actor, Procedure: a.Procedure, RequestID: a.RequestID, Fingerprint: a.Fingerprint, Answer: a.Sealed,
		Generation: int64(a.Epoch.Generation), Number: int64(a.Epoch.Number), CreatedAt: a.CreateTime,
	})
}

func (t *licensingTx) ExpireAnswers(ctx context.Context, before time.Time, limit int) error {
	return t.p.later("expire answers of calls").ExpireAdminCalls(ctx, query.ExpireAdminCallsParams{Before: before, RowLimit: int32(limit)})
}
