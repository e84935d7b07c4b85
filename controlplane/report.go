package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/fleet"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// reports takes what nodes say of themselves. Safe for concurrent use.
type reports struct {
	fleet    *fleet.Service
	verifier *envelope.Verifier

	mu sync.Mutex
	// last is the proof that was verified last: nodes mostly bear the same.
	last  []byte
	shown proven
}

// proven is what a proof proves.
type proven struct {
	at   decision.Epoch
	hash []byte
}

// take takes a NodeStatus that was sent on a node's subject.
func (r *reports) take(ctx context.Context, node string, data []byte, now time.Time) error {
	var s rulesv1.NodeStatus
	if err := proto.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("decode the report: %w", err)
	}
	if s.GetNode() != node {
		return fmt.Errorf("the report names node %q", s.GetNode())
	}
	shown := r.prove(s.GetProof(), now)
	return r.fleet.Report(ctx, fleet.Node{
		Name: s.GetNode(), Boot: s.GetBoot(), Version: s.GetVersion(),
		Epoch: decision.Epoch{Generation: s.GetGeneration(), Number: s.GetNumber()},
		State: s.GetState(), Lag: time.Duration(s.GetLagMs()) * time.Millisecond,
		SpoolBytes: s.GetSpoolBytes(), ProxyRPS: s.GetProxyRps(), Report: s.GetReport(),
		Proven: shown.at, ProvenHash: shown.hash, Drained: s.GetDrained(),
	})
}

// prove opens a proof. One that does not verify proves nothing, and is no fault of the report: its key may have been revoked since.
func (r *reports) prove(raw []byte, now time.Time) proven {
	if len(raw) == 0 {
		return proven{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes.Equal(raw, r.last) {
		return r.shown
	}
	opened, err := r.verifier.Open(envelope.KindHeartbeat, raw, now)
	if err != nil {
		return proven{}
	}
	var h rulesv1.Heartbeat
	if proto.Unmarshal(opened.Payload, &h) != nil || h.GetFleet() != r.verifier.Fleet() {
		return proven{}
	}
	r.last = raw
	r.shown = proven{decision.Epoch{Generation: h.GetGeneration(), Number: h.GetNumber()}, h.GetHeadHash()}
	return r.shown
}
