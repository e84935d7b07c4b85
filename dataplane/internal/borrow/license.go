package borrow

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/dataplane/decision"
)

// license is a licence's account, and what is under way for it.
type license struct {
	id      string
	account decision.Account
	// queued: it is in the queue of the next batch. touched: it was used since the last report.
	queued, touched atomic.Bool

	mu sync.Mutex
	// number is that of the newest request; only its answer is applied. sent is the tick at which it was sent; zero: it was answered, or failed.
	number uint64
	sent   time.Time
	// patience is how long that one may be under way before one that waits gives it up.
	patience time.Duration
	// waiters wait for a request that is not sent yet, asked those for the newest one.
	waiters, asked []*waiter
	// used is when it was last seen to be used. gone: it was pruned, and must not be lent anything any more.
	used time.Time
	gone bool
}

type waiter struct {
	units int64
	done  chan error
}

// leave takes a waiter away whose request has given up.
func (l *license) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	is := func(o *waiter) bool { return o == w }
	l.waiters = slices.DeleteFunc(l.waiters, is)
	l.asked = slices.DeleteFunc(l.asked, is)
}

// begin starts a request, and gives up the one under way. l.mu is held.
func (l *license) begin(now time.Time, patience time.Duration) (number uint64) {
	l.number++
	l.sent, l.patience = now, patience
	return l.number
}

// end reports whether the answer to a request may be applied. l.mu is held.
func (l *license) end(number uint64) bool {
	if number != l.number || l.sent.IsZero() {
		return false
	}
	l.sent = time.Time{}
	return true
}

func total(waiters []*waiter) (w decision.Waiting) {
	for _, one := range waiters {
		w.Requests++
		w.Units += one.units
	}
	return w
}

func release(waiters []*waiter, err error) {
	for _, w := range waiters {
		w.done <- err
	}
}
