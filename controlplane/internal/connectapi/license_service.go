package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// licenseService serves the service of that name.
type licenseService struct{ licensing *licensing.Service }

func (s licenseService) GetLicense(ctx context.Context, req *adminv1.GetLicenseRequest) (*adminv1.GetLicenseResponse, error) {
	l, err := s.licensing.GetLicense(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetLicenseResponse{License: toLicense(&l)}, nil
}

func (s licenseService) ListLicenses(ctx context.Context, req *adminv1.ListLicensesRequest) (*adminv1.ListLicensesResponse, error) {
	items, next, err := list(ctx, "licenses", req, s.licensing.ListLicenses, toLicense)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListLicensesResponse{Licenses: items, NextPageToken: next}, nil
}

func (s licenseService) IssueLicense(ctx context.Context, req *adminv1.IssueLicenseRequest) (*adminv1.IssueLicenseResponse, error) {
	l, epoch, err := s.licensing.IssueLicense(ctx, fromLicense(req.GetLicense()))
	if err != nil {
		return nil, err
	}
	return &adminv1.IssueLicenseResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) SuspendLicense(ctx context.Context, req *adminv1.SuspendLicenseRequest) (*adminv1.SuspendLicenseResponse, error) {
	l, epoch, err := s.licensing.SuspendLicense(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.SuspendLicenseResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) ResumeLicense(ctx context.Context, req *adminv1.ResumeLicenseRequest) (*adminv1.ResumeLicenseResponse, error) {
	l, epoch, err := s.licensing.ResumeLicense(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.ResumeLicenseResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) RevokeLicense(ctx context.Context, req *adminv1.RevokeLicenseRequest) (*adminv1.RevokeLicenseResponse, error) {
	l, epoch, err := s.licensing.RevokeLicense(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeLicenseResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) CancelLicense(ctx context.Context, req *adminv1.CancelLicenseRequest) (*adminv1.CancelLicenseResponse, error) {
	l, epoch, err := s.licensing.CancelLicense(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.CancelLicenseResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}
