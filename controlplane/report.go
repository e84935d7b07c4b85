package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/fleet"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// reports takes what nodes say of themselves. Safe for concurrent use. Where rules change often each node says so at each epoch: what is overtaken by
// the node's next word before it was kept is dropped.
type reports struct {
	fleet    *fleet.Service
	verifier *envelope.Verifier

	// waiting are the newest reports that are not kept yet, by node; more says that there are some.
	waitingMu sync.Mutex
	waiting   map[string]fleet.Node
	more      chan struct{}

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

func newReports(nodes *fleet.Service, verifier *envelope.Verifier) *reports {
	return &reports{fleet: nodes, verifier: verifier, waiting: map[string]fleet.Node{}, more: make(chan struct{}, 1)}
}

// keepReports is how often reports are kept at most: no slower than whoever waits for an epoch looks.
const keepReports = 20 * time.Millisecond

// keep keeps reports until ctx ends. failed is told of what could not be kept.
func (r *reports) keep(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(keepReports)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.more:
		}
		r.waitingMu.Lock()
		all := slices.Collect(maps.Values(r.waiting))
		clear(r.waiting)
		r.waitingMu.Unlock()
		if err := r.fleet.Report(ctx, all...); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// take takes a NodeStatus that was sent on a node's subject.
func (r *reports) take(node string, data []byte, now time.Time) error {
	var s rulesv1.NodeStatus
	if err := proto.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("decode the report: %w", err)
	}
	if s.GetNode() != node {
		return fmt.Errorf("the report names node %q", s.GetNode())
	}
	shown := r.prove(s.GetProof(), now)
	n := fleet.Node{
		Name: s.GetNode(), Boot: s.GetBoot(), Version: s.GetVersion(),
		Epoch: decision.Epoch{Generation: s.GetGeneration(), Number: s.GetNumber()},
		State: s.GetState(), Lag: time.Duration(s.GetLagMs()) * time.Millisecond,
		SpoolBytes: s.GetSpoolBytes(), ProxyRPS: s.GetProxyRps(), Report: s.GetReport(), Refuses: s.GetRefuses(),
		Proven: shown.at, ProvenHash: shown.hash, Drained: s.GetDrained(), KeySet: s.GetKeySet(),
	}
	switch {
	case n.Boot == "":
		return errors.New("the report names no boot")
	case strings.ContainsRune(n.Boot+n.Version+n.State+n.Refuses, 0):
		// Postgres takes no such text, and would refuse the reports that are kept along with it.
		return errors.New("the report holds a zero byte")
	}
	r.waitingMu.Lock()
	if old, ok := r.waiting[node]; !ok || old.Boot != n.Boot || old.Report < n.Report {
		r.waiting[node] = n
	}
	r.waitingMu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
	return nil
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
