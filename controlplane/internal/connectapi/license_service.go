package connectapi

import (
	"context"
	"strconv"

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
	l, epoch, err := s.licensing.CancelLicense(ctx, req.GetId(), toWord[licensing.When](req.GetWhen()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CancelLicenseResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) RenewLicense(ctx context.Context, req *adminv1.RenewLicenseRequest) (*adminv1.RenewLicenseResponse, error) {
	l, epoch, err := s.licensing.RenewLicense(ctx, req.GetId(), fromTime(req.GetEndsAt()))
	if err != nil {
		return nil, err
	}
	return &adminv1.RenewLicenseResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) SetPastDue(ctx context.Context, req *adminv1.SetPastDueRequest) (*adminv1.SetPastDueResponse, error) {
	l, epoch, err := s.licensing.SetPastDue(ctx, req.GetId(), fromTime(req.GetGraceUntil()))
	if err != nil {
		return nil, err
	}
	return &adminv1.SetPastDueResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) ChangePlan(ctx context.Context, req *adminv1.ChangePlanRequest) (*adminv1.ChangePlanResponse, error) {
	l, epoch, err := s.licensing.ChangePlan(ctx, licensing.PlanChange{
		License: req.GetId(), Plan: req.GetPlan(), Version: req.GetVersion(), When: toWord[licensing.When](req.GetWhen()), ResetUsage: req.GetResetUsage(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.ChangePlanResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) CreateOverride(ctx context.Context, req *adminv1.CreateOverrideRequest) (*adminv1.CreateOverrideResponse, error) {
	wanted, err := fromOverride(req)
	if err != nil {
		return nil, err
	}
	o, epoch, err := s.licensing.CreateOverride(ctx, wanted)
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateOverrideResponse{Override: toOverride(&o), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) DeleteOverride(ctx context.Context, req *adminv1.DeleteOverrideRequest) (*adminv1.DeleteOverrideResponse, error) {
	l, epoch, err := s.licensing.DeleteOverride(ctx, req.GetLicense(), req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.DeleteOverrideResponse{License: toLicense(&l), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) CreateGrant(ctx context.Context, req *adminv1.CreateGrantRequest) (*adminv1.CreateGrantResponse, error) {
	g, epoch, err := s.licensing.CreateGrant(ctx, licensing.Grant{
		License: req.GetLicense(), Feature: req.GetFeature(), Units: req.GetUnits(), Priority: req.GetPriority(),
		StartsAt: fromTime(req.GetStartsAt()), ExpiresAt: fromTime(req.GetExpiresAt()), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateGrantResponse{Grant: toGrant(&g), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) GetEntitlements(ctx context.Context, req *adminv1.GetEntitlementsRequest) (*adminv1.GetEntitlementsResponse, error) {
	e, err := s.licensing.GetEntitlements(ctx, req.GetLicense(), fromTime(req.GetAt()))
	if err != nil {
		return nil, err
	}
	return &adminv1.GetEntitlementsResponse{
		Entitlements: each(e.Features, toEntitled), RateLimits: each(e.RateLimits, toEntitledRate), License: toLicense(&e.License),
	}, nil
}

func (s licenseService) ListLicenseEvents(ctx context.Context, req *adminv1.ListLicenseEventsRequest) (*adminv1.ListLicenseEventsResponse, error) {
	q := newQuery("license_events", nil, req.GetLicense(), strconv.FormatInt(req.GetAfter(), 10))
	cursor, err := q.cursor(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	events, err := s.licensing.ListLicenseEvents(ctx, req.GetLicense(), req.GetAfter(), licensing.List{PageSize: int(req.GetPageSize()), After: cursor})
	if err != nil {
		return nil, err
	}
	return &adminv1.ListLicenseEventsResponse{LicenseEvents: each(events.Items, toLicenseEvent), NextPageToken: q.token(events.Next)}, nil
}

func (s licenseService) ListLoans(ctx context.Context, req *adminv1.ListLoansRequest) (*adminv1.ListLoansResponse, error) {
	q := newQuery("loans", nil, req.GetLicense())
	cursor, err := q.cursor(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	loans, err := s.licensing.ListLoans(ctx, req.GetLicense(), licensing.List{PageSize: int(req.GetPageSize()), After: cursor})
	if err != nil {
		return nil, err
	}
	return &adminv1.ListLoansResponse{Loans: each(loans.Items, toLoan), NextPageToken: q.token(loans.Next)}, nil
}
