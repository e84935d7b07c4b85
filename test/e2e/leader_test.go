package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
	"tollgate/test/system"
)

// The publisher is stopped, loses its lock, and wakes while another publishes: there is one chain, and nothing is lost.
func TestI6_SleepingLeaderDoesNoHarmWhenItWakes(t *testing.T) {
	s := system.Start(t, system.Dir(t), "--controlplanes", "2")
	r := s.Ready(t)
	writes(t, r.Client(), 5)
	leader := -1
	system.Eventually(t, 10*time.Second, "one leads", func() error {
		for i, p := range r.ControlPlanes {
			if system.Metric(t, p.OpsURL, "tollgate_publisher_leader", "") == 1 {
				leader = i
				return nil
			}
		}
		return fmt.Errorf("none of %v", r.ControlPlanes)
	})
	sleeper, other := r.ControlPlanes[leader], r.ControlPlanes[1-leader]
	// The shared address may lead to the one that sleeps.
	r.AdminURL = other.AdminURL
	c := r.Client()
	forward := watchEpochs(t, r)

	// Under way, so that it sleeps in the middle of its work as likely as not.
	var writing sync.WaitGroup
	writing.Go(func() { writes(t, c, 30) })
	if err := syscall.Kill(sleeper.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Whatever the outcome, what is stopped has to go on for the system to end.
	t.Cleanup(func() { _ = syscall.Kill(sleeper.PID, syscall.SIGCONT) })
	sqlIn(t, r.DatabaseURL, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
		AND (classid::bigint << 32 | objid::bigint) = hashtextextended('publisher', 0)`)
	system.Eventually(t, 20*time.Second, "the other leads", func() error {
		if system.Metric(t, other.OpsURL, "tollgate_publisher_leader", "") != 1 {
			return fmt.Errorf("%s does not lead", other.Name)
		}
		return nil
	})
	writing.Wait()
	reaches(t, c, writes(t, c, 10), 2)
	writing.Go(func() { writes(t, c, 40) })
	if err := syscall.Kill(sleeper.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	writing.Wait()
	system.Eventually(t, 20*time.Second, "the one that woke leads no more", func() error {
		if n := system.Metric(t, sleeper.OpsURL, "tollgate_publisher_leader", ""); n != 0 {
			return fmt.Errorf("%s says it leads", sleeper.Name)
		}
		return nil
	})
	last := writes(t, c, 5)
	reaches(t, c, last, 2)
	chain := onStream(t, r)
	for i := 1; i < len(chain); i++ {
		sum := sha256.Sum256(chain[i-1].payload)
		if chain[i].GetFrom() != chain[i-1].GetTo() || chain[i].GetTo() != chain[i].GetFrom()+1 || !bytes.Equal(chain[i].GetPreviousHash(), sum[:]) {
			t.Errorf("(%d, %d] follows (%d, %d]", chain[i].GetFrom(), chain[i].GetTo(), chain[i-1].GetFrom(), chain[i-1].GetTo())
		}
	}
	if end := chain[len(chain)-1].GetTo(); end != last.GetNumber() || len(chain) < 90 {
		t.Errorf("%d change sets up to %d, want all up to %d", len(chain), end, last.GetNumber())
	}
	for _, n := range r.Nodes {
		if fresh := system.Metric(t, n.OpsURL, "tollgate_rules_state", `state="fresh"`); fresh != 1 {
			t.Errorf("%s is not fresh", n.Name)
		}
		if bad := system.Metric(t, n.OpsURL, "tollgate_rules_rejected_total", ""); bad != 0 {
			t.Errorf("%s refused %d messages", n.Name, bad)
		}
	}
	forward()
}

type onStreamEnvelope struct {
	*rulesv1.Envelope
	payload []byte
}

// onStream are the change sets on the rules stream, in order.
func onStream(t *testing.T, r system.Ready) []onStreamEnvelope {
	t.Helper()
	nc, err := nats.Connect(r.NATSURL, r.AsAdmin()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "TOLLGATE_RULES")
	if err != nil {
		t.Fatal(err)
	}
	var all []onStreamEnvelope
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		var signed rulesv1.Signed
		e := onStreamEnvelope{Envelope: &rulesv1.Envelope{}}
		if err := proto.Unmarshal(m.Data, &signed); err != nil {
			t.Fatal(err)
		}
		e.payload = signed.GetPayload()
		if err := proto.Unmarshal(e.payload, e.Envelope); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
