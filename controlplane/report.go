package controlplane

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/fleet"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// report takes a NodeStatus that was sent on a node's subject.
func report(ctx context.Context, nodes *fleet.Service, node string, data []byte) error {
	var s rulesv1.NodeStatus
	if err := proto.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("decode the report: %w", err)
	}
	if s.GetNode() != node {
		return fmt.Errorf("the report names node %q", s.GetNode())
	}
	return nodes.Report(ctx, fleet.Node{
		Name: s.GetNode(), Boot: s.GetBoot(), Version: s.GetVersion(),
		Epoch: decision.Epoch{Generation: s.GetGeneration(), Number: s.GetNumber()},
		State: s.GetState(), Lag: time.Duration(s.GetLagMs()) * time.Millisecond,
		SpoolBytes: s.GetSpoolBytes(), ProxyRPS: s.GetProxyRps(), Report: s.GetReport(), Refuses: s.GetRefuses(),
	})
}
