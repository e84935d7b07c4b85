package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// usageService serves the service of that name.
type usageService struct {
	metering  *metering.Service
	licensing *licensing.Service
}

func (s usageService) QueryUsage(ctx context.Context, req *adminv1.QueryUsageRequest) (*adminv1.QueryUsageResponse, error) {
	u, err := s.metering.QueryUsage(ctx, metering.UsageQuery{
		License: req.GetLicense(), Meter: req.GetMeter(),
		From: fromTime(req.GetFrom()), To: fromTime(req.GetTo()), Window: req.GetWindow().AsDuration(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.QueryUsageResponse{Total: u.Total, Rows: each(u.Rows, toUsageRow), AsOf: toTime(u.AsOf)}, nil
}

func (s usageService) IngestEvents(ctx context.Context, req *adminv1.IngestEventsRequest) (*adminv1.IngestEventsResponse, error) {
	results, epoch, err := s.licensing.IngestEvents(ctx, eachMessage(req.GetEvents(), fromUsageEvent))
	if err != nil {
		return nil, err
	}
	res := &adminv1.IngestEventsResponse{Results: each(results, toIngestedEvent), Epoch: toEpoch(epoch)}
	for i := range results {
		switch results[i].Outcome {
		case licensing.Accepted:
			res.Accepted++
		case licensing.Duplicate:
			res.Duplicates++
		case licensing.Rejected:
			res.Rejected++
		}
	}
	return res, nil
}

func (s usageService) CorrectUsage(ctx context.Context, req *adminv1.CorrectUsageRequest) (*adminv1.CorrectUsageResponse, error) {
	c, total, epoch, err := s.licensing.CorrectUsage(ctx, licensing.UsageCorrection{
		License: req.GetLicense(), Meter: req.GetMeter(), Units: req.GetUnits(), Minute: fromTime(req.GetTime()), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.CorrectUsageResponse{Correction: toUsageCorrection(&c), Total: total, Epoch: toEpoch(epoch)}, nil
}

func (s usageService) ListUsageCorrections(ctx context.Context, req *adminv1.ListUsageCorrectionsRequest) (*adminv1.ListUsageCorrectionsResponse, error) {
	items, next, err := list(ctx, "usage_corrections", req, s.licensing.ListUsageCorrections, toUsageCorrection)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListUsageCorrectionsResponse{Corrections: items, NextPageToken: next}, nil
}
