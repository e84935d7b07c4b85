package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// trafficService serves the service of that name.
type trafficService struct{ licensing *licensing.Service }

func (s trafficService) CreateService(ctx context.Context, req *adminv1.CreateServiceRequest) (*adminv1.CreateServiceResponse, error) {
	u, epoch, err := s.licensing.CreateService(ctx, fromService(req.GetService()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateServiceResponse{Service: toService(&u), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) GetService(ctx context.Context, req *adminv1.GetServiceRequest) (*adminv1.GetServiceResponse, error) {
	u, err := s.licensing.GetService(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetServiceResponse{Service: toService(&u)}, nil
}

func (s trafficService) ListServices(ctx context.Context, req *adminv1.ListServicesRequest) (*adminv1.ListServicesResponse, error) {
	items, next, err := list(ctx, "services", req, s.licensing.ListServices, toService)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListServicesResponse{Services: items, NextPageToken: next}, nil
}

func (s trafficService) UpdateService(ctx context.Context, req *adminv1.UpdateServiceRequest) (*adminv1.UpdateServiceResponse, error) {
	u, epoch, err := s.licensing.UpdateService(ctx, fromService(req.GetService()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateServiceResponse{Service: toService(&u), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) ArchiveService(ctx context.Context, req *adminv1.ArchiveServiceRequest) (*adminv1.ArchiveServiceResponse, error) {
	u, epoch, err := s.licensing.ArchiveService(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveServiceResponse{Service: toService(&u), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) CreateRoute(ctx context.Context, req *adminv1.CreateRouteRequest) (*adminv1.CreateRouteResponse, error) {
	r, epoch, err := s.licensing.CreateRoute(ctx, fromRoute(req.GetRoute()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateRouteResponse{Route: toRoute(&r), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) GetRoute(ctx context.Context, req *adminv1.GetRouteRequest) (*adminv1.GetRouteResponse, error) {
	r, err := s.licensing.GetRoute(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetRouteResponse{Route: toRoute(&r)}, nil
}

func (s trafficService) ListRoutes(ctx context.Context, req *adminv1.ListRoutesRequest) (*adminv1.ListRoutesResponse, error) {
	items, next, err := list(ctx, "routes", req, s.licensing.ListRoutes, toRoute)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListRoutesResponse{Routes: items, NextPageToken: next}, nil
}

func (s trafficService) UpdateRoute(ctx context.Context, req *adminv1.UpdateRouteRequest) (*adminv1.UpdateRouteResponse, error) {
	r, epoch, err := s.licensing.UpdateRoute(ctx, fromRoute(req.GetRoute()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateRouteResponse{Route: toRoute(&r), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) ArchiveRoute(ctx context.Context, req *adminv1.ArchiveRouteRequest) (*adminv1.ArchiveRouteResponse, error) {
	r, epoch, err := s.licensing.ArchiveRoute(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveRouteResponse{Route: toRoute(&r), Epoch: toEpoch(epoch)}, nil
}
