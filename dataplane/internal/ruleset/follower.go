package ruleset

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/clock"
)

// Config is what a Follower works with.
type Config struct {
	Source   Source
	Verifier *envelope.Verifier
	// Disk is where the rules are kept; nil: nowhere, and the node begins each life with nothing.
	Disk Disk
	// Clock is the node's; the Follower sets it by what it hears.
	Clock *clock.Clock
	// Confirmed is the epoch up to which an operator has confirmed what rules take; zero: none.
	Confirmed decision.Epoch
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
}

// Follower holds the rules that a node enforces. See the package comment.
type Follower struct {
	source   Source
	verifier *envelope.Verifier
	log      *slog.Logger
	metrics  *metrics
	clock    *clock.Clock

	current atomic.Pointer[enforced]
	fresh   freshness
	// frozen is the generation in which a fork was seen; 0: none.
	frozen atomic.Uint64
	// refusing is the reason for which what was sent, and signed, was not enforced; nil: nothing was since the last epoch.
	refusing atomic.Pointer[string]
	// wake asks the session under way to end: change sets are missing, or may be read that could not before.
	wake chan struct{}
	// unsigned: something was refused for its signature since the key set came.
	unsigned atomic.Bool

	guard guard
	// confirmed is Config.Confirmed.
	confirmed decision.Epoch

	disk  kept
	zones zones
	// capabilities are the needs that this version meets. Not changed after Start.
	capabilities map[string]bool
	// batch is what was accepted, and waits for the disk.
	batch batch
	// known are the hashes of epochs that were accepted, of the newest one's generation. Only the following goroutine uses it.
	known map[uint64][]byte
	// refused are names of snapshots that were counted as refused. Only the following goroutine uses it.
	refused map[string]bool
	// brokenTerms are the conditions that were logged as broken, by term. Only enforce uses it.
	brokenTerms map[string]string

	mu sync.Mutex
	// logged is the tick at which a refusal was last logged, by reason.
	logged   map[string]time.Time
	watchers []chan struct{}
	cancel   context.CancelFunc
	done     chan struct{}
}

// enforced is a state with what is needed to go on from it. Immutable.
type enforced struct {
	state *decision.State
	// hash is that of the envelope that ends at the state.
	hash []byte
	ages ages
}

func newEnforced(state *decision.State, hash []byte) *enforced {
	return &enforced{state: state, hash: hash, ages: agesOf(state.Settings())}
}

func (e *enforced) epoch() decision.Epoch {
	if e == nil {
		return decision.Epoch{}
	}
	return e.state.Epoch()
}

// New makes a Follower that enforces nothing yet. Call Start.
func New(cfg Config) (*Follower, error) {
	f := &Follower{
		source: cfg.Source, verifier: cfg.Verifier, log: cfg.Logger, clock: cfg.Clock, confirmed: cfg.Confirmed, disk: kept{disk: cfg.Disk, froze: make(chan struct{}, 1)},
		wake: make(chan struct{}, 1), capabilities: capabilities, known: map[uint64][]byte{}, refused: map[string]bool{}, logged: map[string]time.Time{},
	}
	f.disk.early.over = cfg.Disk == nil
	f.batch.moved.L = &f.batch.mu
	f.fresh.start(cfg.Clock)
	var err error
	if f.metrics, err = newMetrics(cfg.Metrics, f); err != nil {
		return nil, err
	}
	return f, nil
}

// Current is the state that is enforced, and its age; nil and AgeUnknown where there is none yet.
func (f *Follower) Current() (*decision.State, decision.Age) {
	e := f.current.Load()
	if e == nil {
		return nil, decision.AgeUnknown
	}
	age, ok := f.fresh.age()
	switch {
	case !ok:
		return e.state, decision.AgeUnknown
	case age >= e.ages.block:
		return e.state, decision.AgeBlock
	case age >= e.ages.grace:
		return e.state, decision.AgeGrace
	case age >= e.ages.stale:
		return e.state, decision.AgeStale
	}
	return e.state, decision.AgeFresh
}

// Refuses is why what the fleet was sent is not enforced here; empty where nothing is left.
func (f *Follower) Refuses() string {
	if g := f.frozen.Load(); g != 0 && g == f.Epoch().Generation {
		return refusedFork
	}
	if r := f.refusing.Load(); r != nil {
		return *r
	}
	return ""
}

// Epoch is the epoch that is enforced; zero where there is none yet.
func (f *Follower) Epoch() decision.Epoch { return f.current.Load().epoch() }

// Age is how long ago it was last known that the rules are current; false where that was never known.
func (f *Follower) Age() (time.Duration, bool) { return f.fresh.age() }

// State is fresh, stale, grace or block.
func (f *Follower) State() string {
	_, age := f.Current()
	return age.String()
}

// Frozen reports whether nothing more of the enforced generation is taken: one of its epochs has two contents.
func (f *Follower) Frozen() bool {
	g := f.frozen.Load()
	return g != 0 && g == f.Epoch().Generation
}

// Enforced gets a value after another epoch came into force. Each call makes a channel; a reader that is slow
// misses epochs, never the last one.
func (f *Follower) Enforced() <-chan struct{} {
	c := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = append(f.watchers, c)
	return c
}

// Start begins to follow.
func (f *Follower) Start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.done = cancel, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		f.restore(ctx)
		var keeping sync.WaitGroup
		keeping.Go(func() { f.keep(ctx) })
		f.follow(ctx)
		keeping.Wait()
		f.closeDisk()
	}(f.done)
}

// Stop ends following, and returns when it has ended. The last state stays.
func (f *Follower) Stop() {
	f.mu.Lock()
	cancel, done := f.cancel, f.done
	f.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-done
}

// need is what a session begins with.
type need int

const (
	nothing  need = iota // To go on where the last one ended.
	catchUp              // To read the stream from its beginning.
	snapshot             // To take a newer snapshot before, if there is one.
)

// Pauses between sessions that lead nowhere.
const (
	firstPause = 50 * time.Millisecond
	// A broken connection is mended by others; looking again costs little.
	errorPause = 250 * time.Millisecond
	// A gap that neither stream nor snapshots close may stay for long.
	behindPause = time.Second
)

func (f *Follower) follow(ctx context.Context) {
	need, pause, interrupted := snapshot, firstPause, false
	for ctx.Err() == nil {
		before := f.Epoch()
		next, err := f.session(ctx, need)
		if f.current.Load() == nil {
			next = snapshot
		}
		longest := behindPause
		if err != nil && ctx.Err() == nil {
			longest = errorPause
			level := slog.LevelInfo
			if interrupted {
				level = slog.LevelDebug // An outage is one event, however often it is met.
			}
			f.log.Log(ctx, level, "following the rules is interrupted", "error", err)
		}
		interrupted = err != nil
		if f.Epoch() != before {
			pause = firstPause
		}
		need = next
		pause = min(pause, longest)
		select {
		case <-ctx.Done():
		case <-f.wake:
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause *= 2
	}
}

// Why a session ends that is behind.
var (
	// errWoken: a heartbeat told of change sets that have not come.
	errWoken = errors.New("change sets are missing")
	// errRead: the stream was read to its end, and what leads over a gap is not on it.
	errRead = errors.New("change sets are not on the stream")
)

// readOn is how long a session that has stepped over a gap waits for more of what lies on the stream.
const readOn = 250 * time.Millisecond

// session follows until something is in the way, and says what the next one needs.
func (f *Follower) session(ctx context.Context, n need) (need, error) {
	if n == snapshot {
		if err := f.loadSnapshot(ctx, f.source); err != nil {
			return snapshot, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-ctx.Done():
		case <-f.wake:
			cancel(errWoken)
		}
	})
	begun, behind := false, false
	end := time.AfterFunc(readOn, func() { cancel(errRead) })
	end.Stop() // Until there is a gap.
	err := f.source.FollowRules(ctx, n != nothing, func(raw []byte, repeated, history bool) bool {
		begun = true
		fits := f.take(raw, repeated, history)
		// What is published meanwhile must not keep it from ending.
		if behind && (repeated || history) || !behind && !fits {
			end.Reset(readOn)
		}
		behind = behind || !fits
		// Where no snapshot leads over a gap, what fits may lie behind what does not: a broker may have stored them in another order.
		return fits || n == snapshot
	})
	end.Stop()
	cancel(nil)
	waiting.Wait()
	f.batch.settle()
	switch {
	case behind || errors.Is(context.Cause(ctx), errWoken):
		return min(n+1, snapshot), nil
	case !begun:
		return n, err
	}
	return nothing, err
}
