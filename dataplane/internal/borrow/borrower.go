package borrow

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/clock"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// Config is what a Borrower works with.
type Config struct {
	// Node is the node's name, Boot this process's life: 32 hex digits.
	Node, Boot string
	Lender     Lender
	// Clock is the node's.
	Clock *clock.Clock
	// Horizon is the outage of the lender that hard quotas should ride out, as the rules say now; 0: 60 s; less: nothing more is borrowed of quotas.
	Horizon func() time.Duration
	// Fatal is called once, when the lender says that the boot is closed: the process has to start anew.
	Fatal   func(error)
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

const (
	// defaultHorizon is for fleets that set none.
	defaultHorizon = time.Minute
	// gather is how long renewals and reports are gathered for a batch.
	gather = 20 * time.Millisecond
	// maxBatch bounds the asks of a batch: its transaction at the lender holds as many locks.
	maxBatch = 256
	// report is how often spent tokens are told of.
	report = 200 * time.Millisecond
	// timeout is how long an answer is waited for.
	timeout = time.Second
	// patience is how long a batch may be under way before a request that waits gives it up. A request that is asked for alone is
	// not given up: where the lender is slow, nothing would ever be answered.
	patience = 40 * time.Millisecond
	// pause is how long renewals rest after a failure.
	pause = 250 * time.Millisecond
	// unknownFor is how long a loan is not asked for after the lender did not know its licence, limit or period.
	unknownFor = time.Second
	// prune is how often accounts are looked over for ones that are not needed, and unused is for how long they were not used then.
	prune  = time.Minute
	unused = 10 * time.Minute
)

// What Wait fails with, but for the lender's own errors.
var (
	ErrStopped = errors.New("borrowing has stopped")
	ErrClosed  = errors.New("the lender has closed this boot")
	ErrBlocked = errors.New("this node is blocked")
	errAnswer  = errors.New("the lender's answer does not fit the request")
)

const shards = 64

type shard struct {
	mu       sync.RWMutex
	licenses map[string]*license
}

// Borrower keeps a boot's accounts. See the package comment.
type Borrower struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	seed    maphash.Seed
	shards  [shards]shard

	closed atomic.Bool
	// saidBlocked is whether it was logged that the node is blocked, since it last was not.
	saidBlocked atomic.Bool
	// pausedUntil is when renewals may be asked for again: a tick, in nanoseconds.
	pausedUntil atomic.Int64

	mu sync.Mutex
	// queue are licences to ask for in the next batch, touched those used since the last report.
	queue, touched []*license
	// forgot is the latest end of a period of which a pruned account knew.
	forgot  time.Time
	unknown map[decision.LoanKey]bool // Logged.
	ctx     context.Context
	cancel  context.CancelFunc
	started bool
	stopped bool
	running sync.WaitGroup
}

// New makes a Borrower. Call Start.
func New(cfg Config) (*Borrower, error) {
	b := &Borrower{cfg: cfg, log: cfg.Logger, seed: maphash.MakeSeed(), unknown: map[decision.LoanKey]bool{}}
	for i := range b.shards {
		b.shards[i].licenses = map[string]*license{}
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	var err error
	if b.metrics, err = newMetrics(cfg.Metrics, b); err != nil {
		return nil, err
	}
	return b, nil
}

// Start begins to renew and report.
func (b *Borrower) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.stopped {
		return
	}
	b.started = true
	b.running.Go(b.run)
}

// Stop ends borrowing, gives back everything that is idle and tells the lender, once. Nothing can be spent after.
func (b *Borrower) Stop(ctx context.Context) error {
	b.mu.Lock()
	if b.stopped {
		b.mu.Unlock()
		return nil
	}
	b.stopped = true
	b.mu.Unlock()
	b.cancel()
	b.running.Wait()
	return b.giveBack(ctx)
}

// Account is the account of a licence.
func (b *Borrower) Account(id string) *decision.Account {
	l := b.license(id)
	if !l.touched.Load() && l.touched.CompareAndSwap(false, true) {
		b.mu.Lock()
		b.touched = append(b.touched, l)
		b.mu.Unlock()
	}
	return &l.account
}

func (b *Borrower) shard(id string) *shard { return &b.shards[maphash.String(b.seed, id)%shards] }

func (b *Borrower) find(id string) *license {
	s := b.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.licenses[id]
}

func (b *Borrower) license(id string) *license {
	if l := b.find(id); l != nil {
		return l
	}
	b.mu.Lock()
	forgot := b.forgot
	b.mu.Unlock()
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.licenses[id]
	if l == nil {
		id = strings.Clone(id) // The account outlives the rules that the text lies in.
		l = &license{id: id}
		l.account.Resume(forgot)
		s.licenses[id] = l
	}
	return l
}

// Wait asks the lender for a licence's limits, for a request that takes units, and returns when an answer to a question asked after
// the call has been applied to the account, or when there is nothing to ask for. It fails with ctx, and at once where the lender does.
func (b *Borrower) Wait(ctx context.Context, id string, units int64) error {
	if b.closed.Load() {
		return ErrClosed
	}
	w := &waiter{units: units, done: make(chan error, 1)}
	l, again := b.join(id, w)
	for {
		var overdue <-chan time.Time
		if again > 0 {
			timer := time.NewTimer(again)
			defer timer.Stop()
			overdue = timer.C
		}
		select {
		case err := <-w.done:
			return err
		case <-ctx.Done():
			l.leave(w)
			return fmt.Errorf("wait for the lender: %w", ctx.Err())
		case <-b.ctx.Done():
			l.leave(w)
			return ErrStopped
		case <-overdue:
			l.mu.Lock()
			again = b.ask(l, decision.Waiting{}, b.cfg.Clock.Now())
			l.mu.Unlock()
		}
	}
}

// join adds a waiter to a licence, and asks if nothing is under way. It returns when to look again.
func (b *Borrower) join(id string, w *waiter) (*license, time.Duration) {
	for {
		l := b.license(id)
		l.mu.Lock()
		if !l.gone {
			l.waiters = append(l.waiters, w)
			again := b.ask(l, decision.Waiting{}, b.cfg.Clock.Now())
			l.mu.Unlock()
			return l, again
		}
		l.mu.Unlock()
	}
}

// Renew says that a licence's loans run low.
func (b *Borrower) Renew(id string) {
	if l := b.find(id); l != nil {
		b.enqueue(l)
	}
}

// Unspend takes back a charge that is not billed.
func (b *Borrower) Unspend(id string, c decision.Charge) {
	if l := b.find(id); l != nil {
		l.account.Unspend(c)
	}
}

// Recalled gives back what is idle of a quota, and tells the lender at once.
func (b *Borrower) Recalled(r *lendv1.Recall) {
	key := fromKey(r.GetKey())
	l := b.find(key.License)
	if l == nil || key.Kind != decision.QuotaLoan {
		return
	}
	ask, ok := l.account.Recall(key, 0, b.cfg.Clock.Tick())
	if !ok {
		return
	}
	b.spawn(func() {
		if _, err := b.lend(b.ctx, false, []decision.Ask{ask}); err != nil {
			b.log.Warn("cannot tell the lender what was given back", "license", key.License, "limit", key.Limit, "error", err)
			b.enqueue(l)
			return
		}
		// Units of a quota come by totals, in any order: the answer to a report adds nothing that has to be applied.
		l.account.Reported(ask)
	})
}

// spawn runs f unless borrowing has stopped; Stop waits for it.
func (b *Borrower) spawn(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || b.closed.Load() {
		return false
	}
	b.running.Go(f)
	return true
}

func (b *Borrower) enqueue(l *license) {
	if l.queued.Load() || !l.queued.CompareAndSwap(false, true) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, l)
}

func (b *Borrower) horizon() time.Duration {
	if h := b.cfg.Horizon(); h != 0 {
		return h
	}
	return defaultHorizon
}
