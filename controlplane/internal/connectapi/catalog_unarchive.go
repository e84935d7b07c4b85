package connectapi

import (
	"context"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func (s catalogService) UnarchiveFeature(ctx context.Context, req *adminv1.UnarchiveFeatureRequest) (*adminv1.UnarchiveFeatureResponse, error) {
	f, epoch, err := s.licensing.UnarchiveFeature(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.UnarchiveFeatureResponse{Feature: toFeature(&f), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) UnarchiveMeter(ctx context.Context, req *adminv1.UnarchiveMeterRequest) (*adminv1.UnarchiveMeterResponse, error) {
	m, epoch, err := s.licensing.UnarchiveMeter(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.UnarchiveMeterResponse{Meter: toMeter(&m), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) UnarchivePlan(ctx context.Context, req *adminv1.UnarchivePlanRequest) (*adminv1.UnarchivePlanResponse, error) {
	p, epoch, err := s.licensing.UnarchivePlan(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.UnarchivePlanResponse{Plan: toPlan(&p), Epoch: toEpoch(epoch)}, nil
}
