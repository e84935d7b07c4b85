package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tollgate/test/relay"
)

const patience = 20 * time.Second

// side is one of the two servers, and a client of it.
type side struct {
	t   *testing.T
	url string
	nc  *nats.Conn
	js  jetstream.JetStream
}

func newSide(t *testing.T) *side {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server does not listen")
	}
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &side{t, srv.ClientURL(), nc, js}
}

// setup is a relay, and what control planes have made.
func setup(t *testing.T) (r *relay.Relay, control, nodes *side) {
	t.Helper()
	control, nodes = newSide(t), newSide(t)
	_, err1 := control.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TOLLGATE_RULES", Subjects: []string{"tollgate.rules"}, AllowDirect: true})
	_, err2 := control.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TOLLGATE_SEGMENTS", Subjects: []string{"tollgate.segments.*"}})
	_, err3 := control.js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "TOLLGATE_SNAPSHOTS"})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	control.publish("0")
	return relay.Start(t, relay.Side{URL: control.url}, relay.Side{URL: nodes.url}), control, nodes
}

func (s *side) publish(rules ...string) {
	s.t.Helper()
	for _, text := range rules {
		if _, err := s.js.Publish(s.t.Context(), "tollgate.rules", []byte(text)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// stream is the rules stream as it is now.
func (s *side) stream() ([]string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
	defer cancel()
	stream, err := s.js.Stream(ctx, "TOLLGATE_RULES")
	if err != nil {
		return nil, err
	}
	var all []string
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && seq > 0; seq++ {
		m, err := stream.GetMsg(ctx, seq)
		if err != nil {
			return nil, err
		}
		all = append(all, string(m.Data))
	}
	return all, nil
}

func (s *side) has(want ...string) {
	s.t.Helper()
	eventually(s.t, func() error {
		if got, err := s.stream(); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("the stream is %q, %w, want %q", got, err, want)
		}
		return nil
	})
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; <-tick.C {
		err := f()
		if err == nil {
			return
		}
		if time.Since(start) > patience {
			t.Fatal(err)
		}
	}
}

func TestRelay_TreatsTheRulesStream(t *testing.T) {
	t.Parallel()
	r, control, nodes := setup(t)
	nodes.has("0")
	control.publish("1", "2")
	nodes.has("0", "1", "2")
	r.Hold(relay.Rules)
	control.publish("3", "4")
	eventually(t, func() error {
		if n := len(r.Sent(relay.Rules)); n != 5 {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
	nodes.has("0", "1", "2")
	r.Release(relay.Rules)
	nodes.has("0", "1", "2", "3", "4")
	r.Treat(relay.Rules, relay.Reorder())
	control.publish("5", "6")
	nodes.has("0", "1", "2", "3", "4", "6", "5")
	r.Treat(relay.Rules, relay.Drop)
	control.publish("lost")
	eventually(t, func() error {
		if n := len(r.Sent(relay.Rules)); n != 8 {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
	r.Treat(relay.Rules, relay.Repeat)
	control.publish("7")
	nodes.has("0", "1", "2", "3", "4", "6", "5", "7", "7")
	r.Treat(relay.Rules, relay.Truncate)
	control.publish("8888")
	nodes.has("0", "1", "2", "3", "4", "6", "5", "7", "7", "88")
	if err := r.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	nodes.has()
	r.Treat(relay.Rules, relay.Flip)
	control.publish("9999")
	eventually(t, func() error {
		if got, err := nodes.stream(); err != nil || len(got) != 1 || got[0] == "9999" || len(got[0]) != 4 {
			return fmt.Errorf("%q, %w", got, err)
		}
		return nil
	})
	r.Treat(relay.Rules, relay.Lag(2))
	control.publish("a", "b", "c", "d")
	eventually(t, func() error {
		if got, err := nodes.stream(); err != nil || len(got) != 3 || got[1] != "a" || got[2] != "b" {
			return fmt.Errorf("%q, %w", got, err)
		}
		return nil
	})
}

func TestRelay_PassesSnapshots(t *testing.T) {
	t.Parallel()
	r, control, nodes := setup(t)
	from, err := control.js.ObjectStore(t.Context(), "TOLLGATE_SNAPSHOTS")
	if err != nil {
		t.Fatal(err)
	}
	to, err := nodes.js.ObjectStore(t.Context(), "TOLLGATE_SNAPSHOTS")
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("chunk"), 1<<16)
	if _, err := from.PutBytes(t.Context(), "1.7.0", chunk); err != nil {
		t.Fatal(err)
	}
	has := func(name string, want []byte) {
		t.Helper()
		eventually(t, func() error {
			if got, err := to.GetBytes(t.Context(), name); err != nil || !bytes.Equal(got, want) {
				return fmt.Errorf("%s has %d bytes, %w", name, len(got), err)
			}
			return nil
		})
	}
	has("1.7.0", chunk)
	r.Treat(relay.Snapshots, relay.Truncate)
	if _, err := from.PutBytes(t.Context(), "1.7", []byte("manifest")); err != nil {
		t.Fatal(err)
	}
	has("1.7", []byte("mani"))
	if err := from.Delete(t.Context(), "1.7.0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if _, err := to.GetBytes(t.Context(), "1.7.0"); !errors.Is(err, jetstream.ErrObjectNotFound) {
			return fmt.Errorf("what was deleted: %w", err)
		}
		return nil
	})
}

func TestRelay_PassesWhatIsSaidBothWays(t *testing.T) {
	t.Parallel()
	_, control, nodes := setup(t)
	for subject, ends := range map[string][2]*side{
		"tollgate.heartbeat": {control, nodes}, "tollgate.trust": {control, nodes}, "tollgate.recall": {control, nodes}, "tollgate.receipts.node-1": {control, nodes},
		"tollgate.fleet.node-1": {nodes, control},
	} {
		heard, err := ends[1].nc.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(ends[1].nc.Flush(), ends[0].nc.Publish(subject, []byte(subject))); err != nil {
			t.Fatal(err)
		}
		if m, err := heard.NextMsg(patience); err != nil || string(m.Data) != subject {
			t.Errorf("%s: %v, %v", subject, m, err)
		}
	}
	lender, err := control.nc.Subscribe("tollgate.lend.cold", func(m *nats.Msg) { _ = m.Respond(append(m.Data, " lent"...)) })
	if err := errors.Join(err, control.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lender.Unsubscribe() }()
	if m, err := nodes.nc.Request("tollgate.lend.cold", []byte("one"), patience); err != nil || string(m.Data) != "one lent" {
		t.Errorf("the lender's answer: %v, %v", m, err)
	}
	// A segment is stored where ingest looks for it, and the node hears that.
	if _, err := nodes.js.Publish(t.Context(), "tollgate.segments.node-1", []byte("segment")); err != nil {
		t.Error(err)
	}
	stream, err := control.js.Stream(t.Context(), "TOLLGATE_SEGMENTS")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.GetLastMsgForSubject(t.Context(), "tollgate.segments.node-1"); err != nil || string(m.Data) != "segment" {
		t.Errorf("the segment: %v, %v", m, err)
	}
}
