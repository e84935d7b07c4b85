package ruleset_test

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/internal/clock"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// setClock is this machine with its clock set off by some nanoseconds.
type setClock struct {
	clock.Source
	off atomic.Int64
}

func (s *setClock) Wall() time.Time { return s.Source.Wall().Add(time.Duration(s.off.Load())) }

func (s *setup) heartbeatOf(number uint64, at time.Time) []byte {
	s.t.Helper()
	return s.sign(envelope.KindHeartbeat, &rulesv1.Heartbeat{
		Fleet: fleet, Time: timestamppb.New(at), Generation: s.generation, Number: number, HeadHash: s.hashes[number],
	})
}

func (n *node) isAtLeast(date time.Time) {
	n.t.Helper()
	if got := n.clock.Date(); got.Before(date) {
		n.t.Errorf("the date is %v, and was %v", got, date)
	}
}

// What has expired on a node stays expired there: a clock that is set back moves no date, in this process or the next one, whether that one was killed, or
// stopped, or has lost all its rules.
func TestI6_AClockSetBackMovesNoDate(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	source := &setClock{Source: clock.System()}
	s.source = source
	s.publish(1, settings(nil))
	s.publish(2, service("a", "http://a"))
	dir := t.TempDir()
	n := s.nodeOn(dir)
	n.enforces(1, 2)
	n.Heartbeat(s.heartbeat(2))
	n.isIn("fresh")
	source.off.Store(int64(-365 * 24 * time.Hour))
	began := time.Now().Truncate(0).Add(-time.Second)
	n.isAtLeast(began)
	var killed string
	bustest.Eventually(t, "the date is on disk", func() bool {
		killed = copyOf(t, dir)
		return !s.open(killed).Floor().Before(began)
	})
	floor := s.open(killed).Floor()
	last := n.clock.Date()
	n.Stop()
	s.down = true
	forgotten := t.TempDir()
	if err := s.open(forgotten).KeepFloor(last, true); err != nil {
		t.Fatal(err)
	}
	for left, least := range map[string]time.Time{dir: last, killed: floor, forgotten: last} {
		n := s.nodeWith(s.open(left))
		n.Start()
		bustest.Eventually(t, "the date is known again", func() bool { _, known := n.clock.Floor(); return known })
		n.isAtLeast(least)
		// A heartbeat that was recorded when the clock shows, and since, is none of now.
		n.Heartbeat(s.heartbeatOf(2, time.Now().AddDate(-1, 0, 0)))
		if n.State() != "block" {
			t.Errorf("the rules are %s by a heartbeat of a year ago", n.State())
		}
		if _, age := n.Age(); left == forgotten && age {
			t.Error("it counts")
		}
		n.Stop()
	}
}

// While heartbeats come, a clock that is set far ahead is nobody's business.
func TestFreshness_AClockSetAheadMovesNoDate(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	source := &setClock{Source: clock.System()}
	s.source = source
	n := s.node()
	s.publish(1, settings(nil))
	n.enforces(1, 1)
	n.Heartbeat(s.heartbeat(1))
	source.off.Store(int64(20 * 365 * 24 * time.Hour))
	// The certificates of all that comes have long expired by that clock.
	s.publish(2, service("a", "http://a"))
	n.enforces(1, 2)
	n.Heartbeat(s.heartbeat(2))
	n.isIn("fresh")
	if got := n.clock.Date(); got.After(time.Now().Add(time.Minute)) {
		t.Errorf("the date is %v", got)
	}
}

// A control plane whose clock is years ahead must not take nodes along: their dates never go back.
func TestFreshness_AHeartbeatFarAheadDoesNotCount(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, settings(nil))
	n.enforces(1, 1)
	n.Heartbeat(s.heartbeatOf(1, time.Now().Add(25*time.Hour)))
	if n.State() != "block" {
		t.Errorf("the rules are %s", n.State())
	}
	n.Heartbeat(s.heartbeatOf(1, time.Now().Add(23*time.Hour)))
	n.isIn("fresh")
	n.Heartbeat(s.heartbeat(1))
	n.isIn("fresh")
	n.isAtLeast(time.Now().Add(22 * time.Hour))
}

// A node whose clock is so far ahead that what it hears might be a recording stays blocked, and says why.
func TestFreshness_AClockThatStartsAheadIsSaid(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	source := &setClock{Source: clock.System()}
	source.off.Store(int64(20 * time.Minute))
	var said bytes.Buffer
	s.source, s.said = source, &said
	n := s.idleNode()
	n.Heartbeat(s.heartbeat(1))
	if n.State() != "block" {
		t.Errorf("the rules are %s", n.State())
	}
	if !strings.Contains(said.String(), "is the control plane's clock right, or this machine's?") {
		t.Errorf("it says %q", said.String())
	}
}

// Two control planes whose clocks are far apart look like a broker that holds heartbeats back: the node grows stale, and says why.
func TestFreshness_AHeartbeatFarBehindIsSaid(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	var said bytes.Buffer
	s.said = &said
	n := s.idleNode()
	n.Heartbeat(s.heartbeat(1))
	n.Heartbeat(s.heartbeatOf(1, time.Now().Add(-10*time.Second)))
	if said.Len() > 0 {
		t.Errorf("of one that is near it says %q", said.String())
	}
	n.Heartbeat(s.heartbeatOf(1, time.Now().Add(-20*time.Second)))
	if !strings.Contains(said.String(), "a control plane's clock is behind another's") {
		t.Errorf("it says %q", said.String())
	}
}
