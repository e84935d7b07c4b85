package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// credentialService serves the service of that name.
type credentialService struct{ licensing *licensing.Service }

func (s credentialService) ListApiKeys(ctx context.Context, req *adminv1.ListApiKeysRequest) (*adminv1.ListApiKeysResponse, error) { //nolint:revive // The generated interface names it so.
	items, next, err := list(ctx, "api_keys", req, s.licensing.ListAPIKeys, toAPIKey)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListApiKeysResponse{ApiKeys: items, NextPageToken: next}, nil
}

func (s credentialService) CreateApiKey(ctx context.Context, req *adminv1.CreateApiKeyRequest) (*adminv1.CreateApiKeyResponse, error) { //nolint:revive // The generated interface names it so.
	k, secret, epoch, err := s.licensing.CreateAPIKey(ctx, licensing.APIKey{
		License: req.GetLicense(), DisplayName: req.GetDisplayName(), ExpiresAt: fromTime(req.GetExpiresAt()),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateApiKeyResponse{ApiKey: toAPIKey(&k), Secret: secret, Epoch: toEpoch(epoch)}, nil
}

func (s credentialService) RevokeApiKey(ctx context.Context, req *adminv1.RevokeApiKeyRequest) (*adminv1.RevokeApiKeyResponse, error) { //nolint:revive // The generated interface names it so.
	k, epoch, err := s.licensing.RevokeAPIKey(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeApiKeyResponse{ApiKey: toAPIKey(&k), Epoch: toEpoch(epoch)}, nil
}

func (s credentialService) GetApiKey(ctx context.Context, req *adminv1.GetApiKeyRequest) (*adminv1.GetApiKeyResponse, error) { //nolint:revive // The generated interface names it so.
	k, err := s.licensing.GetAPIKey(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetApiKeyResponse{ApiKey: toAPIKey(&k)}, nil
}

func (s credentialService) UpdateApiKey(ctx context.Context, req *adminv1.UpdateApiKeyRequest) (*adminv1.UpdateApiKeyResponse, error) { //nolint:revive // The generated interface names it so.
	k, epoch, err := s.licensing.UpdateAPIKey(ctx, fromAPIKey(req.GetApiKey()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateApiKeyResponse{ApiKey: toAPIKey(&k), Epoch: toEpoch(epoch)}, nil
}

func (s credentialService) RotateApiKey(ctx context.Context, req *adminv1.RotateApiKeyRequest) (*adminv1.RotateApiKeyResponse, error) { //nolint:revive // The generated interface names it so.
	r, epoch, err := s.licensing.RotateAPIKey(ctx, licensing.Rotation{
		ID: req.GetId(), Overlap: req.GetOverlap().AsDuration(), ExpiresAt: fromTime(req.GetExpiresAt()),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.RotateApiKeyResponse{ApiKey: toAPIKey(&r.Key), Secret: r.Secret, Old: toAPIKey(&r.Old), Epoch: toEpoch(epoch)}, nil
}

func (s credentialService) ImportApiKeys(ctx context.Context, req *adminv1.ImportApiKeysRequest) (*adminv1.ImportApiKeysResponse, error) { //nolint:revive // The generated interface names it so.
	imported, epoch, err := s.licensing.ImportAPIKeys(ctx, eachMessage(req.GetApiKeys(), fromHashedKey))
	if err != nil {
		return nil, err
	}
	return &adminv1.ImportApiKeysResponse{
		Results: each(imported.Results, toKeyImport), Imported: int32(imported.Imported), Epoch: toEpoch(epoch),
	}, nil
}
