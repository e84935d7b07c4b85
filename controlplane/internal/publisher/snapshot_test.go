package publisher_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// A large rule state is read for long. A revocation does not wait for that, nor does a heartbeat.
func TestPublisher_GoesOnWhileASnapshotIsMade(t *testing.T) {
	t.Parallel()
	p := setup(t)
	release := make(chan struct{})
	p.reading = func() { <-release }
	heard := p.heartbeats(t)
	p.run(t, false)
	epoch := p.write(t, 3, "m")
	p.await(t, epoch)
	for h := range heard {
		if h.GetNumber() == epoch.Number {
			break
		}
	}
	if n := len(p.snapshots(t)); n != 0 {
		t.Fatalf("%d snapshots of a rule state that was not read", n)
	}
	close(release)
	until(t, "the snapshot", func() bool { return len(p.snapshots(t)) == 1 })
}

func TestI6_ASnapshotNamesItsStateHash(t *testing.T) {
	t.Parallel()
	p := setup(t)
	epoch := p.write(t, 5, "m")
	p.run(t, false)
	until(t, "a snapshot", func() bool { return p.snapshots(t)[epoch.Number] != nil })
	m := p.snapshots(t)[epoch.Number]
	var sum decision.Digest
	for _, r := range p.records(t, m) {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		must(t, err)
		sum = sum.Plus(decision.DigestOf(raw))
	}
	list := p.published(t)
	if !bytes.Equal(m.GetStateHash(), sum[:]) || !bytes.Equal(list[len(list)-1].GetStateHash(), sum[:]) {
		t.Errorf("state hash %x, the last change set's %x, want %x", m.GetStateHash(), list[len(list)-1].GetStateHash(), sum)
	}
}

// Where the rule state is not what nodes were told, they are told before a snapshot says so: all nodes enforce the same.
func TestI6_NodesAreToldWhatASnapshotWouldHold(t *testing.T) {
	t.Parallel()
	p := setup(t)
	c, _, err := p.api.CreateCustomer(t.Context(), licensing.Customer{ExternalID: "one"})
	must(t, err)
	p.sql(t, `UPDATE customer SET time_zone = 'Asia/Tokyo'`)
	told := p.write(t, 1, "m")
	p.run(t, false)
	until(t, "a snapshot", func() bool { return len(p.snapshots(t)) == 1 })
	m := p.snapshots(t)[told.Number+1]
	if m == nil {
		t.Fatalf("snapshots %v, want one of epoch %d", p.snapshots(t), told.Number+1)
	}
	list := p.published(t)
	chained(t, list)
	last := list[len(list)-1]
	want := &rulesv1.Customer{Id: c.ID, ExternalId: "one", TimeZone: "Asia/Tokyo"}
	if len(last.GetRecords()) != 1 || !proto.Equal(last.GetRecords()[0].GetCustomer(), want) {
		t.Errorf("nodes were told %v, want %v", last.GetRecords(), want)
	}
	if !bytes.Equal(m.GetStateHash(), last.GetStateHash()) {
		t.Errorf("state hash %x of the snapshot, %x of the change set", m.GetStateHash(), last.GetStateHash())
	}
}

// A snapshot that the store lost a part of is none: another one is made.
func TestPublisher_MakesABrokenSnapshotAgain(t *testing.T) {
	t.Parallel()
	p := setup(t)
	stop := p.run(t, false)
	epoch := p.write(t, 2, "m")
	p.await(t, epoch)
	until(t, "a snapshot", func() bool { return len(p.snapshots(t)) == 1 })
	stop()
	for _, name := range p.names(t) {
		if len(name) > 22 { // A chunk.
			must(t, p.bus.DeleteSnapshot(t.Context(), name))
		}
	}
	p.run(t, false)
	until(t, "a whole snapshot", func() bool {
		m := p.snapshots(t)[epoch.Number]
		return m != nil && len(p.names(t)) == 1+len(m.GetChunkSha256())
	})
	p.records(t, p.snapshots(t)[epoch.Number])
}

// A node that change sets lead to another state than the one that was meant is led back by a snapshot, long before the next one would be made.
func TestI6_ANodeThatWentAstrayGetsASnapshot(t *testing.T) {
	t.Parallel()
	p := setup(t)
	first := p.write(t, 1, "a")
	p.run(t, false)
	until(t, "a snapshot", func() bool { return p.snapshots(t)[first.Number] != nil })
	epoch := p.write(t, 2, "b")
	p.await(t, epoch)
	must(t, fleet.NewService(p.db.Nodes()).Report(t.Context(), fleet.Node{
		Name: "node-1", Boot: "b", Report: 1, State: "stale", Epoch: first, Refuses: "hash",
	}))
	until(t, "a newer one", func() bool { return p.snapshots(t)[epoch.Number] != nil })
}
