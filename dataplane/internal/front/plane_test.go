package front_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/clock"
	"tollgate/dataplane/internal/record"
)

// rules is a state that a test sets.
type rules struct {
	mu    sync.Mutex
	state *decision.State
	age   decision.Age
}

func (r *rules) Current() (*decision.State, decision.Age) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, r.age
}

func (r *rules) set(s *decision.State, age decision.Age) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.age = s, age
}

// bank lends to real accounts from pools that a test fills.
type bank struct {
	clock    *clock.Clock
	mu       sync.Mutex
	accounts map[string]*decision.Account
	pools    map[string]int64 // By limit; one that is not there is endless.
	retry    time.Duration    // Of rates, when dry.
	err      error
	hold     chan struct{} // Answers wait until it is closed.
	unspent  []decision.Charge
	renewed  int
	asked    int    // Calls of Wait.
	waiting  func() // Is called by Wait.
}

func (b *bank) Account(license string) *decision.Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[license]
	if a == nil {
		a = &decision.Account{}
		b.accounts[license] = a
	}
	return a
}

func (b *bank) Wait(ctx context.Context, license string, units int64) error {
	a := b.Account(license)
	b.mu.Lock()
	b.asked++
	hold, err, waiting := b.hold, b.err, b.waiting
	b.mu.Unlock()
	if waiting != nil {
		waiting()
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	for _, ask := range a.Asks(license, decision.Waiting{Requests: 1, Units: units}, time.Second, now) {
		pool, bounded := b.pools[ask.Key.Limit]
		grant := ask.Want
		if bounded {
			grant = min(grant, pool)
			b.pools[ask.Key.Limit] -= grant
		}
		ans := decision.Answer{
			Key: ask.Key, Asked: ask.Want, Grant: grant, Granted: ask.Spent + ask.Returned + grant,
			Exhausted: grant == 0, Lives: time.Minute,
		}
		if grant == 0 {
			ans.RetryAfter = b.retry
		}
		a.Apply(ans, now.Tick, now.Tick)
	}
	return nil
}

func (b *bank) Renew(string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.renewed++
}

func (b *bank) Unspend(license string, c decision.Charge) {
	b.Account(license).Unspend(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unspent = append(b.unspent, c)
}

// ledger keeps the log in memory.
type ledger struct {
	mu       sync.Mutex
	next     uint64
	denials  []record.Decision
	intents  []record.Decision
	settled  []record.Settlement
	err      error
	settling chan record.Settlement
}

var errDisk = errors.New("disk full")

func (l *ledger) take(d *record.Decision, list *[]record.Decision) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.next++
	d.Sequence, d.ID = l.next, record.ID(d.Time, "boot", l.next)
	*list = append(*list, *d)
	return nil
}

func (l *ledger) Deny(d *record.Decision) error  { return l.take(d, &l.denials) }
func (l *ledger) Begin(d *record.Decision) error { return l.take(d, &l.intents) }

func (l *ledger) Settle(s *record.Settlement) error {
	l.mu.Lock()
	l.settled = append(l.settled, *s)
	l.mu.Unlock()
	l.settling <- *s
	return nil
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// intent finds a logged intent.
func (l *ledger) intent(id string) (record.Decision, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.intents {
		if d.ID == id {
			return d, true
		}
	}
	return record.Decision{}, false
}

func (l *ledger) lastDenial(t *testing.T) record.Decision {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.denials) == 0 {
		t.Fatal("no denial was logged")
	}
	return l.denials[len(l.denials)-1]
}

// settlement waits for the next one.
func (l *ledger) settlement(t *testing.T) record.Settlement {
	t.Helper()
	select {
	case s := <-l.settling:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was settled")
		return record.Settlement{}
	}
}
