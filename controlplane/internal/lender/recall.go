package lender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/lending"
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

const (
	// recallWait is how long one try waits for idle units: a node answers a recall at once.
	recallWait = 40 * time.Millisecond
	// recallTries bounds the tries; then the quota is exhausted, whatever others still hold.
	recallTries = 2
	// recallEvery is the least time between two recalls of one quota.
	recallEvery = 200 * time.Millisecond
	// recallLook is how often a waiting request looks for what another control plane was told.
	recallLook = 10 * time.Millisecond
)

// recalls knows who waits for returned units, and when they were asked for.
type recalls struct {
	mu      sync.Mutex
	waiting map[decision.LoanKey]chan struct{}
	sent    map[decision.LoanKey]time.Time
}

// wait is closed when units of key are returned to this control plane.
func (r *recalls) wait(key decision.LoanKey) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.waiting[key]
	if !ok {
		c = make(chan struct{})
		r.waiting[key] = c
	}
	return c
}

func (r *recalls) returned(key decision.LoanKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.waiting[key]; ok {
		close(c)
		delete(r.waiting, key)
	}
}

// due reports whether a recall of key may be sent now, and notes that it is.
func (r *recalls) due(key decision.LoanKey, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.sent[key]) < recallEvery {
		return false
	}
	for k, at := range r.sent {
		if now.Sub(at) >= recallEvery {
			delete(r.sent, k)
		}
	}
	r.sent[key] = now
	return true
}

// wants reports whether idle units held elsewhere would help.
func wants(ask lending.Ask, loan lending.Loan) bool {
	return ask.Key.Kind == decision.QuotaLoan && !loan.Closed && loan.Grant < ask.Waiting && loan.Idle > 0
}

// recallFor asks other nodes for idle units and lends what comes back, until what waits is served or the tries are over.
func (l *Lender) recallFor(ctx context.Context, boot string, nodes int, ask lending.Ask, loan lending.Loan) (lending.Loan, error) {
	for range recallTries {
		done := time.NewTimer(recallWait)
		defer done.Stop()
		if l.recalls.due(ask.Key, time.Now()) {
			raw, err := proto.Marshal(&lendv1.Recall{Key: toKey(ask.Key)})
			if err != nil {
				return lending.Loan{}, fmt.Errorf("encode recall: %w", err)
			}
			if err := l.recall(raw); err != nil {
				return lending.Loan{}, fmt.Errorf("recall: %w", err)
			}
			l.metrics.recalls.Inc()
		}
		for waiting := true; waiting; {
			back := l.recalls.wait(ask.Key)
			look := time.NewTimer(recallLook)
			select {
			case <-ctx.Done():
				return lending.Loan{}, ctx.Err()
			case <-done.C:
				waiting = false
			case <-back:
			case <-look.C:
			}
			look.Stop()
			more := ask
			more.Waiting -= loan.Grant
			more.Want = more.Waiting
			again, err := l.store.Lend(ctx, boot, nodes, []lending.Ask{more})
			if err != nil {
				return lending.Loan{}, err
			}
			again[0].Grant += loan.Grant
			if loan = again[0]; !wants(ask, loan) {
				return loan, nil
			}
		}
	}
	return loan, nil
}
