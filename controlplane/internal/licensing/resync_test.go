package licensing_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/rulefeed"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// later is the encoder of a release that tells nodes more of each service.
type later struct{ rulefeed.Encoder }

func (later) Record(c licensing.Change) ([]byte, error) {
	r, err := rulefeed.Record(c)
	if err != nil {
		return nil, err
	}
	if s := r.GetService(); s != nil {
		s.ResponseTimeout = durationpb.New(time.Minute)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(r)
}

// A release that tells nodes more of the same objects, or a change that was never published: nodes get what differs, and nothing else.
func TestI6_ResyncPublishesWhatDiffers(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	kept, gone := f.license("kept"), f.license("gone")
	key, _, _, err := f.CreateAPIKey(t.Context(), licensing.APIKey{License: gone.ID})
	if err != nil {
		t.Fatal(err)
	}
	s, err := licensing.New(licensing.Config{Store: f.db.Licensing(), Encoder: later{}, Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Resync(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d changes of one service, %v", n, err)
	}
	told := f.told()
	f.stateHashIs(told)
	r := &rulesv1.Record{}
	if err := proto.Unmarshal([]byte(told["service/sample"]), r); err != nil || r.GetService().GetResponseTimeout().AsDuration() != time.Minute {
		t.Errorf("nodes were told %v, %v", r, err)
	}
	if n, err := s.Resync(t.Context()); n != 0 || err != nil {
		t.Errorf("%d changes the second time, %v", n, err)
	}
	f.sql(`UPDATE customer SET time_zone = 'Asia/Tokyo' WHERE id = $1`, kept.Customer)
	f.sql(`DELETE FROM api_key WHERE id = $1`, key.ID)
	if n, err := s.Resync(t.Context()); n != 2 || err != nil {
		t.Fatalf("%d changes, want the customer and the key, %v", n, err)
	}
	told = f.told()
	f.stateHashIs(told)
	if told["credential/"+key.ID] != "" {
		t.Error("nodes still have the key")
	}
	// The release before goes on beside it: what it writes is in line, too.
	if _, _, err := f.CreateMeter(t.Context(), licensing.Meter{Key: "more", Aggregation: licensing.Count}); err != nil {
		t.Fatal(err)
	}
	f.stateHashIs(f.told())
}

// A database of a release that knew no state hash: writes go on without, and from a resync on with one. Nothing is published twice.
func TestResync_LearnsAStateHashThatIsNotKnown(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	f.sql(`DELETE FROM rule_record`)
	f.sql(`UPDATE rule_head SET state_hash = NULL`)
	l := f.license("one")
	chain := f.chain()
	if said := chain[len(chain)-1].GetStateHash(); said != nil {
		t.Errorf("a state hash is said: %x", said)
	}
	before := f.epoch()
	if n, err := f.Resync(t.Context()); n != 0 || err != nil || f.epoch() != before {
		t.Fatalf("%d changes, epoch %v after %v, %v", n, f.epoch(), before, err)
	}
	if _, _, err := f.SuspendLicense(t.Context(), l.ID); err != nil {
		t.Fatal(err)
	}
	f.stateHashIs(f.told())
	// A hash that is wrong by itself is put right.
	f.sql(`UPDATE rule_head SET state_hash = decode(repeat('ab', 16), 'hex')`)
	if n, err := f.Resync(t.Context()); n != 0 || err != nil {
		t.Errorf("%d changes, %v", n, err)
	}
	f.customer("two")
	f.stateHashIs(f.told())
}

// However long the history, the state hash of what change sets add up to is that of a fresh snapshot.
func TestI6_StateHashHoldsOverLongHistories(t *testing.T) {
	t.Parallel()
	const changes, batch, customers = 100_000, 1000, 3000
	f := setup(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	zones := []string{"UTC", "Asia/Tokyo", "Europe/Zurich", "America/New_York", ""}
	for made := 0; made < changes; {
		ids := random.Perm(customers)[:batch]
		got, _, err := f.ImportCustomers(t.Context(), func(yield func(licensing.ImportRow[licensing.CustomerRow], error) bool) {
			for i, id := range ids {
				external := fmt.Sprint("c-", id)
				row := licensing.ImportRow[licensing.CustomerRow]{Line: i + 1, ExternalID: external, Value: licensing.CustomerRow{
					Customer: licensing.Customer{ExternalID: external, TimeZone: zones[random.IntN(len(zones))]},
					Columns:  []string{"external_id", "time_zone"},
				}}
				if !yield(row, nil) {
					return
				}
			}
		})
		if err != nil || got.Failed > 0 {
			t.Fatalf("seed %d: %+v, %v", seed, got, err)
		}
		made += got.Created + got.Updated
	}
	told, now := f.told(), f.ruleState()
	if !maps.Equal(told, now) {
		t.Errorf("seed %d: change sets do not add up to the rule state", seed)
	}
	f.stateHashIs(now)
}
