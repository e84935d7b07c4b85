package ruleset_test

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/rulefile"
	"tollgate/dataplane/internal/ruleset"
)

// middle is a man in the middle: what the publisher sends reaches a node by his hands alone. He has no key, keeps all that he ever saw, and may
// kill the node.
type middle struct {
	*history
	wire carrier
	node *life
	dir  string
	// pass lets time pass, and await waits until something holds; false: it does not come to that.
	pass  func(time.Duration)
	await func(holds func() bool) bool

	// late are change sets and heartbeats that he holds back.
	late, lateBeats [][]byte
	// floor is the newest epoch that any life has enforced.
	floor    decision.Epoch
	looking  sync.Mutex
	refusals map[string]float64
	did      []string // For a reader of a failure.
}

// life is one process of the node.
type life struct {
	*node
	disk *mortal
}

// begin starts a process on what the last one left.
func (m *middle) begin() {
	m.t.Helper()
	store, err := rulefile.Open(rulefile.Config{Dir: m.dir})
	if err != nil {
		m.t.Fatal(err)
	}
	reg, c := prometheus.NewRegistry(), clock.New(clock.Monotonic())
	l := &life{disk: &mortal{Store: store, left: -1}}
	verifier := envelope.NewVerifier(fleet, m.root.Public().(ed25519.PublicKey))
	envelopetest.Admit(m.t, verifier, m.root, envelopetest.Certified(m.t, m.signer))
	f, err := ruleset.New(ruleset.Config{
		Source: &watched{m.wire.connect(), func() { m.look(l) }}, Verifier: verifier, Disk: l.disk,
		Clock: c, Logger: slog.New(slog.DiscardHandler), Metrics: reg,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	l.node = &node{f, c, m.t, reg}
	l.disk.begins, l.disk.stalls = func() { m.look(l) }, func() {}
	if m.rng.IntN(2) == 0 { // Its disk is slow: change sets are enforced, and lost, in batches.
		stalls := rand.New(rand.NewPCG(m.rng.Uint64(), 0))
		l.disk.stalls = func() { m.pass(time.Duration(stalls.IntN(3000)) * time.Millisecond) }
	}
	m.node = l
	floor := m.floor // No process runs.
	l.Start()
	if !m.await(func() bool { return l.Epoch().Compare(floor) >= 0 }) {
		m.fail("a new process begins at %v, the last one has enforced %v", l.Epoch(), floor)
	}
	m.look(l)
}

// end ends the process: as it should, or by killing it.
func (m *middle) end(kill bool) {
	if kill {
		m.node.disk.die(0, true)
	}
	m.look(m.node)
	for reason, n := range m.node.refused() {
		m.refusals[reason] += n
	}
	if m.refusals["fork"] != 0 {
		m.fail("the node sees a fork, and nobody signed one")
	}
	m.node.Stop()
}

func (m *middle) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf(format, args...)
}

// check ends the test where something was found. It is called by the test's own goroutine.
func (m *middle) check() {
	m.t.Helper()
	if m.t.Failed() {
		m.t.Fatalf("what was done: %q", m.did)
	}
}

// late is how old the rules may be of a node that says that they are fresh: a heartbeat of a quarter of an hour ago is believed where a process has heard none,
// for clocks differ; and then they are fresh for as long as it takes to turn stale.
const lateBy = 15*time.Minute + 20*time.Second

// look is the oracle: what the node enforces is what was signed for that epoch, no mix of two, and nothing older than what it, or a process
// before it, has enforced.
func (m *middle) look(l *life) {
	m.looking.Lock()
	defer m.looking.Unlock()
	state, age := l.Current()
	fresh := l.State() == "fresh"
	if state == nil || l.disk.isDead() {
		return // What was loaded before it died was enforced; what came after was by nobody.
	}
	if wrong := m.differs(state); wrong != "" {
		m.fail("%s", wrong)
	}
	at := state.Epoch()
	if at.Compare(m.floor) < 0 && age != decision.AgeUnknown { // A route may be served by rules of any known age.
		m.fail("%v is served after %v", at, m.floor)
	}
	if at.Compare(m.floor) > 0 {
		m.floor = at
	}
	if due := m.headAt(time.Now().Add(-lateBy)); fresh && at.Compare(due) < 0 {
		m.fail("the rules are called fresh at %v, and %s ago there was %v", at, lateBy, due)
	}
}

// settle lets the node deal with what it got.
func (m *middle) settle() { m.await(func() bool { return true }) }

// step lets one thing happen, and looks what the node makes of it.
func (m *middle) step() {
	m.t.Helper()
	m.did = append(m.did, m.act())
	m.settle()
	m.look(m.node)
	if m.node.disk.isDead() {
		m.did = append(m.did, "died")
		m.end(true)
		m.begin()
	}
	m.check()
}

// turnHonest gives the node what the publisher sent, all of it or what is new: the process that runs gets to the head, and says so.
func (m *middle) turnHonest() {
	m.t.Helper()
	m.node.disk.die(-1, false)
	m.wire.cut(false)
	s := m.snapshot()
	if m.rng.IntN(2) == 0 {
		m.wire.wipe()
	}
	for _, o := range s.objects {
		m.wire.put(o.name, o.raw)
	}
	for range m.rng.IntN(3) {
		m.wire.rules(m.change().raw)
	}
	for range 60 {
		m.node.Heartbeat(m.beat())
		m.pass(time.Second)
		m.settle()
		m.look(m.node)
		if m.node.Epoch() == m.head && m.node.State() == "fresh" {
			break
		}
	}
	if at := m.node.Epoch(); at != m.head || m.node.State() != "fresh" {
		m.fail("with an honest broker the node stays at %v, %s; the head is %v; refused %v", at, m.node.State(), m.head, m.node.refused())
	}
	m.check()
}

// histories is how many random histories are tried, and which one first: MIDDLE_HISTORIES and MIDDLE_SEED say others.
func histories(t *testing.T) (first, n uint64) {
	t.Helper()
	first, n = 1, 6
	for name, to := range map[string]*uint64{"MIDDLE_SEED": &first, "MIDDLE_HISTORIES": &n} {
		if text := os.Getenv(name); text != "" {
			v, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			*to = v
		}
	}
	return first, n
}

// inMemory is a new folder, in memory where the machine has such a place: kills are tried here, and no power cuts.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tollgate-") //nolint:usetesting // See above.
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Whatever a man in the middle without a key does with what was ever signed, and whenever the node is killed, it enforces nothing but signed epochs, never an
// older one than before; and when he turns honest it gets to the head, with no restart.
func TestI1I6_AManInTheMiddleReachesNothing(t *testing.T) {
	t.Parallel()
	first, n := histories(t)
	var mu sync.Mutex
	refused := map[string]float64{}
	t.Cleanup(func() {
		t.Logf("refused %v", refused)
		for _, reason := range []string{"signature", "rollback", "gap", "hash"} {
			if refused[reason] == 0 && n > 10 && !t.Failed() {
				t.Errorf("nothing was refused as %s: he does too little", reason)
			}
		}
	})
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			dir := inMemory(t)
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 0))
				m := &middle{
					history: newHistory(t, rng), wire: newWire(), dir: dir, refusals: map[string]float64{}, pass: time.Sleep,
					await: func(holds func() bool) bool { synctest.Wait(); return holds() },
				}
				m.live(60)
				mu.Lock()
				defer mu.Unlock()
				for reason, n := range m.refusals {
					refused[reason] += n
				}
			})
		})
	}
}

// live is one history, from the node's first start to its last.
func (m *middle) live(steps int) {
	m.t.Helper()
	m.change()
	m.begin()
	defer func() { // Whatever was found, the bubble has to end.
		m.node.disk.die(0, true)
		m.node.Stop()
	}()
	for range 2 {
		for range steps {
			m.step()
		}
		m.turnHonest()
	}
	// From its disk, with everything else down, it is where it was.
	at := m.node.Epoch()
	m.end(false)
	m.wire.cut(true)
	m.begin()
	if !m.await(func() bool { return m.node.Epoch() == at && m.node.State() == "fresh" }) {
		m.fail("from its disk the node is at %v, %s; it was at %v", m.node.Epoch(), m.node.State(), at)
	}
	m.end(false)
	m.check()
}
