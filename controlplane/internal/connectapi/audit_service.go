package connectapi

import (
	"context"
	"strconv"

	"tollgate/controlplane/internal/audit"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// auditService serves the service of that name.
type auditService struct{ audit *audit.Service }

func (s auditService) ListAuditEvents(ctx context.Context, req *adminv1.ListAuditEventsRequest) (*adminv1.ListAuditEventsResponse, error) {
	f, err := parseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	if err := f.only("actor", "kind", "id"); err != nil {
		return nil, err
	}
	q := newQuery("audit_events", f)
	cursor, err := q.cursor(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	l := audit.List{Actor: f["actor"], Kind: f["kind"], ID: f["id"], Limit: pageSize(int(req.GetPageSize()))}
	if cursor != "" {
		if l.Below, err = strconv.ParseUint(cursor, 10, 63); err != nil {
			return nil, invalidField("page_token", "not a page token: pass next_page_token as it came")
		}
	}
	events, next, head, err := s.audit.Events(ctx, l)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListAuditEventsResponse{
		AuditEvents: each(events, toAuditEvent), HeadSequence: head.Sequence, HeadHash: head.Hash,
	}
	if next != 0 {
		res.NextPageToken = q.token(strconv.FormatUint(next, 10))
	}
	return res, nil
}

func (s auditService) VerifyAudit(ctx context.Context, _ *adminv1.VerifyAuditRequest) (*adminv1.VerifyAuditResponse, error) {
	r, head, err := s.audit.Verify(ctx)
	if err != nil {
		return nil, err
	}
	first, _ := r.First()
	return &adminv1.VerifyAuditResponse{
		Events: r.Events, FirstBad: first.Sequence, Problem: first.Problem, HeadHash: head.Hash,
	}, nil
}

func toAuditEvent(e *audit.Event) *adminv1.AuditEvent {
	return &adminv1.AuditEvent{
		Sequence: e.Sequence, Time: toTime(e.Time), Actor: e.Actor, ActorName: e.ActorName, Role: e.Role,
		Procedure: e.Procedure, Kind: e.Kind, Id: e.ID, Before: e.Before, After: e.After, RequestId: e.RequestID,
		Epoch: &adminv1.Epoch{Generation: e.Generation, Number: e.Number}, PreviousHash: e.Previous, Hash: e.Hash,
	}
}
