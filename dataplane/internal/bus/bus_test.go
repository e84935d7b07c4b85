package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/internal/bus"
	"tollgate/dataplane/internal/bus/bustest"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bustest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func TestSend_TheStreamHasTheSegmentWhenItReturns(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c, b := s.Control(t), s.Node(t, "node-1")
	if err := b.Send(within(t), []byte("early")); err == nil {
		t.Error("a segment was taken without a stream")
	}
	c.MakeStreams()
	for i := range 2 { // The same bytes again are another message: a receipt may have been lost.
		if err := b.Send(within(t), []byte("segment")); err != nil {
			t.Fatal(err)
		}
		n, last := c.Segments()
		if n != uint64(i+1) || last.Subject != "tollgate.segments.node-1" || string(last.Data) != "segment" {
			t.Errorf("%d messages, the last is %q on %s", n, last.Data, last.Subject)
		}
	}
}

func TestBus_FailsAtOnceWhileNATSIsAwayAndComesBack(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c, b := s.Control(t), s.Node(t, "node-1")
	c.MakeStreams()
	receipts := make(chan string, 16)
	if err := b.OnReceipt(func(raw []byte) { receipts <- string(raw) }); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	bustest.Eventually(t, "the node knows", func() bool { return !b.Connected() })
	for name, f := range map[string]func() error{
		"send":   func() error { return b.Send(t.Context(), []byte("segment")) },
		"status": func() error { return b.PublishStatus(&rulesv1.NodeStatus{}) },
		"lend": func() error {
			_, err := b.Lend(t.Context(), true, &lendv1.LendRequest{})
			return err
		},
		"snapshots": func() error {
			_, err := b.Snapshots(t.Context())
			return err
		},
		"rules": func() error {
			return b.FollowRules(t.Context(), true, func([]byte, bool, bool) bool { return true })
		},
	} {
		if err := f(); !errors.Is(err, bus.ErrDisconnected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Again(t)
	bustest.Eventually(t, "the node is connected again", b.Connected)
	c.Publish("tollgate.receipts.node-2", []byte("another's"))
	c.Publish("tollgate.receipts.node-1", []byte("mine"))
	select {
	case r := <-receipts:
		if r != "mine" {
			t.Errorf("received %q", r)
		}
	case <-within(t).Done():
		t.Error("the subscription did not come back")
	}
	if err := b.Send(within(t), []byte("segment")); err != nil {
		t.Error(err)
	}
}

func TestConnect_NATSMayComeLater(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	s.Stop()
	b, err := bus.Connect(bus.Config{URL: s.URL, Name: "node-1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	heartbeats := make(chan string, 1)
	if err := b.OnHeartbeat(func(raw []byte) { heartbeats <- string(raw) }); err != nil {
		t.Fatal(err)
	}
	s.Again(t)
	bustest.Eventually(t, "the node is connected", b.Connected)
	s.Control(t).Publish("tollgate.heartbeat", []byte("beat"))
	select {
	case <-heartbeats:
	case <-within(t).Done():
		t.Error("a subscription from before the connection hears nothing")
	}
}

func TestLend_AsksOnTheSubjectThatFits(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c, b := s.Control(t), s.Node(t, "node-1")
	if _, err := b.Lend(within(t), false, &lendv1.LendRequest{}); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("without a lender: %v", err)
	}
	for _, subject := range []string{"tollgate.lend", "tollgate.lend.cold"} {
		_, err := c.NC.QueueSubscribe(subject, "lender", func(m *nats.Msg) {
			req := &lendv1.LendRequest{}
			if err := proto.Unmarshal(m.Data, req); err != nil {
				return
			}
			raw, err := proto.Marshal(&lendv1.LendResponse{Loans: []*lendv1.Loan{{Key: &lendv1.LoanKey{License: m.Subject, Limit: req.GetBoot()}}}})
			if err == nil {
				_ = m.Respond(raw)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	for cold, subject := range map[bool]string{false: "tollgate.lend", true: "tollgate.lend.cold"} {
		resp, err := b.Lend(within(t), cold, &lendv1.LendRequest{Boot: "boot"})
		if err != nil {
			t.Fatal(err)
		}
		if key := resp.GetLoans()[0].GetKey(); key.GetLicense() != subject || key.GetLimit() != "boot" {
			t.Errorf("cold %v: answered by %v", cold, key)
		}
	}
}

func TestOnRecall_HearsRecallsAndNothingElse(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c, b := s.Control(t), s.Node(t, "node-1")
	recalls := make(chan *lendv1.Recall, 1)
	if err := b.OnRecall(func(r *lendv1.Recall) { recalls <- r }); err != nil {
		t.Fatal(err)
	}
	status, err := c.NC.SubscribeSync("tollgate.fleet.*")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	// Once this arrives, the server has the subscription before it, too.
	if err := b.PublishStatus(&rulesv1.NodeStatus{Node: "node-1", Number: 7}); err != nil {
		t.Fatal(err)
	}
	m, err := status.NextMsg(bustest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	got := &rulesv1.NodeStatus{}
	if err := proto.Unmarshal(m.Data, got); err != nil || m.Subject != "tollgate.fleet.node-1" || got.GetNumber() != 7 {
		t.Errorf("%v on %s: %v", got, m.Subject, err)
	}
	raw, err := proto.Marshal(&lendv1.Recall{Key: &lendv1.LoanKey{License: "lic"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Publish("tollgate.recall", []byte{0xff})
	c.Publish("tollgate.recall", raw)
	select {
	case r := <-recalls:
		if r.GetKey().GetLicense() != "lic" {
			t.Errorf("recalled %v", r)
		}
	case <-within(t).Done():
		t.Error("no recall")
	}
}

func TestSnapshots_ReadsWhatIsStored(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c, b := s.Control(t), s.Node(t, "node-1")
	if _, err := b.Snapshots(within(t)); err == nil {
		t.Error("no store, and no error")
	}
	c.MakeStreams()
	if names, err := b.Snapshots(within(t)); err != nil || len(names) != 0 {
		t.Errorf("empty store: %v, %v", names, err)
	}
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	c.Snapshot("1.00000000000000000007", []byte("manifest"))
	c.Snapshot("1.00000000000000000007.0", chunk)
	names, err := b.Snapshots(within(t))
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"1.00000000000000000007", "1.00000000000000000007.0"}) {
		t.Errorf("%v, %v", names, err)
	}
	if raw, err := b.Snapshot(within(t), names[1]); err != nil || !bytes.Equal(raw, chunk) {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	if _, err := b.Snapshot(within(t), "none"); err == nil {
		t.Error("an object that is not there was read")
	}
}

// follower follows the rules stream as a node does, session after session.
type follower struct {
	b     *bus.Bus
	mu    sync.Mutex
	heard []string // "<data>", with "+repeated" and "+history".
}

func follow(t *testing.T, b *bus.Bus) *follower {
	t.Helper()
	f := &follower{b: b}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := b.FollowRules(ctx, false, f.take(nil)); err != nil {
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

func (f *follower) take(until func(heard []string) bool) func([]byte, bool, bool) bool {
	return func(raw []byte, repeated, history bool) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		s := string(raw)
		if repeated {
			s += "+repeated"
		}
		if history {
			s += "+history"
		}
		f.heard = append(f.heard, s)
		return until == nil || !until(f.heard)
	}
}

func (f *follower) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.heard)
}

func (f *follower) hears(t *testing.T, want ...string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("heard %q, want %q", f.all(), want)
		}
	}()
	bustest.Eventually(t, fmt.Sprintf("%q is heard", want), func() bool { return slices.Equal(f.all(), want) })
}

func TestFollowRules_HandsOverEachMessageOnceThroughARestart(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c := s.Control(t)
	c.MakeStreams()
	c.Rules([]byte("1"))
	b := s.Node(t, "node-1")
	f := follow(t, b)
	f.hears(t, "1+history")
	c.Rules([]byte("2"))
	f.hears(t, "1+history", "2")
	s.Stop()
	bustest.Eventually(t, "the node knows", func() bool { return !b.Connected() })
	s.Again(t)
	c.Rules([]byte("3"))
	f.hears(t, "1+history", "2", "3")
}

// A node that was taken over can have another stream's message sent where nodes hear of the rules stream's.
func TestFollowRules_TakesNoOtherStreamsMessageForTheRules(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c := s.Control(t)
	c.MakeStreams()
	c.Rules([]byte("1"))
	f := follow(t, s.Node(t, "node-1"))
	f.hears(t, "1+history")
	for _, h := range []nats.Header{
		nil,
		{"Nats-Sequence": {"2"}},
		{"Nats-Sequence": {"2"}, "Nats-Stream": {"OBJ_TOLLGATE_SNAPSHOTS"}},
		{"Nats-Sequence": {"1"}, "Nats-Stream": {"TOLLGATE_RULES"}}, // An old one, again.
		{"Nats-Sequence": {"99"}, "Nats-Stream": {"TOLLGATE_RULES"}},
		{"Nats-Sequence": {"x"}, "Nats-Stream": {"TOLLGATE_RULES"}},
	} {
		if err := errors.Join(c.NC.PublishMsg(&nats.Msg{Subject: "tollgate.rules.stored", Header: h, Data: []byte("junk")}), c.NC.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	c.Rules([]byte("2"))
	f.hears(t, "1+history", "2")
}

// What was not told is read: the connection may have been slow, or lost it.
func TestFollowRules_ReadsWhatItWasNotToldOf(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c := s.Control(t)
	c.MakeStreams()
	c.Rules([]byte("0"))
	f := follow(t, s.Node(t, "node-1"))
	f.hears(t, "0+history")
	c.Untold()
	c.Rules([]byte("1"))
	c.Rules([]byte("2"))
	f.hears(t, "0+history", "1", "2")
}

func TestFollowRules_BeginsANewStreamFromItsBeginning(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*bustest.Server, *bustest.Control, *testing.T){
		"store wiped":    func(s *bustest.Server, _ *bustest.Control, t *testing.T) { s.Wipe(t) },
		"stream deleted": func(_ *bustest.Server, c *bustest.Control, _ *testing.T) { c.DeleteRules() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bustest.Start(t)
			c := s.Control(t)
			c.MakeStreams()
			f := follow(t, s.Node(t, "node-1"))
			for _, m := range []string{"1", "2", "3"} {
				c.Rules([]byte(m))
			}
			bustest.Eventually(t, "three are heard", func() bool { return len(f.all()) == 3 })
			lose(s, c, t)
			c.MakeStreams()
			// Fewer than there were: a position in the old stream would wait for a fourth.
			c.Rules([]byte("new"))
			bustest.Eventually(t, "the new one is heard", func() bool {
				return slices.ContainsFunc(f.all(), func(s string) bool { return s == "new" || s == "new+history" })
			})
		})
	}
}

func TestFollowRules_AgainHandsOverEverythingAndSaysSo(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c := s.Control(t)
	c.MakeStreams()
	c.Rules([]byte("1"))
	b := s.Node(t, "node-1")
	f := &follower{b: b}
	until := func(n int) func([]string) bool { return func(heard []string) bool { return len(heard) == n } }
	if err := b.FollowRules(within(t), true, f.take(until(1))); err != nil {
		t.Fatal(err)
	}
	c.Rules([]byte("2"))
	if err := b.FollowRules(within(t), false, f.take(until(2))); err != nil {
		t.Fatal(err)
	}
	c.Rules([]byte("3"))
	if err := b.FollowRules(within(t), true, f.take(until(5))); err != nil {
		t.Fatal(err)
	}
	f.hears(t, "1+history", "2", "1+repeated+history", "2+repeated", "3")
}

// A session looks at the stream while messages come: what it has got since is no sign of another stream.
func TestFollowRules_GoesOnWhileMuchIsPublished(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	c := s.Control(t)
	c.MakeStreams()
	b := s.Node(t, "node-1")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.FollowRules(ctx, true, func([]byte, bool, bool) bool { return true }) }()
	over := time.After(5 * time.Second)
	for published := 0; ; published++ {
		select {
		case err := <-ended:
			t.Fatalf("after %d messages: %v", published, err)
		case <-over:
			cancel()
			if err := <-ended; err == nil {
				t.Error("it ended without an error")
			}
			return
		default:
			c.Rules([]byte("rules"))
		}
	}
}

func TestFollowRules_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	s.Control(t).MakeStreams()
	b := s.Node(t, "node-1")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.FollowRules(ctx, true, func([]byte, bool, bool) bool { return true }) }()
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended without an error")
		}
	case <-within(t).Done():
		t.Error("it goes on")
	}
}
