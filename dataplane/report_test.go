package dataplane_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/bus/bustest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// A report bears the heartbeat by which the node is fresh, as it came; the last one says that it has drained, so that nobody waits for it.
func TestI7_ReportsBearProofAndTheLastSaysDrained(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	broker := bustest.Start(t)
	control := broker.Control(t)
	control.MakeStreams()
	l.cfg.NATSURL = broker.URL
	said := make(chan *rulesv1.NodeStatus, 1024)
	_, err := control.NC.Subscribe("tollgate.fleet.*", func(m *nats.Msg) {
		s := &rulesv1.NodeStatus{}
		if err := proto.Unmarshal(m.Data, s); err != nil {
			t.Errorf("report: %v", err)
		}
		said <- s
	})
	if err != nil {
		t.Fatal(err)
	}
	r := l.run()
	key, err := apikey.Generate("live", time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	change := l.rules("http://127.0.0.1:1", key)
	control.Rules(l.sign(envelope.UsageRules, envelope.KindEnvelope, change))
	beat := l.sign(envelope.UsageRules, envelope.KindHeartbeat, &rulesv1.Heartbeat{
		Fleet: fleet, Time: change.GetCreatedAt(), Generation: 1, Number: 1, HeadHash: envelope.Hash(l.encode(change)),
	})
	until := func(what string, is func(*rulesv1.NodeStatus) bool) {
		t.Helper()
		patience := time.After(bustest.Patience)
		for {
			select {
			case s := <-said:
				if is(s) {
					return
				}
			case <-patience:
				t.Fatalf("no report: %s", what)
			}
		}
	}
	until("bears the heartbeat", func(s *rulesv1.NodeStatus) bool {
		control.Publish("tollgate.heartbeat", beat)
		if s.GetDrained() {
			t.Error("it says drained while it serves")
		}
		if s.GetKeySet() == 0 {
			t.Error("it does not say which key set it goes by")
		}
		return s.GetNumber() == 1 && bytes.Equal(s.GetProof(), beat)
	})
	r.stop()
	until("drained", (*rulesv1.NodeStatus).GetDrained)
}

// Where changes come one upon another, reports keep a gap: each goes to all control planes. The last epoch is reported all the same.
func TestI7_ReportsOfManyChangesAreFew(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	broker := bustest.Start(t)
	control := broker.Control(t)
	control.MakeStreams()
	l.cfg.NATSURL = broker.URL
	said := make(chan *rulesv1.NodeStatus, 4096)
	_, err := control.NC.Subscribe("tollgate.fleet.*", func(m *nats.Msg) {
		s := &rulesv1.NodeStatus{}
		if err := proto.Unmarshal(m.Data, s); err != nil {
			t.Errorf("report: %v", err)
		}
		said <- s
	})
	if err != nil {
		t.Fatal(err)
	}
	l.run()
	began := time.Now()
	var before []byte
	const last = 300
	for number := uint64(1); number <= last; number++ {
		env := &rulesv1.Envelope{Fleet: fleet, Generation: 1, From: number - 1, To: number, PreviousHash: before, CreatedAt: timestamppb.Now()}
		before = envelope.Hash(l.encode(env))
		control.Rules(l.sign(envelope.UsageRules, envelope.KindEnvelope, env))
	}
	patience := time.After(bustest.Patience)
	for reports := 1; ; reports++ {
		select {
		case s := <-said:
			if s.GetNumber() < last {
				continue
			}
			took := time.Since(began)
			// One each 5 ms, and what is said each second and at the start.
			if most := int(took/(5*time.Millisecond)) + int(took/time.Second) + 3; reports > most {
				t.Errorf("%d reports within %s, at most %d are due", reports, took, most)
			}
			return
		case <-patience:
			t.Fatal("the last epoch was never reported")
		}
	}
}
