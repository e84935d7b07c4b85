package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// customerService serves the service of that name.
type customerService struct{ licensing *licensing.Service }

func (s customerService) CreateCustomer(ctx context.Context, req *adminv1.CreateCustomerRequest) (*adminv1.CreateCustomerResponse, error) {
	c, epoch, err := s.licensing.CreateCustomer(ctx, fromCustomer(req.GetCustomer()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateCustomerResponse{Customer: toCustomer(&c), Epoch: toEpoch(epoch)}, nil
}

func (s customerService) GetCustomer(ctx context.Context, req *adminv1.GetCustomerRequest) (*adminv1.GetCustomerResponse, error) {
	c, err := s.licensing.GetCustomer(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetCustomerResponse{Customer: toCustomer(&c)}, nil
}

func (s customerService) ListCustomers(ctx context.Context, req *adminv1.ListCustomersRequest) (*adminv1.ListCustomersResponse, error) {
	items, next, err := list(ctx, "customers", req, s.licensing.ListCustomers, toCustomer)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListCustomersResponse{Customers: items, NextPageToken: next}, nil
}

func (s customerService) UpdateCustomer(ctx context.Context, req *adminv1.UpdateCustomerRequest) (*adminv1.UpdateCustomerResponse, error) {
	c, epoch, err := s.licensing.UpdateCustomer(ctx, fromCustomer(req.GetCustomer()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateCustomerResponse{Customer: toCustomer(&c), Epoch: toEpoch(epoch)}, nil
}

func (s customerService) ArchiveCustomer(ctx context.Context, req *adminv1.ArchiveCustomerRequest) (*adminv1.ArchiveCustomerResponse, error) {
	c, epoch, err := s.licensing.ArchiveCustomer(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveCustomerResponse{Customer: toCustomer(&c), Epoch: toEpoch(epoch)}, nil
}
