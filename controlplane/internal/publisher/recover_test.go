package publisher_test

import (
	"context"
	"testing"
	"time"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/publisher"
	"tollgate/dataplane/decision"
)

// restored is another database of the same fleet, at an older epoch, behind the same NATS.
func (p *plane) restored(t *testing.T) *plane {
	t.Helper()
	r := setup(t)
	r.nats, r.bus, r.signer, r.verifier = p.nats, p.bus, p.signer, p.verifier
	return r
}

// started starts a publisher that can be asked.
func (p *plane) started(t *testing.T) *publisher.Publisher {
	t.Helper()
	pub, _ := p.start(t, false)
	return pub
}

// recover opens a generation above all that is known.
func (p *plane) recover(t *testing.T, pub *publisher.Publisher) decision.Epoch {
	t.Helper()
	h, err := pub.Heads(t.Context())
	must(t, err)
	top := h.Highest()
	done, err := p.api.Recover(t.Context(), h.Ahead != "", top, nil)
	must(t, err)
	return decision.Epoch{Generation: done.Epoch.Generation, Number: done.Epoch.Number}
}

// follows checks that all is published in the new generation alone.
func (p *plane) follows(t *testing.T, pub *publisher.Publisher, at decision.Epoch) {
	t.Helper()
	heard := p.heartbeats(t)
	p.await(t, at)
	until(t, "a snapshot of the new generation, and no other", func() bool {
		all := p.snapshots(t)
		return len(all) == 1 && all[at.Number] != nil && all[at.Number].GetGeneration() == at.Generation
	})
	for h := range heard {
		if h.GetGeneration() == at.Generation && h.GetNumber() == at.Number {
			break
		}
	}
	if why := pub.Stopped(); why != "" {
		t.Errorf("still stopped: %s", why)
	}
	next := p.write(t, 3, "after")
	p.await(t, next)
	list := p.published(t)
	for len(list) > 0 && list[0].GetGeneration() < at.Generation {
		list = list[1:]
	}
	chained(t, list)
	if list[0].GetTo() != at.Number || next.Generation != at.Generation {
		t.Errorf("generation %d begins with %d, and goes on to %v", at.Generation, list[0].GetTo(), next)
	}
}

func TestI6_RecoveryLeadsTheStreamIntoANewGeneration(t *testing.T) {
	t.Parallel()
	p := setup(t)
	stop := p.run(t, false)
	p.await(t, p.write(t, 1, "first"))
	// One that is made later has the stream trimmed, and what it held is not listed.
	until(t, "the first snapshot is stored", func() bool { return len(p.snapshots(t)) > 0 })
	ahead := p.write(t, 9, "a")
	p.await(t, ahead)
	stop()
	r := p.restored(t)
	r.write(t, 2, "b")
	pub := r.started(t)
	until(t, "it says why it stopped", func() bool { return pub.Stopped() != "" })
	// What is written meanwhile makes the database's history differ, and longer.
	behind := r.write(t, 20, "c")
	until(t, "all can read why", func() bool {
		why, err := r.db.Nodes().PublishingStopped(t.Context())
		return err == nil && why == pub.Stopped()
	})
	h, err := pub.Heads(t.Context())
	must(t, err)
	if h.Ahead == "" || h.Stream != ahead || h.Database != behind || h.Lost < 9 || h.Changes[0] != (fleet.LostChange{Kind: "meter", ID: "a-8", Epoch: ahead}) {
		t.Errorf("%+v", h)
	}
	at := r.recover(t, pub)
	if at.Generation != 2 || at.Number != behind.Number+1 {
		t.Errorf("recovered at %v", at)
	}
	r.follows(t, pub, at)
	until(t, "nobody reads it any more", func() bool {
		why, err := r.db.Nodes().PublishingStopped(t.Context())
		return err == nil && why == ""
	})
	if h, err := pub.Heads(t.Context()); err != nil || h.Ahead != "" || h.Lost != 0 {
		t.Errorf("after recovery: %+v, %v", h, err)
	}
}

// Where NATS is lost with the database's newest, nodes alone know.
func TestI6_StaysSilentWhereANodeIsAhead(t *testing.T) {
	t.Parallel()
	p := setup(t)
	r := p.restored(t)
	r.write(t, 2, "b")
	report := fleet.Node{
		Name: "node-1", Boot: "b", Report: 1, State: "fresh", Epoch: decision.Epoch{Generation: 1, Number: 500},
		Proven: decision.Epoch{Generation: 1, Number: 480}, ProvenHash: []byte("h"),
	}
	nodes := fleet.NewService(r.db.Nodes())
	// What it says without proof counts for nothing.
	unproven := report
	unproven.Proven, unproven.ProvenHash = decision.Epoch{}, nil
	must(t, nodes.Report(t.Context(), unproven))
	heard := r.heartbeats(t)
	pub := r.started(t)
	<-heard
	report.Report++
	must(t, nodes.Report(t.Context(), report))
	until(t, "it stops", func() bool { return pub.Stopped() != "" })
	for len(heard) > 0 {
		<-heard
	}
	quiet, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	select {
	case h := <-heard:
		t.Errorf("heartbeat %v", h)
	case <-quiet.Done():
	}
	h, err := pub.Heads(t.Context())
	must(t, err)
	if h.Nodes != report.Proven || h.Lost != int64(480-h.Database.Number) {
		t.Errorf("%+v", h)
	}
	at := r.recover(t, pub)
	if at != (decision.Epoch{Generation: 2, Number: 481}) {
		t.Errorf("recovered at %v", at)
	}
	r.follows(t, pub, at)
}

// Nodes that are known are heard before anything is published onto a stream that was lost.
func TestI6_HearsNodesBeforeAnEmptyStreamIsFilled(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.write(t, 2, "b")
	must(t, fleet.NewService(p.db.Nodes()).Report(t.Context(), fleet.Node{Name: "node-1", Boot: "b", Report: 1, State: "fresh"}))
	began := time.Now()
	p.run(t, false)
	until(t, "published", func() bool { return len(p.published(t)) > 0 })
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("published after %s", took)
	}
}
