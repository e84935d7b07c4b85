package connectapi

import (
	"context"

	"tollgate/controlplane/internal/catalog"
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func (s catalogService) DiffPlanVersions(ctx context.Context, req *adminv1.DiffPlanVersionsRequest) (*adminv1.DiffPlanVersionsResponse, error) {
	changes, err := s.licensing.DiffPlanVersions(ctx, req.GetPlan(), req.GetFromVersion(), req.GetToVersion())
	if err != nil {
		return nil, err
	}
	return &adminv1.DiffPlanVersionsResponse{Changes: each(changes, toVersionChange)}, nil
}

func (s catalogService) PreviewPublish(ctx context.Context, req *adminv1.PreviewPublishRequest) (*adminv1.PreviewPublishResponse, error) {
	p, err := s.licensing.PreviewPublish(ctx, req.GetPlan(), req.GetVersion())
	if err != nil {
		return nil, err
	}
	return toPreview(&p), nil
}

func (s catalogService) RollbackPlan(ctx context.Context, req *adminv1.RollbackPlanRequest) (*adminv1.RollbackPlanResponse, error) {
	v, moved, epoch, err := s.licensing.RollbackPlan(ctx, req.GetPlan(), licensing.Publication{
		Migration: toWord[licensing.Migration](req.GetMigration()), Affected: req.GetConfirmAffected(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.RollbackPlanResponse{PlanVersion: toPlanVersion(&v), Epoch: toEpoch(epoch), Moved: moved}, nil
}

func (s catalogService) DiscardPlanDraft(ctx context.Context, req *adminv1.DiscardPlanDraftRequest) (*adminv1.DiscardPlanDraftResponse, error) {
	v, epoch, err := s.licensing.DiscardPlanDraft(ctx, req.GetPlan(), req.GetVersion(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &adminv1.DiscardPlanDraftResponse{PlanVersion: toPlanVersion(&v), Epoch: toEpoch(epoch)}, nil
}

func (s catalogService) ExportCatalog(ctx context.Context, _ *adminv1.ExportCatalogRequest) (*adminv1.ExportCatalogResponse, error) {
	c, err := s.licensing.ExportCatalog(ctx)
	if err != nil {
		return nil, err
	}
	text, err := catalog.Write(&c)
	if err != nil {
		return nil, err
	}
	return &adminv1.ExportCatalogResponse{Yaml: string(text)}, nil
}
