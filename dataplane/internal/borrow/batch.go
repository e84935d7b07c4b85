package borrow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/dataplane/decision"
)

// run renews, reports and prunes until borrowing stops.
func (b *Borrower) run() {
	renew, reports, looks := time.NewTicker(gather), time.NewTicker(report), time.NewTicker(prune)
	defer renew.Stop()
	defer reports.Stop()
	defer looks.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-renew.C:
			b.renew(b.cfg.Clock.Now())
		case <-reports.C:
			b.report(b.cfg.Clock.Tick())
		case <-looks.C:
			b.prune(b.cfg.Clock.Now())
		}
	}
}

// report puts the licences that were used into the next batch.
func (b *Borrower) report(now time.Time) {
	b.mu.Lock()
	touched := b.touched
	b.touched = make([]*license, 0, len(touched))
	b.mu.Unlock()
	for _, l := range touched {
		l.touched.Store(false)
		l.mu.Lock()
		l.used = now
		l.mu.Unlock()
		b.enqueue(l)
	}
}

// part is a licence's share of a batch.
type part struct {
	license *license
	number  uint64
	asks    []decision.Ask
}

// renew sends what was gathered.
func (b *Borrower) renew(now decision.Moment) {
	if now.Tick.UnixNano() < b.pausedUntil.Load() || b.closed.Load() {
		return
	}
	b.mu.Lock()
	queue := b.queue
	b.queue = make([]*license, 0, len(queue))
	b.mu.Unlock()
	horizon := b.horizon()
	var batch []part
	size := 0
	flush := func() {
		if len(batch) > 0 {
			parts := batch
			b.spawn(func() { b.askBatch(parts, now.Tick) })
		}
		batch, size = nil, 0
	}
	for _, l := range queue {
		l.mu.Lock()
		if l.gone {
			l.mu.Unlock()
			continue
		}
		if !l.sent.IsZero() {
			// One is under way: its answer comes first.
			l.mu.Unlock()
			b.mu.Lock()
			b.queue = append(b.queue, l)
			b.mu.Unlock()
			continue
		}
		l.queued.Store(false)
		asks := l.account.Asks(l.id, decision.Waiting{}, horizon, now)
		var number uint64
		if len(asks) > 0 {
			number = l.begin(now.Tick, patience)
		}
		l.mu.Unlock()
		if len(asks) == 0 {
			continue
		}
		if size+len(asks) > maxBatch {
			flush()
		}
		batch, size = append(batch, part{l, number, asks}), size+len(asks)
	}
	flush()
}

func (b *Borrower) askBatch(parts []part, sent time.Time) {
	var asks []decision.Ask
	for _, p := range parts {
		asks = append(asks, p.asks...)
	}
	loans, err := b.lend(b.ctx, false, asks)
	if err != nil {
		b.pausedUntil.Store(b.cfg.Clock.Tick().Add(pause).UnixNano())
		if b.ctx.Err() == nil {
			b.log.Debug("cannot renew loans", "asks", len(asks), "error", err)
		}
	}
	for _, p := range parts {
		if err != nil {
			b.finish(p.license, p.number, p.asks, nil, err, sent)
			b.enqueue(p.license)
			continue
		}
		b.finish(p.license, p.number, p.asks, loans[:len(p.asks)], nil, sent)
		loans = loans[len(p.asks):]
	}
}

// prune forgets licences that were not used for long and hold nothing.
func (b *Borrower) prune(now decision.Moment) {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		for id, l := range s.licenses {
			l.mu.Lock()
			if l.sent.IsZero() && len(l.waiters) == 0 && now.Tick.Sub(l.used) > unused && !l.touched.Load() && !l.queued.Load() {
				var forgot time.Time
				if forgot, l.gone = l.account.Forgettable(now); l.gone {
					delete(s.licenses, id)
					b.forgotten(forgot)
				}
			}
			l.mu.Unlock()
		}
		s.mu.Unlock()
	}
}

func (b *Borrower) forgotten(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.After(b.forgot) {
		b.forgot = t
	}
}

// giveBack returns what is idle of all licences.
func (b *Borrower) giveBack(ctx context.Context) error {
	if b.closed.Load() {
		return nil
	}
	var asks []decision.Ask
	var errs []error
	flush := func() {
		if len(asks) == 0 {
			return
		}
		if _, err := b.lend(ctx, false, asks); err != nil {
			errs = append(errs, fmt.Errorf("give back loans: %w", err))
		}
		asks = nil
	}
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.RLock()
		all := make([]*license, 0, len(s.licenses))
		for _, l := range s.licenses {
			all = append(all, l)
		}
		s.mu.RUnlock()
		for _, l := range all {
			more := l.account.Return(l.id, b.cfg.Clock.Now())
			if len(asks)+len(more) > maxBatch {
				flush()
			}
			if asks = append(asks, more...); len(errs) > 0 {
				return errors.Join(errs...) // The boot's last segment says the same, later.
			}
		}
	}
	flush()
	return errors.Join(errs...)
}
