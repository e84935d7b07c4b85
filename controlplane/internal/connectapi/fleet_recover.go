package connectapi

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// RecoverRules looks at all heads first, outside the write: it takes long, and what nodes prove only ever rises.
func (s fleetService) RecoverRules(ctx context.Context, req *adminv1.RecoverRulesRequest) (*adminv1.RecoverRulesResponse, error) {
	h, err := s.heads(ctx)
	if err != nil {
		return nil, err
	}
	res := &adminv1.RecoverRulesResponse{
		Needed: h.Ahead != "", Database: toEpochOrNone(h.Database), Stream: toEpochOrNone(h.Stream), Snapshot: toEpochOrNone(h.Snapshot),
		Nodes: toEpochOrNone(h.Nodes), Lost: h.Lost, Reason: h.Ahead,
	}
	for _, c := range h.Changes {
		res.LostChanges = append(res.LostChanges, &adminv1.LostChange{Kind: c.Kind, Id: c.ID, Epoch: toEpochOrNone(c.Epoch), What: c.What})
	}
	found, err := proto.Marshal(res)
	if err != nil {
		return nil, fmt.Errorf("encode what was found: %w", err)
	}
	highest := h.Highest()
	done, err := s.licensing.Recover(ctx, res.GetNeeded() || req.GetForce(), highest, found)
	if err != nil {
		return nil, err
	}
	// The same call again found things as it left them: its answer is the first one's.
	proto.Reset(res)
	if err := proto.Unmarshal(done.Found, res); err != nil {
		return nil, fmt.Errorf("decode what was found: %w", err)
	}
	if done.Epoch != (licensing.Epoch{}) {
		res.Epoch = toEpoch(done.Epoch)
	}
	return res, nil
}

// toEpochOrNone is unset where a place knows of no epoch.
func toEpochOrNone(e decision.Epoch) *adminv1.Epoch {
	if e == (decision.Epoch{}) {
		return nil
	}
	return &adminv1.Epoch{Generation: e.Generation, Number: e.Number}
}

// DrainNode answers the node as the fleet lists it.
func (s fleetService) DrainNode(ctx context.Context, req *adminv1.DrainNodeRequest) (*adminv1.DrainNodeResponse, error) {
	drained, err := s.licensing.DrainNode(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	nodes, err := s.fleet.List(ctx)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		if nodes[i].Name == drained.Name {
			n := toNode(&nodes[i])
			n.State = fleet.Drained // As it is, or, where it was only checked, would be.
			return &adminv1.DrainNodeResponse{Node: n}, nil
		}
	}
	return nil, licensing.Missing(licensing.KindNode, drained.Name)
}

// BlockNode answers the node as it is, or, where it was only checked, would be.
func (s fleetService) BlockNode(ctx context.Context, req *adminv1.BlockNodeRequest) (*adminv1.BlockNodeResponse, error) {
	b, err := s.licensing.BlockNode(ctx, req.GetName(), req.GetReason())
	if err != nil {
		return nil, err
	}
	n, err := s.fleet.Node(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	n.BlockReason, n.BlockTime, n.NATSUser = b.Reason, b.BlockTime, b.NATSUser
	return &adminv1.BlockNodeResponse{Node: toNode(&n)}, nil
}

// UnblockNode answers the node as BlockNode does.
func (s fleetService) UnblockNode(ctx context.Context, req *adminv1.UnblockNodeRequest) (*adminv1.UnblockNodeResponse, error) {
	if err := s.licensing.UnblockNode(ctx, req.GetName()); err != nil {
		return nil, err
	}
	n, err := s.fleet.Node(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	n.BlockReason, n.BlockTime, n.NATSUser = "", time.Time{}, ""
	return &adminv1.UnblockNodeResponse{Node: toNode(&n)}, nil
}
