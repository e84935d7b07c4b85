package publisher_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func TestPublisher_SendsWhatIsCommittedInOrder(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, false)
	epoch := p.write(t, 20, "m")
	p.await(t, epoch)
	list := p.published(t)
	chained(t, list)
	last := list[len(list)-1]
	if last.GetFleet() != fleetID || last.GetRecords()[0].GetMeter().GetKey() != "m-19" {
		t.Errorf("newest envelope %v", last)
	}
}

func TestPublisher_VouchesForWhatItPublished(t *testing.T) {
	t.Parallel()
	p := setup(t)
	heard := p.heartbeats(t)
	p.run(t, false)
	epoch := p.write(t, 3, "m")
	timeout := time.After(time.Minute)
	for {
		select {
		case h := <-heard:
			if h.GetNumber() < epoch.Number {
				continue
			}
			head, err := p.db.Licensing().Head(t.Context())
			must(t, err)
			if h.GetGeneration() != 1 || h.GetNumber() != epoch.Number || !bytes.Equal(h.GetHeadHash(), head.Hash) || h.GetFleet() != fleetID {
				t.Errorf("heartbeat %v, head %v", h, head)
			}
			return
		case <-timeout:
			t.Fatal("no heartbeat for the newest epoch")
		}
	}
}

func TestPublisher_SnapshotAtItsStartHoldsTheWholeState(t *testing.T) {
	t.Parallel()
	p := setup(t)
	epoch := p.write(t, 5, "m")
	p.run(t, false)
	until(t, "a snapshot", func() bool { return p.snapshots(t)[epoch.Number] != nil })
	m := p.snapshots(t)[epoch.Number]
	head, err := p.db.Licensing().Head(t.Context())
	must(t, err)
	if !bytes.Equal(m.GetHeadHash(), head.Hash) || m.GetFleet() != fleetID {
		t.Errorf("manifest %v, head %v", m, head)
	}
	var meters []string
	settings := 0
	for _, r := range p.records(t, m) {
		switch v := r.GetValue().(type) {
		case *rulesv1.Record_Meter:
			meters = append(meters, v.Meter.GetKey())
		case *rulesv1.Record_Settings:
			settings++
		}
	}
	if want := []string{"m-0", "m-1", "m-2", "m-3", "m-4"}; !slices.Equal(meters, want) || settings != 1 {
		t.Errorf("meters %v, %d settings; want %v and 1", meters, settings, want)
	}
}

func TestPublisher_KeepsThreeSnapshotsAndTrimsTheStream(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.every = 4
	p.run(t, false)
	// In rounds: one snapshot may cover all that was written before it was taken.
	var epoch decision.Epoch
	for round := range 5 {
		epoch = p.write(t, 8, fmt.Sprintf("m%d", round))
		p.await(t, epoch)
		until(t, "a snapshot of the round", func() bool {
			newest := slices.Max(append(slices.Collect(maps.Keys(p.snapshots(t))), 0))
			return epoch.Number-newest < p.every
		})
	}
	until(t, "three snapshots", func() bool { return len(p.snapshots(t)) == 3 })
	kept := slices.Sorted(maps.Keys(p.snapshots(t)))
	list := p.published(t)
	chained(t, list)
	if first := list[0].GetTo(); first > kept[0]+1 {
		t.Errorf("the stream begins at %d: a node with snapshot %d misses some", first, kept[0])
	}
	if newest := kept[2]; epoch.Number-newest >= p.every {
		t.Errorf("the newest snapshot is %d at epoch %d", newest, epoch.Number)
	}
	if first := list[0].GetTo(); first <= kept[0] && len(list) > 1 {
		t.Errorf("the stream begins at %d: snapshot %d makes that needless", first, kept[0])
	}
	names, err := p.bus.Snapshots(t.Context())
	must(t, err)
	if len(names) != 6 {
		t.Errorf("objects %v, want 3 manifests and their chunks", names)
	}
}

// The lock merely saves work: two publishers that both believe to lead never append an epoch twice.
func TestI6_TwoPublishersNeverAppendAnEpochTwice(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, true)
	p.run(t, true)
	p.run(t, true)
	epoch := p.write(t, 40, "m")
	p.await(t, epoch)
	chained(t, p.published(t))
}

func TestPublisher_AnotherTakesOver(t *testing.T) {
	t.Parallel()
	p := setup(t)
	stop := p.run(t, false)
	p.await(t, p.write(t, 2, "a"))
	p.run(t, false)
	stop()
	p.await(t, p.write(t, 2, "b"))
	chained(t, p.published(t))
}

func TestPublisher_MakesAgainWhatNATSLost(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.run(t, false)
	epoch := p.write(t, 3, "a")
	p.await(t, epoch)
	p.nats.Wipe(t)
	// The newest envelope comes back without any change, so that nodes see how far they are.
	p.await(t, epoch)
	until(t, "the snapshot again", func() bool { return p.snapshots(t)[epoch.Number] != nil })
	p.await(t, p.write(t, 3, "b"))
	chained(t, p.published(t))
}

func TestPublisher_OutlivesPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	p := setupOn(t, server.Database(t))
	p.run(t, false)
	p.await(t, p.write(t, 2, "a"))
	server.Kill(t)
	server.Restart(t)
	p.await(t, p.write(t, 2, "b"))
	chained(t, p.published(t))
}

// Anyone who reaches the broker may write onto the stream. What does not verify is stepped over.
func TestPublisher_StepsOverForeignMessages(t *testing.T) {
	t.Parallel()
	p := setup(t)
	stop := p.run(t, false)
	p.await(t, p.write(t, 2, "a"))
	_, last, err := p.bus.RulesBounds(t.Context())
	must(t, err)
	raw, _, err := p.bus.RulesMessage(t.Context(), last)
	must(t, err)
	forged := bytes.Clone(raw)
	forged[len(forged)/3] ^= 1
	for i, junk := range [][]byte{forged, []byte("junk")} {
		if _, conflict, err := p.bus.PublishRules(t.Context(), []string{"1.999"}, [][]byte{junk}, last+uint64(i)); err != nil || conflict {
			t.Fatalf("publish junk: %v, conflict %v", err, conflict)
		}
	}
	p.await(t, p.write(t, 2, "b"))
	stop()
	p.run(t, false)
	p.await(t, p.write(t, 2, "c"))
	chained(t, p.published(t))
}

// If the stream is ahead of Postgres, Postgres was restored: nothing is published over what nodes enforce, and nobody vouches.
func TestI6_StaysSilentWhereTheStreamIsAhead(t *testing.T) {
	t.Parallel()
	p := setup(t)
	stop := p.run(t, false)
	ahead := p.write(t, 5, "a")
	p.await(t, ahead)
	stop()
	restored := setup(t) // Another database of the same fleet, at an older epoch.
	restored.nats, restored.bus, restored.signer, restored.verifier = p.nats, p.bus, p.signer, p.verifier
	heard := restored.heartbeats(t)
	restored.run(t, false)
	restored.write(t, 2, "b")
	quiet, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	select {
	case h := <-heard:
		t.Errorf("heartbeat %v", h)
	case <-quiet.Done():
	}
	list := restored.published(t)
	if last := list[len(list)-1]; last.GetTo() != ahead.Number {
		t.Errorf("the stream ends at %d, want %d", last.GetTo(), ahead.Number)
	}
}
