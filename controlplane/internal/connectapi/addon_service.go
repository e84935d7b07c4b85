package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func (s catalogService) CreateAddOn(ctx context.Context, req *adminv1.CreateAddOnRequest) (*adminv1.CreateAddOnResponse, error) {
	a, epoch, err := s.licensing.CreateAddOn(ctx, fromAddOn(req.GetAddOn()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateAddOnResponse{AddOn: toAddOn(&a), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) GetAddOn(ctx context.Context, req *adminv1.GetAddOnRequest) (*adminv1.GetAddOnResponse, error) {
	a, err := s.licensing.GetAddOn(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetAddOnResponse{AddOn: toAddOn(&a)}, nil
}

func (s catalogService) ListAddOns(ctx context.Context, req *adminv1.ListAddOnsRequest) (*adminv1.ListAddOnsResponse, error) {
	items, next, err := list(ctx, "add_ons", req, s.licensing.ListAddOns, toAddOn)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListAddOnsResponse{AddOns: items, NextPageToken: next}, nil
}

func (s catalogService) UpdateAddOn(ctx context.Context, req *adminv1.UpdateAddOnRequest) (*adminv1.UpdateAddOnResponse, error) {
	a, epoch, err := s.licensing.UpdateAddOn(ctx, fromAddOn(req.GetAddOn()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateAddOnResponse{AddOn: toAddOn(&a), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) ArchiveAddOn(ctx context.Context, req *adminv1.ArchiveAddOnRequest) (*adminv1.ArchiveAddOnResponse, error) {
	a, epoch, err := s.licensing.ArchiveAddOn(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveAddOnResponse{AddOn: toAddOn(&a), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) UnarchiveAddOn(ctx context.Context, req *adminv1.UnarchiveAddOnRequest) (*adminv1.UnarchiveAddOnResponse, error) {
	a, epoch, err := s.licensing.UnarchiveAddOn(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.UnarchiveAddOnResponse{AddOn: toAddOn(&a), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) AttachAddOn(ctx context.Context, req *adminv1.AttachAddOnRequest) (*adminv1.AttachAddOnResponse, error) {
	l, epoch, err := s.licensing.AttachAddOn(ctx, req.GetId(), licensing.Attachment{
		AddOn: req.GetAddOn(), StartsAt: fromTime(req.GetStartsAt()), EndsAt: fromTime(req.GetEndsAt()),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.AttachAddOnResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) DetachAddOn(ctx context.Context, req *adminv1.DetachAddOnRequest) (*adminv1.DetachAddOnResponse, error) {
	l, epoch, err := s.licensing.DetachAddOn(ctx, req.GetId(), req.GetAddOn(), toWord[licensing.When](req.GetWhen()))
	if err != nil {
		return nil, err
	}
	return &adminv1.DetachAddOnResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}
