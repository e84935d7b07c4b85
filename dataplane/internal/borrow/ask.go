package borrow

import (
	"context"
	"fmt"
	"time"

	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// lend sends asks and returns the loans, one for each.
func (b *Borrower) lend(ctx context.Context, cold bool, asks []decision.Ask) ([]*lendv1.Loan, error) {
	req := &lendv1.LendRequest{Node: b.cfg.Node, Boot: b.cfg.Boot, Asks: make([]*lendv1.Ask, len(asks))}
	for i, a := range asks {
		req.Asks[i] = toAsk(a)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := b.cfg.Lender.Lend(ctx, cold, req)
	if err == nil {
		err = b.admitted(resp)
	}
	if err == nil {
		err = fits(req, resp)
	}
	if err != nil {
		b.metrics.requests.WithLabelValues("error").Inc()
		return nil, err
	}
	b.metrics.requests.WithLabelValues("ok").Inc()
	for _, loan := range resp.GetLoans() {
		if loan.GetState() == lendv1.LoanState_LOAN_STATE_CLOSED {
			b.close()
			return nil, ErrClosed
		}
	}
	return resp.GetLoans(), nil
}

// admitted fails where the answer says that the node is blocked: it decides with what it has.
func (b *Borrower) admitted(resp *lendv1.LendResponse) error {
	why := resp.GetBlocked()
	if why == "" {
		if b.saidBlocked.Swap(false) {
			b.log.Info("the lender lends to this node again")
		}
		return nil
	}
	if !b.saidBlocked.Swap(true) {
		b.log.Error("this node is blocked: the lender lends it nothing, and what it was lent before is all that it has. `tollgate fleet unblock` ends that",
			"node", b.cfg.Node, "reason", why)
	}
	return fmt.Errorf("%w: %s", ErrBlocked, why)
}

func fits(req *lendv1.LendRequest, resp *lendv1.LendResponse) error {
	if len(resp.GetLoans()) != len(req.GetAsks()) {
		return fmt.Errorf("%w: %d loans for %d asks", errAnswer, len(resp.GetLoans()), len(req.GetAsks()))
	}
	for i, loan := range resp.GetLoans() {
		if fromKey(loan.GetKey()) != fromKey(req.GetAsks()[i].GetKey()) {
			return fmt.Errorf("%w: another key", errAnswer)
		}
	}
	return nil
}

// over is why nothing is borrowed any more.
func (b *Borrower) over() error {
	if b.closed.Load() {
		return ErrClosed
	}
	return ErrStopped
}

// close stops lending for good: whatever this boot would be lent, the lender has written off.
func (b *Borrower) close() {
	if b.closed.Swap(true) {
		return
	}
	b.log.Error("the lender has closed this boot: the node has to start anew", "boot", b.cfg.Boot)
	b.cfg.Fatal(ErrClosed)
}

// ask sends a request for those who wait at l, unless one is under way that may still be answered soon: then it returns when to look
// again. served are those who were just told to decide afresh: what the account holds is theirs. l.mu is held.
func (b *Borrower) ask(l *license, served decision.Waiting, now decision.Moment) (again time.Duration) {
	if !l.sent.IsZero() {
		if left := l.patience - now.Tick.Sub(l.sent); left > 0 {
			return left
		}
	}
	waiters := append(l.asked, l.waiters...)
	l.asked, l.waiters = nil, nil
	w := total(waiters)
	w.Requests += served.Requests
	w.Units += served.Units
	asks := l.account.Asks(l.id, w, b.horizon(), now)
	if len(asks) == 0 {
		// An answer that came meanwhile is enough for all of them, or says that there is nothing.
		release(waiters, nil)
		return 0
	}
	number := l.begin(now.Tick, timeout)
	if !b.spawn(func() { b.askCold(l, number, asks, now.Tick) }) {
		l.end(number)
		release(waiters, b.over())
		return 0
	}
	l.asked = waiters
	return 0
}

func (b *Borrower) askCold(l *license, number uint64, asks []decision.Ask, sent time.Time) {
	loans, err := b.lend(b.ctx, true, asks)
	b.finish(l, number, asks, loans, err, sent)
}

// finish applies the answer to a request, lets those go who waited for it, and asks for those who came since.
func (b *Borrower) finish(l *license, number uint64, asks []decision.Ask, loans []*lendv1.Loan, err error, sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.end(number) {
		return // It was given up.
	}
	if err == nil {
		now := b.cfg.Clock.Tick()
		for i, ask := range asks {
			l.account.Reported(ask)
			if ans, ok := b.answer(loans[i], ask); ok {
				l.account.Apply(ans, sent, now)
			}
		}
	}
	asked := l.asked
	l.asked = nil
	if err != nil {
		// Who came since would learn the same, later.
		asked, l.waiters = append(asked, l.waiters...), nil
	}
	release(asked, err)
	if len(l.waiters) > 0 {
		b.ask(l, total(asked), b.cfg.Clock.Now())
	}
}

// answer is a loan as the account takes it.
func (b *Borrower) answer(loan *lendv1.Loan, ask decision.Ask) (decision.Answer, bool) {
	if loan.GetState() != lendv1.LoanState_LOAN_STATE_UNKNOWN {
		return toAnswer(loan, ask), true
	}
	b.mu.Lock()
	logged := b.unknown[ask.Key]
	b.unknown[ask.Key] = true
	b.mu.Unlock()
	if !logged {
		b.log.Warn("the lender does not know a limit", "license", ask.Key.License, "limit", ask.Key.Limit, "period", ask.Key.PeriodStart)
	}
	return decision.Answer{Key: ask.Key, Asked: ask.Want, Exhausted: true, RetryAfter: unknownFor}, ask.Want > 0
}
