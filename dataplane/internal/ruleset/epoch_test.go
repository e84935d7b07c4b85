package ruleset_test

import (
	"fmt"
	"testing"

	"tollgate/dataplane/envelope"
)

func TestI6_OlderEpochsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	first := s.publish(1, service("a", "1"))
	second := s.publish(2, service("a", "2"))
	n.enforces(1, 2)
	// The exact copy of what is enforced is what a publisher sends that did not hear that it was taken.
	s.control.Rules(second)
	// An older one, published anew, is a replay.
	s.control.Rules(first)
	n.refuses(map[string]float64{"rollback": 1})
	n.has(map[string]string{"a": "2"})
	s.publish(3, service("a", "3"))
	n.enforces(1, 3)
	n.refuses(map[string]float64{"rollback": 1})
}

func TestI6_AForkFreezesUntilAHigherGeneration(t *testing.T) {
	t.Parallel()
	for name, fork := range map[string]func(*setup){
		"change set": func(s *setup) { s.publishOther(2, nil, service("a", "forked")) },
		"older change set": func(s *setup) {
			s.publishOther(1, nil, service("a", "forked"))
		},
		"heartbeat": func(s *setup) {
			good := s.hashes[2]
			s.hashes[2] = envelope.Hash([]byte("forked"))
			s.control.Publish("tollgate.heartbeat", s.heartbeat(2))
			s.hashes[2] = good
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			n := s.node()
			s.publish(1, service("a", "1"))
			s.publish(2, service("a", "2"))
			n.enforces(1, 2)
			fork(s)
			n.refuses(map[string]float64{"fork": 1})
			// Not even what goes on from the state that is enforced.
			s.publish(3, service("a", "3"))
			s.snapshot(3, service("a", "3"))
			s.control.Rules([]byte("a mark on the stream"))
			n.refuses(map[string]float64{"fork": 1, "signature": 1})
			n.has(map[string]string{"a": "2"})
			if v := n.family("tollgate_rules_frozen")[0].GetGauge().GetValue(); v != 1 {
				t.Error("it is frozen, and does not say so")
			}

			s.generation = 2
			s.hashes = map[uint64][]byte{4: envelope.Hash([]byte("recovered"))}
			s.snapshot(4, service("a", "4"))
			s.publish(5, service("b", "5"))
			n.enforces(2, 5)
			n.has(map[string]string{"a": "4", "b": "5"})
			if v := n.family("tollgate_rules_frozen")[0].GetGauge().GetValue(); v != 0 {
				t.Error("it goes on, and says that it is frozen")
			}
		})
	}
}

func TestI6_AHigherGenerationIsTakenFromItsSnapshotAndALowerOneNeverAgain(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, service("a", "1"))
	next := s.extend(2, service("a", "old"))
	n.enforces(1, 1)
	s.generation = 2
	s.hashes = map[uint64][]byte{1: envelope.Hash([]byte("recovered"))}
	s.publish(2, service("b", "2"))
	// Without its snapshot nothing of it can be taken.
	s.control.Publish("tollgate.heartbeat", s.heartbeat(2))
	n.has(map[string]string{"a": "1"})
	s.snapshot(1, service("a", "restored"))
	n.enforces(2, 2)
	n.has(map[string]string{"a": "restored", "b": "2"})
	s.control.Rules(next)
	n.refuses(map[string]float64{"rollback": 1})
	n.has(map[string]string{"a": "restored", "b": "2"})
}

func TestI6_ReadersNeverSeeAMix(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	n := s.node()
	s.publish(1, service("a", "1"), service("b", "1"))
	n.enforces(1, 1)
	stop, done := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			state, _ := n.Current()
			a, b := state.Service("a").Endpoints[0], state.Service("b").Endpoints[0]
			if a != b || a != fmt.Sprint(state.Epoch().Number) {
				done <- fmt.Sprintf("a is %s and b %s at epoch %d", a, b, state.Epoch().Number)
				return
			}
		}
	}()
	for i := uint64(2); i <= 50; i++ {
		s.publish(i, service("a", fmt.Sprint(i)), service("b", fmt.Sprint(i)))
	}
	n.enforces(1, 50)
	close(stop)
	if mixed := <-done; mixed != "" {
		t.Error(mixed)
	}
}
