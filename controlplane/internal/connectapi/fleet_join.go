package connectapi

import (
	"context"
	"fmt"

	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/jointoken"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func (s fleetService) CreateJoinToken(ctx context.Context, req *adminv1.CreateJoinTokenRequest) (*adminv1.CreateJoinTokenResponse, error) {
	if s.adminURL == "" {
		return nil, &licensing.Error{
			Code: licensing.FailedPrecondition, Message: "the control plane does not know at which address nodes reach it: set admin_url in its configuration",
		}
	}
	t, secret, err := s.licensing.CreateJoinToken(ctx, licensing.JoinToken{
		Node: req.GetNode(), Uses: req.GetUses(), Replace: req.GetReplace(),
	}, req.GetTtl().AsDuration())
	if err != nil {
		return nil, err
	}
	res := &adminv1.CreateJoinTokenResponse{JoinToken: toJoinToken(&t)}
	if secret == "" {
		return res, nil // Only checked.
	}
	if res.Secret, err = (jointoken.Token{ID: t.ID, Secret: secret, Server: s.adminURL}).Encode(); err != nil {
		return nil, fmt.Errorf("write the join token: %w", err)
	}
	return res, nil
}

func (s fleetService) ListJoinTokens(ctx context.Context, req *adminv1.ListJoinTokensRequest) (*adminv1.ListJoinTokensResponse, error) {
	items, next, err := list(ctx, "join_tokens", req, s.licensing.ListJoinTokens, toJoinToken)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListJoinTokensResponse{JoinTokens: items, NextPageToken: next}, nil
}

func (s fleetService) RevokeJoinToken(ctx context.Context, req *adminv1.RevokeJoinTokenRequest) (*adminv1.RevokeJoinTokenResponse, error) {
	t, err := s.licensing.RevokeJoinToken(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeJoinTokenResponse{JoinToken: toJoinToken(&t)}, nil
}
