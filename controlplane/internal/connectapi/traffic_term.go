package connectapi

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func (s trafficService) CreateTerm(ctx context.Context, req *adminv1.CreateTermRequest) (*adminv1.CreateTermResponse, error) {
	t, epoch, err := s.licensing.CreateTerm(ctx, fromTerm(req.GetTerm()))
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateTermResponse{Term: toTerm(&t), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) GetTerm(ctx context.Context, req *adminv1.GetTermRequest) (*adminv1.GetTermResponse, error) {
	t, err := s.licensing.GetTerm(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.GetTermResponse{Term: toTerm(&t)}, nil
}

func (s trafficService) ListTerms(ctx context.Context, req *adminv1.ListTermsRequest) (*adminv1.ListTermsResponse, error) {
	items, next, err := list(ctx, "terms", req, s.licensing.ListTerms, toTerm)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListTermsResponse{Terms: items, NextPageToken: next}, nil
}

func (s trafficService) UpdateTerm(ctx context.Context, req *adminv1.UpdateTermRequest) (*adminv1.UpdateTermResponse, error) {
	t, epoch, err := s.licensing.UpdateTerm(ctx, fromTerm(req.GetTerm()), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateTermResponse{Term: toTerm(&t), Epoch: toEpoch(epoch)}, nil
}

func (s trafficService) ArchiveTerm(ctx context.Context, req *adminv1.ArchiveTermRequest) (*adminv1.ArchiveTermResponse, error) {
	t, epoch, err := s.licensing.ArchiveTerm(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	return &adminv1.ArchiveTermResponse{Term: toTerm(&t), Epoch: toEpoch(epoch)}, nil
}

func toTerm(t *licensing.Term) *adminv1.Term {
	to := &adminv1.Term{
		Key: t.Key, DisplayName: t.DisplayName, On: t.On, When: t.When, Effect: toEnum[adminv1.TermEffect](t.Effect), Priority: t.Priority,
		Cost: t.Cost, Message: t.Message, Etag: t.Etag,
		CreateTime: toTime(t.CreateTime), UpdateTime: toTime(t.UpdateTime), ArchiveTime: toTime(t.ArchiveTime),
	}
	if t.RetryAfter > 0 {
		to.RetryAfter = durationpb.New(t.RetryAfter)
	}
	return to
}

func fromTerm(t *adminv1.Term) licensing.Term {
	return licensing.Term{
		Key: t.GetKey(), DisplayName: t.GetDisplayName(), On: t.GetOn(), When: t.GetWhen(), Effect: toWord[licensing.TermEffect](t.GetEffect()),
		Priority: t.GetPriority(), RetryAfter: t.GetRetryAfter().AsDuration(), Cost: t.Cost, Message: t.GetMessage(),
		Meta: licensing.Meta{Etag: t.GetEtag()},
	}
}
