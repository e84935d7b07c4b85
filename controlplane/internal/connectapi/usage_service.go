package connectapi

import (
	"context"

	"tollgate/controlplane/internal/metering"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// usageService serves the service of that name.
type usageService struct{ metering *metering.Service }

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
