package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// accessService serves the service of that name.
type accessService struct{ licensing *licensing.Service }

func (s accessService) WhoAmI(ctx context.Context, _ *adminv1.WhoAmIRequest) (*adminv1.WhoAmIResponse, error) {
	caller := callerOf(ctx)
	return &adminv1.WhoAmIResponse{Token: toToken(&caller)}, nil
}

func (s accessService) CreateToken(ctx context.Context, req *adminv1.CreateTokenRequest) (*adminv1.CreateTokenResponse, error) {
	t, secret, err := s.licensing.CreateToken(ctx, licensing.Token{
		DisplayName: req.GetToken().GetDisplayName(), Role: toWord[licensing.Role](req.GetToken().GetRole()),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateTokenResponse{Token: toToken(&t), Secret: secret}, nil
}

func (s accessService) ListTokens(ctx context.Context, req *adminv1.ListTokensRequest) (*adminv1.ListTokensResponse, error) {
	items, next, err := list(ctx, "tokens", req, s.licensing.ListTokens, toToken)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListTokensResponse{Tokens: items, NextPageToken: next}, nil
}

func (s accessService) RevokeToken(ctx context.Context, req *adminv1.RevokeTokenRequest) (*adminv1.RevokeTokenResponse, error) {
	t, err := s.licensing.RevokeToken(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeTokenResponse{Token: toToken(&t)}, nil
}
