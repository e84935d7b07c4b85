package connectapi

import (
	"context"

	"tollgate/controlplane/internal/catalog"
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// catalogService serves the service of that name.
type catalogService struct{ licensing *licensing.Service }

func (s catalogService) CreateFeature(ctx context.Context, req *adminv1.CreateFeatureRequest) (*adminv1.CreateFeatureResponse, error) {
	f, epoch, err := s.licensing.CreateFeature(ctx, fromFeature(req.GetFeature()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateFeatureResponse{Feature: toFeature(&f), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) GetFeature(ctx context.Context, req *adminv1.GetFeatureRequest) (*adminv1.GetFeatureResponse, error) {
	f, err := s.licensing.GetFeature(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetFeatureResponse{Feature: toFeature(&f)}, nil
}

func (s catalogService) ListFeatures(ctx context.Context, req *adminv1.ListFeaturesRequest) (*adminv1.ListFeaturesResponse, error) {
	items, next, err := list(ctx, "features", req, s.licensing.ListFeatures, toFeature)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListFeaturesResponse{Features: items, NextPageToken: next}, nil
}

func (s catalogService) UpdateFeature(ctx context.Context, req *adminv1.UpdateFeatureRequest) (*adminv1.UpdateFeatureResponse, error) {
	f, epoch, err := s.licensing.UpdateFeature(ctx, fromFeature(req.GetFeature()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateFeatureResponse{Feature: toFeature(&f), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) ArchiveFeature(ctx context.Context, req *adminv1.ArchiveFeatureRequest) (*adminv1.ArchiveFeatureResponse, error) {
	f, epoch, err := s.licensing.ArchiveFeature(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveFeatureResponse{Feature: toFeature(&f), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) CreateMeter(ctx context.Context, req *adminv1.CreateMeterRequest) (*adminv1.CreateMeterResponse, error) {
	m, epoch, err := s.licensing.CreateMeter(ctx, fromMeter(req.GetMeter()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateMeterResponse{Meter: toMeter(&m), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) GetMeter(ctx context.Context, req *adminv1.GetMeterRequest) (*adminv1.GetMeterResponse, error) {
	m, err := s.licensing.GetMeter(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetMeterResponse{Meter: toMeter(&m)}, nil
}

func (s catalogService) ListMeters(ctx context.Context, req *adminv1.ListMetersRequest) (*adminv1.ListMetersResponse, error) {
	items, next, err := list(ctx, "meters", req, s.licensing.ListMeters, toMeter)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListMetersResponse{Meters: items, NextPageToken: next}, nil
}

func (s catalogService) UpdateMeter(ctx context.Context, req *adminv1.UpdateMeterRequest) (*adminv1.UpdateMeterResponse, error) {
	m, epoch, err := s.licensing.UpdateMeter(ctx, fromMeter(req.GetMeter()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateMeterResponse{Meter: toMeter(&m), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) ArchiveMeter(ctx context.Context, req *adminv1.ArchiveMeterRequest) (*adminv1.ArchiveMeterResponse, error) {
	m, epoch, err := s.licensing.ArchiveMeter(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveMeterResponse{Meter: toMeter(&m), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) CreatePlan(ctx context.Context, req *adminv1.CreatePlanRequest) (*adminv1.CreatePlanResponse, error) {
	p, epoch, err := s.licensing.CreatePlan(ctx, fromPlan(req.GetPlan()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreatePlanResponse{Plan: toPlan(&p), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) GetPlan(ctx context.Context, req *adminv1.GetPlanRequest) (*adminv1.GetPlanResponse, error) {
	p, err := s.licensing.GetPlan(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetPlanResponse{Plan: toPlan(&p)}, nil
}

func (s catalogService) ListPlans(ctx context.Context, req *adminv1.ListPlansRequest) (*adminv1.ListPlansResponse, error) {
	items, next, err := list(ctx, "plans", req, s.licensing.ListPlans, toPlan)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListPlansResponse{Plans: items, NextPageToken: next}, nil
}

func (s catalogService) UpdatePlan(ctx context.Context, req *adminv1.UpdatePlanRequest) (*adminv1.UpdatePlanResponse, error) {
	p, epoch, err := s.licensing.UpdatePlan(ctx, fromPlan(req.GetPlan()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdatePlanResponse{Plan: toPlan(&p), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) ArchivePlan(ctx context.Context, req *adminv1.ArchivePlanRequest) (*adminv1.ArchivePlanResponse, error) {
	p, epoch, err := s.licensing.ArchivePlan(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchivePlanResponse{Plan: toPlan(&p), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) CreatePlanDraft(ctx context.Context, req *adminv1.CreatePlanDraftRequest) (*adminv1.CreatePlanDraftResponse, error) {
	v, epoch, err := s.licensing.CreatePlanDraft(ctx, req.GetPlan(), req.GetFromVersion())
	if err != nil {
		return nil, err
	}
	return &adminv1.CreatePlanDraftResponse{PlanVersion: toPlanVersion(&v), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) UpdatePlanDraft(ctx context.Context, req *adminv1.UpdatePlanDraftRequest) (*adminv1.UpdatePlanDraftResponse, error) {
	v, epoch, err := s.licensing.UpdatePlanDraft(ctx, fromPlanVersion(req.GetPlanVersion()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdatePlanDraftResponse{PlanVersion: toPlanVersion(&v), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) GetPlanVersion(ctx context.Context, req *adminv1.GetPlanVersionRequest) (*adminv1.GetPlanVersionResponse, error) {
	v, err := s.licensing.GetPlanVersion(ctx, req.GetPlan(), req.GetVersion())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetPlanVersionResponse{PlanVersion: toPlanVersion(&v)}, nil
}

func (s catalogService) ListPlanVersions(ctx context.Context, req *adminv1.ListPlanVersionsRequest) (*adminv1.ListPlanVersionsResponse, error) {
	read := func(ctx context.Context, l licensing.List) (licensing.Page[licensing.PlanVersion], error) {
		return s.licensing.ListPlanVersions(ctx, req.GetPlan(), l)
	}
	items, next, err := list(ctx, "plan_versions of "+req.GetPlan(), req, read, toPlanVersion)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListPlanVersionsResponse{PlanVersions: items, NextPageToken: next}, nil
}

func (s catalogService) PublishPlanVersion(ctx context.Context, req *adminv1.PublishPlanVersionRequest) (*adminv1.PublishPlanVersionResponse, error) {
	narrowed, err := parseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	v, moved, epoch, err := s.licensing.PublishPlanVersion(ctx, req.GetPlan(), req.GetVersion(), licensing.Publication{
		Migration: toWord[licensing.Migration](req.GetMigration()), Filter: narrowed, EffectiveAt: fromTime(req.GetEffectiveAt()), Affected: req.GetConfirmAffected(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.PublishPlanVersionResponse{PlanVersion: toPlanVersion(&v), Epoch: toEpoch(epoch), Moved: moved}, nil
}

func (s catalogService) GetMigration(ctx context.Context, req *adminv1.GetMigrationRequest) (*adminv1.GetMigrationResponse, error) {
	m, err := s.licensing.GetMigration(ctx, req.GetPlan(), req.GetVersion())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetMigrationResponse{
		Moved: m.Moved, Total: m.Total, Epoch: toEpoch(m.Epoch), Done: m.Done, Migration: toEnum[adminv1.Migration](m.Kind),
		EffectiveAt: toTime(m.EffectiveAt),
	}, nil
}

func (s catalogService) ApplyCatalog(ctx context.Context, req *adminv1.ApplyCatalogRequest) (*adminv1.ApplyCatalogResponse, error) {
	wanted, err := catalog.Parse([]byte(req.GetYaml()))
	if err != nil {
		return nil, err
	}
	wanted.Prune = req.GetPrune()
	wanted.Affected = req.GetConfirmAffected()
	changes, epoch, err := s.licensing.ApplyCatalog(ctx, wanted, req.GetDryRun(), toWord[licensing.Migration](req.GetMigration()))
	if err != nil {
		return nil, err
	}
	return &adminv1.ApplyCatalogResponse{Changes: each(changes, toCatalogChange), Epoch: toEpoch(epoch)}, nil
}
