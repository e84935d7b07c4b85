package ruleset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/internal/rulefile"
	"tollgate/dataplane/internal/ruleset"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// nodeOn is one life of a node that keeps its rules in dir; it is killed, or stopped, by its test.
func (s *setup) nodeOn(dir string) *node {
	s.t.Helper()
	n := s.nodeWith(s.open(dir))
	n.Start()
	s.t.Cleanup(n.Stop)
	return n
}

func (s *setup) open(dir string) *rulefile.Store {
	s.t.Helper()
	disk, err := rulefile.Open(rulefile.Config{Dir: dir})
	if err != nil {
		s.t.Fatal(err)
	}
	return disk
}

// nodeWith does not follow yet.
func (s *setup) nodeWith(disk ruleset.Disk) *node {
	s.t.Helper()
	reg, c := prometheus.NewRegistry(), s.clock()
	var source ruleset.Source = nowhere{}
	if !s.down {
		source = s.nats.Node(s.t, "node-1")
	}
	f, err := ruleset.New(ruleset.Config{
		Source: source, Verifier: s.verifier(), Disk: disk,
		Clock: c, Confirmed: s.confirmed, Logger: s.logger(), Metrics: reg,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return &node{f, c, s.t, reg}
}

// nowhere is where rules come from with everything else down.
type nowhere struct{}

var errDown = errors.New("nothing is there")

func (nowhere) Snapshots(context.Context) ([]string, error)      { return nil, errDown }
func (nowhere) Snapshot(context.Context, string) ([]byte, error) { return nil, errDown }
func (nowhere) FollowRules(context.Context, bool, func([]byte, bool, bool) bool) error {
	return errDown
}

// copyOf is what a kill at this moment would leave of dir.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // It was being replaced.
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func (n *node) isIn(state string) {
	n.t.Helper()
	bustest.Eventually(n.t, "the rules are "+state, func() bool { return n.State() == state })
}

func settings(edit func(*rulesv1.Settings)) *rulesv1.Record {
	s := &rulesv1.Settings{Env: "live", StaleAfter: durationpb.New(time.Hour), GraceAfter: durationpb.New(2 * time.Hour), BlockAfter: durationpb.New(3 * time.Hour)}
	if edit != nil {
		edit(s)
	}
	return &rulesv1.Record{Value: &rulesv1.Record_Settings{Settings: s}}
}

// lived is a node that took a snapshot at 2 and change sets to 4, heard that they are current, and left all that in its folder; from then on
// NATS is down. stop: it ended as it should; otherwise it was killed.
func lived(t *testing.T, edit func(*rulesv1.Settings), stop bool) (s *setup, dir string) {
	t.Helper()
	s = newSetup(t)
	s.extend(1, settings(edit))
	s.extend(2, service("a", "http://a"))
	s.snapshot(2, settings(edit), service("a", "http://a"))
	s.publish(3, service("b", "http://b"))
	s.publish(4, service("c", "http://c"), removal(rulesv1.Kind_KIND_SERVICE, "a"))
	dir = t.TempDir()
	n := s.nodeOn(dir)
	n.enforces(1, 4)
	n.Heartbeat(s.heartbeat(4))
	n.isIn("fresh")
	bustest.Eventually(t, "the heartbeat is on disk", func() bool { _, err := os.Stat(filepath.Join(dir, "heartbeat")); return err == nil })
	killed := copyOf(t, dir)
	n.Stop()
	s.down = true
	if stop {
		return s, dir
	}
	return s, killed
}

var afterFour = map[string]string{"b": "http://b", "c": "http://c"}

func TestI8_ANodeStartsAndServesWithEverythingElseDown(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, true)
	for range 2 { // It can be started again, and again.
		n := s.nodeOn(dir)
		n.enforces(1, 4)
		n.isIn("fresh")
		n.has(afterFour)
		if _, age := n.Current(); age >= decision.AgeBlock {
			t.Error("nothing is forwarded")
		}
		if kept := n.family("tollgate_rules_kept")[0].GetGauge().GetValue(); kept != 1 {
			t.Error("what is enforced is on disk, and that is not said")
		}
		n.Stop()
	}
}

// Who was killed may have enforced more than he left, if his host has rolled the disk back: he wants to hear that it is current.
func TestI6_AfterAnUncleanEndANodeWantsOneHeartbeat(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, false)
	n := s.nodeOn(dir)
	n.enforces(1, 4)
	if n.State() != "block" {
		t.Errorf("the rules are %s", n.State())
	}
	n.Stop()
	n = s.nodeOn(dir)
	n.enforces(1, 4)
	if n.State() != "block" {
		t.Errorf("stopped without having heard one, and then the rules are %s", n.State())
	}
	n.Heartbeat(s.heartbeat(4))
	n.isIn("fresh")
}

func TestI8_TheFleetMayAllowAnOfflineStart(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, func(s *rulesv1.Settings) { s.OfflineStart = true }, false)
	n := s.nodeOn(dir)
	n.enforces(1, 4)
	n.isIn("fresh")
}

// A power cut may take a change set, and leave the heartbeat by which its epoch was enforced: then what is left is older, and nobody may serve by it.
func TestI6_AnOfflineStartByLessThanWasEnforcedIsNone(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, func(s *rulesv1.Settings) { s.OfflineStart = true }, false)
	log := filepath.Join(dir, "log")
	info, err := os.Stat(log)
	if err == nil {
		err = os.Truncate(log, info.Size()-1)
	}
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s.said = &said
	n := s.nodeOn(dir)
	bustest.Eventually(t, "the disk was read", func() bool { return n.Vouched() != nil })
	n.enforces(1, 3)
	if n.State() != "block" {
		t.Errorf("the rules are %s by what the disk says", n.State())
	}
	n.Heartbeat(s.heartbeat(3))
	if n.State() != "block" {
		t.Errorf("the rules are %s by a heartbeat of what is older", n.State())
	}
	n.Stop()
	if !strings.Contains(said.String(), "a heartbeat names epoch 1.3, and 1.4 was enforced here before") {
		t.Errorf("it says %q", said.String())
	}
}

// Where a power cut has left nothing but that heartbeat, no older rules are served either.
func TestI6_ALostDiskWithItsHeartbeatTakesNothingOlder(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, false)
	for _, name := range listed(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.down = false
	s.nats.Wipe(t)
	s.control = s.nats.Control(t)
	s.control.MakeStreams()
	s.snapshot(2, settings(nil), service("a", "http://a"))
	for range 2 {
		n := s.nodeOn(dir)
		n.enforces(1, 2)
		n.Heartbeat(s.heartbeat(2))
		if n.State() != "block" {
			t.Errorf("the rules are %s", n.State())
		}
		n.Stop()
	}
}

// The age goes on while no process runs, and a clock that was set back revives nothing.
func TestI6_RulesOnDiskGrowOld(t *testing.T) {
	t.Parallel()
	short := func(s *rulesv1.Settings) {
		s.StaleAfter, s.GraceAfter, s.BlockAfter = durationpb.New(time.Second), durationpb.New(2*time.Second), durationpb.New(3*time.Second)
	}
	s, dir := lived(t, short, true)
	n := s.nodeOn(dir)
	for _, state := range []string{"stale", "grace", "block"} {
		n.isIn(state)
	}
	n.Stop()
	// How old they are is not left to the clock.
	raw, age, _ := s.open(copyOf(t, dir)).LastSeen()
	if raw == nil || age < 3*time.Second {
		t.Errorf("%v old on disk", age)
	}
	n = s.nodeOn(dir)
	n.enforces(1, 4)
	if n.State() != "block" {
		t.Errorf("the rules are %s again", n.State())
	}
}

// Restarted, a node goes on from its disk, and takes nothing that is older than what it enforced.
func TestI6_ARestartedNodeRefusesWhatIsOlder(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, true)
	s.down = false
	s.nats.Wipe(t)
	s.control = s.nats.Control(t)
	s.control.MakeStreams()
	s.snapshot(2, settings(nil), service("a", "http://a"))
	n := s.nodeOn(dir)
	n.enforces(1, 4)
	s.publish(5, service("d", "http://d"))
	n.enforces(1, 5)
	s.control.Rules(s.sign(envelope.KindEnvelope, s.change(4, nil, service("a", "http://evil"))))
	n.refuses(map[string]float64{"fork": 1})
	n.has(map[string]string{"b": "http://b", "c": "http://c", "d": "http://d"})
}

// Whatever byte of the folder is changed, the node enforces what was signed, or waits.
func TestI6_AChangedDiskIsNotEnforced(t *testing.T) {
	t.Parallel()
	s, dir := lived(t, nil, true)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	waited := 0
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(raw); at += 1 + len(raw)/12 {
			changed := copyOf(t, dir)
			bad := bytes.Clone(raw)
			bad[at] ^= 1
			if err := os.WriteFile(filepath.Join(changed, e.Name()), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			n := s.nodeOn(changed)
			bustest.Eventually(t, "the disk was read", func() bool {
				return n.Epoch().Number == 4 || len(listed(t, changed)) == 0 && n.Epoch() == decision.Epoch{}
			})
			if n.Epoch().Number == 4 {
				n.has(afterFour)
			} else {
				waited++
			}
			if state, age := n.Current(); state == nil && age != decision.AgeUnknown {
				t.Error("nothing is enforced, and that is not said")
			}
			n.Stop()
		}
	}
	if waited == 0 {
		t.Error("no change was noticed")
	}
}

// listed are the snapshots and change sets in a folder.
func listed(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && (strings.Contains(e.Name(), ".") || e.Name() == "log" && info.Size() > 0) {
			all = append(all, e.Name())
		}
	}
	return all
}

// The log on disk does not grow for ever: a newer snapshot takes its place.
func TestDisk_ALongLogGivesWayToASnapshot(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.publish(1, settings(nil))
	dir := t.TempDir()
	n := s.nodeOn(dir)
	const last, whole = 1030, 1000
	for i := uint64(2); i <= last; i++ {
		s.publish(i, service("a", fmt.Sprint("http://a", i)))
		if i == whole {
			s.snapshot(i, settings(nil), service("a", fmt.Sprint("http://a", i)))
		}
	}
	n.enforces(1, last)
	bustest.Eventually(t, "the snapshot is on disk", func() bool {
		_, err := os.Stat(filepath.Join(dir, fmt.Sprintf("1.%020d", whole)))
		return err == nil
	})
	n.Stop()
	s.down = true
	n = s.nodeOn(dir)
	n.enforces(1, last)
	n.has(map[string]string{"a": fmt.Sprint("http://a", last)})
	disk, err := rulefile.Open(rulefile.Config{Dir: copyOf(t, dir)})
	if err != nil {
		t.Fatal(err)
	}
	if _, changes := disk.Logged(); changes != last-whole {
		t.Errorf("%d change sets are left, want %d", changes, last-whole)
	}
}
