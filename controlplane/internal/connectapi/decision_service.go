package connectapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tollgate/controlplane/internal/metering"
	"tollgate/dataplane/decision"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// decisionService serves the service of that name.
type decisionService struct{ metering *metering.Service }

func (s decisionService) SearchDecisions(ctx context.Context, req *adminv1.SearchDecisionsRequest) (*adminv1.SearchDecisionsResponse, error) {
	f, err := parseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	if err := f.only("license", "customer", "code", "outcome", "route", "node", "credential"); err != nil {
		return nil, err
	}
	from, to := fromTime(req.GetFrom()), fromTime(req.GetTo())
	q := newQuery("decisions", f, from.String(), to.String())
	after, err := cursorFrom(q, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	page, next, err := s.metering.SearchDecisions(ctx, metering.Filter{
		License: f["license"], Customer: f["customer"], Credential: f["credential"], Route: f["route"], Node: f["node"],
		Code: decision.Code(f["code"]), Outcome: decision.Outcome(f["outcome"]), From: from, To: to,
	}, after, int(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	res := &adminv1.SearchDecisionsResponse{Decisions: each(page, toDecision)}
	if next != nil {
		res.NextPageToken = q.token(fmt.Sprintf("%d %s", next.Time.UnixNano(), next.ID))
	}
	return res, nil
}

// cursorFrom reads what SearchDecisions puts into a page token: nanoseconds and id.
func cursorFrom(q query, token string) (*metering.Cursor, error) {
	text, err := q.cursor(token)
	if err != nil || text == "" {
		return nil, err
	}
	nanos, id, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(nanos, 10, 64)
	if err != nil {
		return nil, invalidField("page_token", "not a page token: pass next_page_token as it came")
	}
	return &metering.Cursor{Time: time.Unix(0, n).UTC(), ID: id}, nil
}

func (s decisionService) GetDecision(ctx context.Context, req *adminv1.GetDecisionRequest) (*adminv1.GetDecisionResponse, error) {
	d, trace, err := s.metering.GetDecision(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetDecisionResponse{Decision: toDecision(&d), Trace: each(trace, toTraceStep)}, nil
}
