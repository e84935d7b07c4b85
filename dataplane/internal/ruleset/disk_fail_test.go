package ruleset_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/internal/rulefile"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// wayward is a disk that can be full, and whose reader can be met on the way.
type wayward struct {
	*rulefile.Store
	full atomic.Bool
	// met is called after each change set that was read.
	met func(yield func([]byte) bool, raw []byte) bool
}

var errFull = errors.New("no space left on device")

func (w *wayward) Put(name string, object []byte) error {
	if w.full.Load() {
		return errFull
	}
	return w.Store.Put(name, object)
}

func (w *wayward) Append(to decision.Epoch, raw []byte, durable bool) error {
	if w.full.Load() {
		w.Lost(to)
		return errFull
	}
	return w.Store.Append(to, raw, durable)
}

func (w *wayward) ChangeSets(yield func(raw []byte) bool) error {
	return w.Store.ChangeSets(func(raw []byte) bool {
		if w.met == nil {
			return yield(raw)
		}
		return w.met(yield, raw)
	})
}

// A snapshot that a full disk did not take is enforced all the same. What the disk holds is older than that, and nobody begins with it.
func TestI6_WhatASnapshotOvertookIsNotServedAgain(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, func(s *rulesv1.Settings) { s.OfflineStart = true }, true)
	s.down = false
	s.nats.Wipe(t)
	s.control = s.nats.Control(t)
	s.control.MakeStreams()
	for i := uint64(5); i < 9; i++ {
		s.extend(i, service("d", "http://d"))
	}
	s.snapshot(8, settings(nil), service("d", "http://d"))
	disk := &wayward{Store: s.open(dir)}
	disk.full.Store(true)
	n := s.nodeWith(disk)
	n.Start()
	s.t.Cleanup(n.Stop)
	n.enforces(1, 8)
	n.Heartbeat(s.heartbeat(8))
	n.isIn("fresh")
	killed := copyOf(t, dir)
	disk.full.Store(false)
	n.Stop()
	s.down = true
	for _, left := range []string{killed, dir} {
		n := s.nodeWith(s.open(left))
		n.Start()
		bustest.Eventually(t, "the disk was read", func() bool { return len(listed(t, left)) == 0 })
		if state, age := n.Current(); state != nil || age != decision.AgeUnknown {
			t.Errorf("%v is enforced again", n.Epoch())
		}
		n.Stop()
	}
}

// Nor is what is older than it by any heartbeat, though it was all that is to be had: the disk says up to where rules were enforced.
func TestI6_AfterAFullDiskNoOlderRulesAreServed(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, true)
	s.down = false
	disk := &wayward{Store: s.open(dir)}
	n := s.nodeWith(disk)
	n.Start()
	s.t.Cleanup(n.Stop)
	n.enforces(1, 4)
	recorded := s.heartbeat(4)
	disk.full.Store(true)
	newer := s.extend(5, service("d", "http://d"))
	s.control.Rules(newer)
	n.enforces(1, 5)
	killed := copyOf(t, dir)
	n.Stop()

	s.nats.Wipe(t)
	s.control = s.nats.Control(t)
	s.control.MakeStreams()
	s.snapshot(4, settings(nil), service("a", "http://a"))
	n = s.nodeOn(killed)
	n.enforces(1, 4)
	n.Heartbeat(recorded)
	n.Heartbeat(s.heartbeat(4))
	n.isIn("block")
	s.control.Rules(newer)
	n.enforces(1, 5)
	n.Heartbeat(s.heartbeat(5))
	n.isIn("fresh")
}

// A disk that was full for a while holds the rules again, though change sets went on.
func TestDisk_AFullDiskIsMended(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, true)
	s.down = false
	disk := &wayward{Store: s.open(dir)}
	n := s.nodeWith(disk)
	n.Start()
	s.t.Cleanup(n.Stop)
	n.enforces(1, 4)
	disk.full.Store(true)
	s.publish(5, service("d", "http://d"))
	n.enforces(1, 5)
	disk.full.Store(false)
	s.publish(6, service("e", "http://e"))
	n.enforces(1, 6)
	s.snapshot(5, settings(nil), service("b", "http://b"), service("c", "http://c"), service("d", "http://d"))
	bustest.Eventually(t, "nothing is missing", func() bool { return disk.Missing() == decision.Epoch{} })
	n.Heartbeat(s.heartbeat(6))
	n.isIn("fresh")
	n.Stop()
	s.down = true
	n = s.nodeOn(dir)
	n.enforces(1, 6)
	n.isIn("fresh")
	n.has(map[string]string{"b": "http://b", "c": "http://c", "d": "http://d", "e": "http://e"})
}

// On the way to what it enforced last, a node is fresh by no heartbeat: a broker may have kept one of then.
func TestI6_ARestartingNodeServesNothingOnTheWay(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, false)
	var n *node
	var met []string
	n = s.nodeWith(&wayward{Store: s.open(dir), met: func(yield func([]byte) bool, raw []byte) bool {
		more := yield(raw)
		n.Heartbeat(s.heartbeat(n.Epoch().Number))
		met = append(met, fmt.Sprint(n.Epoch().Number, " ", n.State()))
		return more
	}})
	n.Start()
	n.enforces(1, 4)
	n.Stop()
	if want := []string{"3 block", "4 block"}; !slices.Equal(met, want) {
		t.Errorf("on the way %q, want %q", met, want)
	}
}

// A heartbeat that comes while the disk is read counts when it has been: it need not wait for the next.
func TestI6_AHeartbeatWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, false)
	var n *node
	n = s.nodeWith(&wayward{Store: s.open(dir), met: func(yield func([]byte) bool, raw []byte) bool {
		n.Heartbeat(s.heartbeat(4))
		return yield(raw)
	}})
	n.Start()
	t.Cleanup(n.Stop)
	n.enforces(1, 4)
	n.isIn("fresh")
}

// Who is stopped before he has read his disk leaves it as he found it.
func TestI8_ANodeThatIsStoppedWhileItStartsStartsAgain(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, true)
	begun := make(chan struct{})
	var once sync.Once
	var n *node
	n = s.nodeWith(&wayward{Store: s.open(dir), met: func(yield func([]byte) bool, raw []byte) bool {
		n.Heartbeat(s.heartbeat(3))
		once.Do(func() { close(begun) })
		for yield(raw) { // Until it is stopped: the same again changes nothing.
		}
		return false
	}})
	n.Start()
	<-begun
	n.Stop()
	n.Stop()
	n = s.nodeOn(dir)
	n.enforces(1, 4)
	n.isIn("fresh")
}

// A freeze is not forgotten by a restart: the other content may be all that is to be had by then.
func TestI6_ARestartedNodeStaysFrozen(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]bool{"stopped": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := lived(t, nil, true)
			s.down = false
			s.nats.Wipe(t)
			s.control = s.nats.Control(t)
			s.control.MakeStreams()
			n := s.nodeOn(dir)
			n.enforces(1, 4)
			s.extend(4, service("a", "http://evil"))
			n.Heartbeat(s.heartbeat(4))
			n.refuses(map[string]float64{"fork": 1})
			bustest.Eventually(t, "that is on disk", func() bool { _, err := os.Stat(filepath.Join(dir, "frozen")); return err == nil })
			if kill {
				dir = copyOf(t, dir)
			}
			n.Stop()
			s.extend(5, service("a", "http://evil"))
			s.snapshot(5, settings(nil), service("a", "http://evil"))
			s.publish(6, service("b", "http://evil"))
			n = s.nodeOn(dir)
			n.refuses(map[string]float64{"fork": 1})
			n.enforces(1, 4)
			s.generation = 2
			s.hashes[0] = nil
			s.publishOther(7, func(e *rulesv1.Envelope) { e.From, e.PreviousHash = 0, nil }, settings(nil), service("good", "http://good"))
			n.enforces(2, 7)
			n.has(map[string]string{"good": "http://good"})
		})
	}
}

// A node that hears a heartbeat first, and then enforces what it names, has heard it: it may stop at once and start from its disk.
func TestI8_AHeartbeatThatCameFirstIsLeftOnDisk(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.publish(1, settings(nil))
	dir := t.TempDir()
	n := s.nodeOn(dir)
	n.enforces(1, 1)
	raw := s.extend(2, service("a", "http://a"))
	n.Heartbeat(s.heartbeat(2))
	s.control.Rules(raw)
	n.enforces(1, 2)
	n.isIn("fresh")
	n.Stop()
	s.down = true
	n = s.nodeOn(dir)
	n.enforces(1, 2)
	n.isIn("fresh")
}
