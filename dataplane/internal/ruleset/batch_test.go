package ruleset_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/rulefile"
	"tollgate/dataplane/internal/ruleset"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// watchedDisk calls before ahead of each change set that it keeps. Where that fails, the disk does.
type watchedDisk struct {
	*rulefile.Store
	before func(to decision.Epoch, durable bool) error
}

func (d *watchedDisk) Append(to decision.Epoch, raw []byte, durable bool) error {
	if err := d.before(to, durable); err != nil {
		d.Lost(to)
		return err
	}
	return d.Store.Append(to, raw, durable)
}

// off is a signed change set that is no part of the chain.
func (h *history) off(edit func(*rulesv1.Envelope)) []byte {
	h.t.Helper()
	env := &rulesv1.Envelope{
		Fleet: fleet, Generation: h.head.Generation, From: h.head.Number, To: h.head.Number + 1, PreviousHash: h.hash, CreatedAt: timestamppb.Now(),
		Records: marks(h.head),
	}
	edit(env)
	raw, _ := h.sign(envelope.KindEnvelope, env)
	return raw
}

// script is a stream on which good change sets and bad ones lie. Either some of the bad are signed, and a fork and a higher generation may come at the end; or what
// comes there makes a node read the stream again: then none is, as whoever reads two contents of one epoch freezes.
func (h *history) script() (stream [][]byte) {
	h.t.Helper()
	add := func(raw []byte) { stream = append(stream, raw) }
	add(h.change().raw)
	signed := h.rng.IntN(2) == 0
	for range 30 + h.rng.IntN(30) {
		switch n := h.rng.IntN(16); {
		case n == 0:
			raw := bytes.Clone(h.changes[h.rng.IntN(len(h.changes))].raw)
			raw[h.rng.IntN(len(raw))] ^= 1
			add(raw)
		case n == 1:
			add(h.off(func(e *rulesv1.Envelope) { e.Fleet = "another" }))
		case n == 2: // The newest again, or a replay.
			add(h.changes[h.rng.IntN(len(h.changes))].raw)
		case n == 3 && signed:
			add(h.off(func(e *rulesv1.Envelope) { e.Needs = []string{"time-travel"} }))
		case n == 4 && signed:
			add(h.off(func(e *rulesv1.Envelope) { e.Records = append(e.Records, &rulesv1.Record{}) }))
		case n == 5 && signed:
			add(h.off(func(e *rulesv1.Envelope) { e.Records = append(e.Records, route("r1", "/x"), route("r2", "/x")) }))
		default:
			add(h.change().raw)
		}
	}
	switch end := h.rng.IntN(2) == 0; {
	case signed && end:
		add(h.off(func(e *rulesv1.Envelope) { e.From, e.To = e.From-1, e.To-1 }))
		add(h.change().raw) // Nobody takes it.
		at := decision.Epoch{Generation: h.head.Generation + 1, Number: h.head.Number}
		records := h.whole(apply(map[string]string{}, marks(at)))
		add(h.envelope(decision.Epoch{Generation: at.Generation}, at, records, apply(map[string]string{}, records)).raw)
		add(h.change().raw)
	case !signed && end:
		add(h.off(func(e *rulesv1.Envelope) { e.StateHash = []byte("another state's") }))
	case !signed:
		missing := h.change().raw
		for range 1 + h.rng.IntN(3) {
			add(h.change().raw)
		}
		add(missing)
	}
	return stream
}

// outcome is what a node makes of a stream.
type outcome struct {
	epoch    decision.Epoch
	refused  string
	refuses  string
	frozen   bool
	measured uint64
	log      string
}

// play gives a node a stream, the first messages before it starts. pause is how long the next one takes to come, and stall how long the disk takes. batches
// is how often the disk was asked to make something durable.
func (h *history) play(stream [][]byte, history int, pause, stall func() time.Duration) (o outcome, batches int) {
	h.t.Helper()
	w, dir := newWire(), inMemory(h.t)
	for _, raw := range stream[:history] {
		w.rules(raw)
	}
	store, err := rulefile.Open(rulefile.Config{Dir: dir})
	if err != nil {
		h.t.Fatal(err)
	}
	verifier := envelope.NewVerifier(fleet, h.root.Public().(ed25519.PublicKey))
	envelopetest.Admit(h.t, verifier, h.root, envelopetest.Certified(h.t, h.signer))
	reg, c := prometheus.NewRegistry(), clock.New(clock.Monotonic())
	var f *ruleset.Follower
	look := func() {
		if state, _ := f.Current(); state != nil {
			if wrong := h.differs(state); wrong != "" {
				h.t.Error(wrong)
			}
		}
	}
	disk := &watchedDisk{store, func(to decision.Epoch, durable bool) error {
		if f.Epoch().Compare(to) >= 0 {
			h.t.Errorf("%v is enforced, and %v is not on disk", f.Epoch(), to)
		}
		look()
		if durable {
			batches++
			time.Sleep(stall())
		}
		return nil
	}}
	f, err = ruleset.New(ruleset.Config{
		Source: &watched{w.connect(), look}, Verifier: verifier, Disk: disk, Clock: c, Logger: slog.New(slog.DiscardHandler), Metrics: reg,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	n := &node{f, c, h.t, reg}
	n.Start()
	synctest.Wait() // It has seen what is history.
	for _, raw := range stream[history:] {
		time.Sleep(pause())
		w.rules(raw)
	}
	time.Sleep(time.Minute) // Whatever is tried again was.
	synctest.Wait()
	o = outcome{
		epoch: n.Epoch(), refused: fmt.Sprint(n.refused()), refuses: n.Refuses(), frozen: n.Frozen(),
		measured: n.family("tollgate_rules_propagation_seconds")[0].GetHistogram().GetSampleCount(),
	}
	look()
	n.Stop()
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		h.t.Fatal(err)
	}
	o.log = string(log)
	return o, batches
}

// However change sets come together while the disk is slow, what is enforced, refused and kept is what it is where each comes alone; and nothing is
// enforced that is not on disk.
func TestI6_AnyBatchIsAsOneByOne(t *testing.T) {
	t.Parallel()
	first, n := histories(t)
	for seed := first; seed < first+2*n; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHistory(t, rand.New(rand.NewPCG(seed, 2)))
				stream := h.script()
				history := h.rng.IntN(len(stream) / 2)
				one, asked := h.play(stream, history, func() time.Duration { return 10 * time.Second }, func() time.Duration { return 0 })
				pauses, stalls := rand.New(rand.NewPCG(seed, 3)), rand.New(rand.NewPCG(seed, 4))
				many, batches := h.play(stream, history,
					func() time.Duration { return time.Duration(pauses.IntN(3)) * time.Millisecond },
					func() time.Duration { return time.Duration(stalls.IntN(20)) * time.Millisecond })
				if one.log != many.log {
					t.Errorf("the logs on disk differ: %d bytes, and one by one %d", len(many.log), len(one.log))
				}
				one.log, many.log = "", ""
				if one != many {
					t.Errorf("in batches %+v, one by one %+v", many, one)
				}
				if batches >= asked {
					t.Errorf("the disk was asked %d times in batches, and %d times one by one", batches, asked)
				}
			})
		})
	}
}

// gate is a disk that stops ahead of its next durable change set until it is opened.
type gate struct {
	came, open chan struct{}
	opened     sync.Once
	fail       error
}

func (g *gate) leaveOpen() { g.opened.Do(func() { close(g.open) }) }

func (g *gate) before(_ decision.Epoch, durable bool) error {
	if !durable {
		return nil
	}
	select {
	case g.came <- struct{}{}:
		<-g.open
	case <-g.open: // For good.
	}
	return g.fail
}

// gated is a node that enforces 1, and whose disk is a gate: 2 is there, and so many wait behind it.
func gated(t *testing.T, waiting int, behind func(s *setup)) (s *setup, n *node, g *gate, dir string) {
	t.Helper()
	s = newSetup(t)
	s.publish(1, licensees(200, nil)...)
	g, dir = &gate{came: make(chan struct{}), open: make(chan struct{})}, t.TempDir()
	n = s.nodeWith(&watchedDisk{s.open(dir), g.before})
	n.Start()
	t.Cleanup(n.Stop)
	t.Cleanup(g.leaveOpen) // Before that, whatever has failed.
	n.enforces(1, 1)       // It was there before the node, and need not be durable.
	s.publish(2, service("a", "2"))
	<-g.came
	behind(s)
	bustest.Eventually(t, "they wait", func() bool { return n.Waiting() == waiting })
	return s, n, g, dir
}

// A disk that fails as it is to make a batch durable stops none of it from being enforced; and what is left on disk is not served by, as it is older.
func TestI6_ADiskThatFailsAtABatchLosesNothing(t *testing.T) {
	t.Parallel()
	s, n, g, dir := gated(t, 3, func(s *setup) {
		for i := uint64(3); i <= 5; i++ {
			s.publish(i, service("a", fmt.Sprint(i)))
		}
	})
	if n.Epoch().Number != 1 {
		t.Errorf("%v is enforced, and not on disk", n.Epoch())
	}
	g.open <- struct{}{}
	<-g.came
	g.fail = errors.New("no space left on device")
	g.leaveOpen()
	n.enforces(1, 5)
	n.has(map[string]string{"a": "5"})
	if kept := n.family("tollgate_rules_kept")[0].GetGauge().GetValue(); kept != 0 {
		t.Error("it says that all is on disk")
	}
	killed := copyOf(t, dir)
	n.Stop()
	s.nats.Wipe(t)
	s.control = s.nats.Control(t)
	s.control.MakeStreams()
	s.snapshotOf(4, licensees(200, nil), []*rulesv1.Record{service("a", "4")})
	n = s.nodeOn(killed)
	n.enforces(1, 4)
	n.Heartbeat(s.heartbeat(4))
	n.isIn("block")
}

// Who is killed while a batch is written has enforced nothing of it, and starts again with what is whole.
func TestI6_AKillWithinABatchLosesNothing(t *testing.T) {
	t.Parallel()
	s, n, g, dir := gated(t, 3, func(s *setup) {
		for i := uint64(3); i <= 5; i++ {
			s.publish(i, service("a", fmt.Sprint(i)))
		}
	})
	g.open <- struct{}{}
	<-g.came
	enforced := n.Epoch()
	killed := copyOf(t, dir)
	if enforced.Number != 2 {
		t.Errorf("%v is enforced, and only 2 is durable", enforced)
	}
	g.leaveOpen()
	n.enforces(1, 5)
	n.Stop()
	s.down = true
	n = s.nodeOn(killed)
	n.enforces(1, 4) // 5 was to be made durable, and 3 and 4 with it.
	n.has(map[string]string{"a": "4"})
}

// What waits for the disk counts for the guard, and is in force before what it makes the guard refuse is refused.
func TestGuard_CountsWhatWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	_, n, g, _ := gated(t, 1, func(s *setup) {
		s.publish(3, each(0, 60, suspended)...)
		s.publish(4, each(60, 60, suspended)...)
		s.publishOther(4, nil, service("b", "4"))
	})
	if refused := n.refused(); len(refused) != 0 {
		t.Errorf("refused %v before what came first is in force", refused)
	}
	g.leaveOpen()
	n.enforces(1, 4)
	n.refuses(map[string]float64{"guard": 1})
	n.Stop()
	n.has(map[string]string{"a": "2", "b": "4"})
}
