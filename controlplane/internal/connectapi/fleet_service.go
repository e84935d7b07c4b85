package connectapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// defaultWait is how long WaitForEpoch waits where the caller does not say.
const defaultWait = 10 * time.Second

// fleetService serves the service of that name.
type fleetService struct {
	fleet     *fleet.Service
	licensing *licensing.Service
	heads     func(ctx context.Context) (fleet.Heads, error)
	// adminURL is where nodes reach the API.
	adminURL string
}

func (s fleetService) ListNodes(ctx context.Context, req *adminv1.ListNodesRequest) (*adminv1.ListNodesResponse, error) {
	items, next, err := list(ctx, "nodes", req, s.page, toNode)
	if err != nil {
		return nil, err
	}
	stopped, err := s.fleet.PublishingStopped(ctx)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListNodesResponse{Nodes: items, NextPageToken: next, PublishingStopped: stopped}, nil
}

// page cuts a page out of the whole fleet, which is small and comes in order of name.
func (s fleetService) page(ctx context.Context, l licensing.List) (licensing.Page[fleet.Node], error) {
	f := filter(l.Filter)
	if err := f.only("state"); err != nil {
		return licensing.Page[fleet.Node]{}, err
	}
	nodes, err := s.fleet.List(ctx)
	if err != nil {
		return licensing.Page[fleet.Node]{}, err
	}
	state, filtered := f["state"]
	nodes = slices.DeleteFunc(nodes, func(n fleet.Node) bool {
		return n.Name <= l.After || filtered && n.Shown() != state
	})
	slices.SortFunc(nodes, func(a, b fleet.Node) int { return strings.Compare(a.Name, b.Name) })
	size := pageSize(l.PageSize)
	if len(nodes) <= size {
		return licensing.Page[fleet.Node]{Items: nodes}, nil
	}
	return licensing.Page[fleet.Node]{Items: nodes[:size], Next: nodes[size-1].Name}, nil
}

func (s fleetService) WaitForEpoch(ctx context.Context, req *adminv1.WaitForEpochRequest) (*adminv1.WaitForEpochResponse, error) {
	timeout := defaultWait
	if t := req.GetTimeout(); t != nil {
		timeout = t.AsDuration()
	}
	epoch := decision.Epoch{Generation: req.GetEpoch().GetGeneration(), Number: req.GetEpoch().GetNumber()}
	enforced, total, err := s.fleet.WaitForEpoch(ctx, epoch, timeout)
	if err != nil {
		return nil, err
	}
	return &adminv1.WaitForEpochResponse{Enforced: int32(enforced), Total: int32(total)}, nil
}

func (s fleetService) GetFleetSettings(ctx context.Context, _ *adminv1.GetFleetSettingsRequest) (*adminv1.GetFleetSettingsResponse, error) {
	f, err := s.licensing.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	return &adminv1.GetFleetSettingsResponse{Settings: toFleetSettings(&f)}, nil
}

func (s fleetService) UpdateFleetSettings(ctx context.Context, req *adminv1.UpdateFleetSettingsRequest) (*adminv1.UpdateFleetSettingsResponse, error) {
	given := req.GetSettings()
	f, epoch, err := s.licensing.UpdateFleet(ctx, licensing.Fleet{
		StaleAfter: given.GetStaleAfter().AsDuration(), GraceAfter: given.GetGraceAfter().AsDuration(), BlockAfter: given.GetBlockAfter().AsDuration(),
		LoanHorizon: given.GetLoanHorizon().AsDuration(), OfflineStart: given.GetOfflineStart(),
	}, given.GetEtag(), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateFleetSettingsResponse{Settings: toFleetSettings(&f), Epoch: toEpoch(epoch)}, nil
}

func (s fleetService) GetKeySet(ctx context.Context, _ *adminv1.GetKeySetRequest) (*adminv1.GetKeySetResponse, error) {
	k, err := s.licensing.KeySet(ctx)
	if err != nil {
		return nil, err
	}
	return &adminv1.GetKeySetResponse{KeySet: toKeySet(&k)}, nil
}

func (s fleetService) SetKeySet(ctx context.Context, req *adminv1.SetKeySetRequest) (*adminv1.SetKeySetResponse, error) {
	k, err := s.licensing.SetKeySet(ctx, req.GetSigned())
	if err != nil {
		return nil, err
	}
	return &adminv1.SetKeySetResponse{KeySet: toKeySet(&k)}, nil
}

func toKeySet(k *licensing.KeySet) *adminv1.KeySet {
	out := &adminv1.KeySet{Version: k.Version, Root: k.Root, Signed: k.Signed, CreateTime: timestamppb.New(k.CreateTime)}
	for _, key := range k.Keys {
		out.Keys = append(out.Keys, &adminv1.KeySet_Key{
			Id: key.ID, Usage: key.Usage, Subject: key.Subject, NotBefore: timestamppb.New(key.NotBefore), NotAfter: timestamppb.New(key.NotAfter),
		})
	}
	return out
}

func toFleetSettings(f *licensing.Fleet) *adminv1.FleetSettings {
	return &adminv1.FleetSettings{
		Fleet: f.ID, Env: f.Env, StaleAfter: durationpb.New(f.StaleAfter), GraceAfter: durationpb.New(f.GraceAfter), BlockAfter: durationpb.New(f.BlockAfter),
		LoanHorizon: durationpb.New(f.LoanHorizon), OfflineStart: f.OfflineStart, Etag: f.Etag(),
	}
}
