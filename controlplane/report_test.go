package controlplane

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/keyring"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// reporting is what takes reports, into a database of its own.
func reporting(t *testing.T) (*reports, *fleet.Service, *keyring.Ring) {
	t.Helper()
	cfg := equip(t, "", "")
	root, err := envelope.ParseRoot(cfg.TrustRoot)
	must(t, err)
	k, err := keyring.Open(keyring.Config{Dir: cfg.DataDir, Root: root, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()}, time.Now())
	must(t, err)
	nodes := fleet.NewService(pgtest.Open(t).Nodes())
	r := newReports(nodes, k.Verifier())
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.keep(ctx, func(err error) { t.Errorf("keep: %v", err) })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r, nodes, k
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	must(t, err)
	return b
}

// One that holds a node can say anything; an epoch is believed only by a heartbeat that this fleet signed.
func TestI6_ReportsProveEpochsBySignedHeartbeats(t *testing.T) {
	t.Parallel()
	r, nodes, k := reporting(t)
	heartbeat := func(fleetID string) []byte {
		raw, err := k.Rules().Sign(envelope.KindHeartbeat, encoded(t, &rulesv1.Heartbeat{Fleet: fleetID, Generation: 1, Number: 7, HeadHash: []byte("h")}))
		must(t, err)
		return raw
	}
	envelopeOfSame, err := k.Rules().Sign(envelope.KindEnvelope, encoded(t, &rulesv1.Heartbeat{Fleet: k.Fleet(), Generation: 9, Number: 9}))
	must(t, err)
	for number, c := range []struct {
		name   string
		proof  []byte
		proven uint64
	}{
		{"none", nil, 0},
		{"good", heartbeat(k.Fleet()), 7},
		{"the same again", heartbeat(k.Fleet()), 7},
		{"forged", append(heartbeat(k.Fleet()), 0x0a, 0x01, 0x01), 0},
		{"another kind of message", envelopeOfSame, 0},
		{"another fleet's", heartbeat("other"), 0},
		{"good after bad", heartbeat(k.Fleet()), 7},
	} {
		status := &rulesv1.NodeStatus{Node: "node-1", Boot: "b", Generation: 1, Number: 500, State: "fresh", Report: uint64(number) + 1, Proof: c.proof}
		must(t, r.take("node-1", encoded(t, status), time.Now()))
		until(t, c.name, func() bool {
			list, err := nodes.List(t.Context())
			return err == nil && len(list) == 1 && list[0].Report == status.GetReport()
		})
		list, err := nodes.List(t.Context())
		must(t, err)
		if list[0].Proven.Number != c.proven || list[0].Epoch != (decision.Epoch{Generation: 1, Number: 500}) {
			t.Errorf("%s: %+v, want proof of %d", c.name, list[0], c.proven)
		}
	}
}

func TestReports_OneNodeCannotSpoilAnothers(t *testing.T) {
	t.Parallel()
	r, nodes, _ := reporting(t)
	good := func(report uint64) []byte {
		return encoded(t, &rulesv1.NodeStatus{Node: "node-1", Boot: "b", Number: report, State: "fresh", Report: report})
	}
	for name, bad := range map[string]*rulesv1.NodeStatus{
		"another's name":  {Node: "node-1", Boot: "b", Report: 99},
		"no boot":         {Node: "node-2"},
		"a zero byte":     {Node: "node-2", Boot: "b", Version: "v\x00", Report: 1},
		"one in a reason": {Node: "node-2", Boot: "b", Refuses: "\x00", Report: 1},
	} {
		must(t, r.take("node-1", good(1), time.Now()))
		if err := r.take("node-2", encoded(t, bad), time.Now()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	// Of those that come together the newest counts, in whatever order.
	for _, report := range []uint64{2, 4, 3} {
		must(t, r.take("node-1", good(report), time.Now()))
	}
	until(t, "the newest is kept", func() bool {
		list, err := nodes.List(t.Context())
		return err == nil && len(list) == 1 && list[0].Report == 4
	})
}
