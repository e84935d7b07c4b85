package connectapi

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func (s trafficService) CreateIssuer(ctx context.Context, req *adminv1.CreateIssuerRequest) (*adminv1.CreateIssuerResponse, error) {
	i, epoch, err := s.licensing.CreateIssuer(ctx, fromIssuer(req.GetIssuer()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateIssuerResponse{Issuer: toIssuer(&i), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) GetIssuer(ctx context.Context, req *adminv1.GetIssuerRequest) (*adminv1.GetIssuerResponse, error) {
	i, err := s.licensing.GetIssuer(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetIssuerResponse{Issuer: toIssuer(&i)}, nil
}

func (s trafficService) ListIssuers(ctx context.Context, req *adminv1.ListIssuersRequest) (*adminv1.ListIssuersResponse, error) {
	items, next, err := list(ctx, "issuers", req, s.licensing.ListIssuers, toIssuer)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListIssuersResponse{Issuers: items, NextPageToken: next}, nil
}

func (s trafficService) UpdateIssuer(ctx context.Context, req *adminv1.UpdateIssuerRequest) (*adminv1.UpdateIssuerResponse, error) {
	i, epoch, err := s.licensing.UpdateIssuer(ctx, fromIssuer(req.GetIssuer()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateIssuerResponse{Issuer: toIssuer(&i), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) ArchiveIssuer(ctx context.Context, req *adminv1.ArchiveIssuerRequest) (*adminv1.ArchiveIssuerResponse, error) {
	i, epoch, err := s.licensing.ArchiveIssuer(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveIssuerResponse{Issuer: toIssuer(&i), Epoch: toEpoch(epoch)}, nil
}

func toIssuer(i *licensing.Issuer) *adminv1.Issuer {
	to := &adminv1.Issuer{
		Key: i.Key, DisplayName: i.DisplayName, Issuer: i.Issuer, Audiences: i.Audiences, Algorithms: i.Algorithms, Etag: i.Etag,
		CreateTime: toTime(i.CreateTime), UpdateTime: toTime(i.UpdateTime), ArchiveTime: toTime(i.ArchiveTime),
	}
	switch {
	case i.JwksFile != "":
		to.Keys = &adminv1.Issuer_JwksFile{JwksFile: i.JwksFile}
	case i.JwksURL != "":
		to.Keys = &adminv1.Issuer_JwksUrl{JwksUrl: i.JwksURL}
	case i.Discovery:
		to.Keys = &adminv1.Issuer_Discovery{Discovery: true}
	}
	switch {
	case i.CustomerClaim != "":
		to.Subject = &adminv1.Issuer_CustomerClaim{CustomerClaim: i.CustomerClaim}
	case i.LicenseClaim != "":
		to.Subject = &adminv1.Issuer_LicenseClaim{LicenseClaim: i.LicenseClaim}
	}
	return to
}

func fromIssuer(i *adminv1.Issuer) licensing.Issuer {
	return licensing.Issuer{
		Key: i.GetKey(), DisplayName: i.GetDisplayName(), Issuer: i.GetIssuer(), JwksFile: i.GetJwksFile(), JwksURL: i.GetJwksUrl(),
		Discovery: i.GetDiscovery(), Audiences: i.GetAudiences(), CustomerClaim: i.GetCustomerClaim(), LicenseClaim: i.GetLicenseClaim(),
		Algorithms: i.GetAlgorithms(), Meta: licensing.Meta{Etag: i.GetEtag()},
	}
}
