package spool

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	sendTimeout  = 5 * time.Second
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	// diskRetry is how long the shipper waits to try again what the disk refused.
	diskRetry = time.Second
)

// shipper sends segments, takes receipts, and removes what has one. Only run's goroutine does I/O.
type shipper struct {
	dir    string
	sender Sender
	logger *slog.Logger
	bytes  *atomic.Int64
	counts *counts
	// removed is the end of the newest boot whose directory is gone, as on disk. run's own.
	removed head

	wake chan struct{}
	// drained is closed once no boot, but for those held, waits for anything after the current one is closed.
	drained chan struct{}

	mu      sync.Mutex
	lanes   []*lane // Oldest boot first; the current one last, until its final segment has its receipt.
	closing bool
}

func newShipper(cfg Config, lanes []*lane, removed head, bytes *atomic.Int64, counts *counts) *shipper {
	return &shipper{
		dir: cfg.Dir, sender: cfg.Sender, logger: cfg.Logger, bytes: bytes, counts: counts,
		removed: removed, lanes: lanes,
		wake: make(chan struct{}, 1), drained: make(chan struct{}),
	}
}

func (s *shipper) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shipper) lane(boot string) *lane {
	for _, l := range s.lanes {
		if l.dir.boot == boot {
			return l
		}
	}
	return nil
}

// add takes a segment that was sealed after the boot's last.
func (s *shipper) add(boot string, sealed segment) {
	s.mu.Lock()
	s.lane(boot).add(sealed)
	s.mu.Unlock()
	s.poke()
}

// pending is how many segments have no receipt.
func (s *shipper) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.lanes {
		n += l.unreceipted()
	}
	return n
}

// idle reports whether all segments of the newest boot have receipts.
func (s *shipper) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lanes) == 0 || s.lanes[len(s.lanes)-1].unreceipted() == 0
}

func (s *shipper) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var pause time.Duration // After an error of the sender.
	for {
		written := s.writeReceipts()
		var wait time.Duration
		if seg, l, after := s.toSend(time.Now()); l == nil {
			wait = after
		} else if err := s.send(ctx, l, seg); err != nil {
			if ctx.Err() != nil {
				return
			}
			if pause == 0 {
				s.logger.Warn("segments cannot be sent, they are kept and tried again", "boot", l.dir.boot, "number", seg.number, "error", err)
			}
			pause = min(max(2*pause, firstPause), longestPause)
			wait = pause
		} else {
			if pause > 0 {
				s.logger.Info("segments are sent again", "boot", l.dir.boot, "number", seg.number)
			}
			pause, wait = 0, 0
		}
		if !written {
			wait = min(wait, diskRetry)
		}
		timer.Reset(wait)
		if !s.sleep(ctx, timer.C, pause > 0) {
			return
		}
	}
}

// sleep waits for the timer or, unless the sender needs its pause, for something to do. Receipts are still
// written down during a pause. False when it is over.
func (s *shipper) sleep(ctx context.Context, timer <-chan time.Time, pausing bool) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer:
			return true
		case <-s.wake:
			if !pausing {
				return true
			}
			s.writeReceipts()
		}
	}
}

// toSend picks the segment to be sent now. Without one, lane is nil and wait says how long that stays so by itself.
func (s *shipper) toSend(now time.Time) (seg segment, from *lane, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = longestWait
	for _, l := range s.lanes {
		if seg, ok := l.toSend(now); ok {
			return seg, l, 0
		}
		if l.held == nil && !l.deadline.IsZero() {
			wait = min(wait, l.deadline.Sub(now))
		}
		if l.blocks() {
			break
		}
	}
	return segment{}, nil, wait
}

// send sends one segment. A damaged file holds its boot, and is no error of the sender.
func (s *shipper) send(ctx context.Context, l *lane, seg segment) error {
	raw, err := seg.load()
	if errors.Is(err, errDamaged) {
		s.hold(l, err)
		return nil
	}
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := s.sender.Send(bounded, raw); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.wasSent(seg.number, time.Now())
	return nil
}

func (s *shipper) hold(l *lane, why error) {
	s.mu.Lock()
	l.held = why
	s.mu.Unlock()
	s.reportHeld(l, why)
}

func (s *shipper) reportHeld(l *lane, why error) {
	s.logger.Error("a boot's log is held: nothing of it is sent or removed until someone has looked", "boot", l.dir.boot, "dir", l.dir.path, "error", why)
}

// writeReceipts makes the receipts that came durable, and then removes what they cover. False where the disk refused;
// it is to be called again.
func (s *shipper) writeReceipts() bool {
	s.mu.Lock()
	lanes := slices.Clone(s.lanes)
	s.mu.Unlock()
	ok := true
	for _, l := range lanes {
		if err := s.writeReceipt(l); err != nil {
			s.logger.Error("a receipt cannot be written down, it is tried again", "boot", l.dir.boot, "error", err)
			ok = false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing && !slices.ContainsFunc(s.lanes, func(l *lane) bool { return l.held == nil }) {
		select {
		case <-s.drained:
		default:
			close(s.drained)
		}
	}
	return ok
}

func (s *shipper) writeReceipt(l *lane) error {
	s.mu.Lock()
	done, h := l.receipted()
	s.mu.Unlock()
	if len(done) > 0 {
		if err := writeHead(l.dir.path, h); err != nil {
			return err
		}
		for _, seg := range done {
			if err := os.Remove(seg.path); err != nil {
				s.logger.Warn("a receipted segment cannot be removed", "file", seg.path, "error", err)
			}
			s.bytes.Add(-seg.size)
		}
		s.mu.Lock()
		l.advance(h)
		s.mu.Unlock()
	}
	if !h.Final {
		return nil
	}
	if err := s.forget(l, h); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = slices.DeleteFunc(s.lanes, func(o *lane) bool { return o == l })
	return nil
}

// forget removes a closed boot's directory. What the next boot chains to is kept beside it first.
func (s *shipper) forget(l *lane, h head) error {
	if h.Ordinal > s.removed.Ordinal {
		if err := writeHead(s.dir, h); err != nil {
			return err
		}
		s.removed = h
	}
	return os.RemoveAll(l.dir.path)
}

// close says that the current boot's final segment is on its way, and nothing follows.
func (s *shipper) close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.poke()
}

// held is how many boots are held.
func (s *shipper) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.lanes {
		if l.held != nil {
			n++
		}
	}
	return n
}
