package spool

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

const (
	// sendWindow is how many segments of a boot are under way without receipt.
	sendWindow = 16
	// firstWait is how long receipts may stand still before the first segment without one is sent again. It doubles up to
	// longestWait: each repetition stays in the stream until the control plane is back.
	firstWait   = 2 * time.Second
	longestWait = 8 * time.Second
	// repeatAfter is how soon after its sending a receipt that does not cover it may make a segment be sent again: receipts of
	// segments before it are still arriving.
	repeatAfter = 250 * time.Millisecond
	// passAfter is how many vain repetitions let later boots' segments go ahead.
	passAfter = 2
)

// errFork says that the control plane committed another log under this boot's name.
var errFork = errors.New("receipt for a segment that is not ours")

// lane is one boot's way to the control plane: arithmetic on numbers and times, no I/O. The shipper's lock guards it.
type lane struct {
	dir  bootDir
	head head // As on disk.
	// acked is what the newest receipt covers. Ahead of head until that is written.
	acked     uint64
	ackedHash []byte
	// waiting are the sealed segments after head.
	waiting []segment
	next    uint64               // The number to be sent next.
	sent    map[uint64]time.Time // When segments without receipt were last sent.

	window   int
	wait     time.Duration
	deadline time.Time // When to send again; zero with nothing under way.
	vain     int       // Repetitions since receipts moved.
	held     error     // Not nil: nothing is sent or removed any more.
}

func newLane(dir bootDir, h head) *lane {
	return &lane{
		dir: dir, head: h, acked: h.Number, ackedHash: h.Hash, next: h.Number + 1,
		sent: map[uint64]time.Time{}, window: sendWindow, wait: firstWait,
	}
}

func (l *lane) add(s segment) { l.waiting = append(l.waiting, s) }

// at is the waiting segment with a number.
func (l *lane) at(number uint64) (segment, bool) {
	if number <= l.head.Number || number-l.head.Number > uint64(len(l.waiting)) {
		return segment{}, false
	}
	return l.waiting[number-l.head.Number-1], true
}

// last is the number of the last sealed segment.
func (l *lane) last() uint64 { return l.head.Number + uint64(len(l.waiting)) }

// unreceipted is how many sealed segments have no receipt.
func (l *lane) unreceipted() int { return int(l.last() - l.acked) }

// toSend is the segment to be sent now, if there is one.
func (l *lane) toSend(now time.Time) (segment, bool) {
	if l.held != nil {
		return segment{}, false
	}
	if !l.deadline.IsZero() && !now.Before(l.deadline) {
		l.again()
		l.window = 1
		l.vain++
		l.wait = min(2*l.wait, longestWait)
	}
	if l.next > l.acked+uint64(l.window) {
		return segment{}, false
	}
	return l.at(l.next)
}

// again goes back to the first segment without receipt.
func (l *lane) again() {
	l.next = l.acked + 1
	l.deadline = time.Time{}
}

// wasSent notes that the transport has taken a segment.
func (l *lane) wasSent(number uint64, now time.Time) {
	if number <= l.acked {
		return
	}
	l.sent[number] = now
	if number == l.next {
		l.next++
	}
	if l.deadline.IsZero() {
		l.deadline = now.Add(l.wait)
	}
}

// blocks reports whether later boots have to wait for this one.
func (l *lane) blocks() bool {
	return l.held == nil && l.vain < passAfter && l.unreceipted() > 0
}

// receipt takes a receipt that verified. Receipts may come late, twice, and in any order. The error wraps errFork,
// and the lane is held.
func (l *lane) receipt(r *ledgerv1.Receipt, now time.Time) error {
	number := r.GetNumber()
	if number < l.acked {
		return nil
	}
	if number == l.acked {
		if number > 0 && !bytes.Equal(r.GetHash(), l.ackedHash) {
			return l.fork(r, l.ackedHash)
		}
		// The head has not moved: what follows it did not arrive, unless it is only just on its way.
		if at, ok := l.sent[number+1]; ok && now.Sub(at) >= repeatAfter {
			l.again()
		}
		return nil
	}
	s, ok := l.at(number)
	if !ok {
		return l.fork(r, nil)
	}
	if !bytes.Equal(r.GetHash(), s.hash) {
		return l.fork(r, s.hash)
	}
	for n := l.acked + 1; n <= number; n++ {
		delete(l.sent, n)
	}
	l.acked, l.ackedHash = number, s.hash
	l.next = max(l.next, number+1)
	l.window = min(2*l.window, sendWindow)
	l.wait, l.vain, l.deadline = firstWait, 0, time.Time{}
	if l.next > number+1 {
		l.deadline = now.Add(l.wait)
	}
	return nil
}

func (l *lane) fork(r *ledgerv1.Receipt, ours []byte) error {
	l.held = fmt.Errorf("%w: boot %s, number %d, theirs %x, ours %x", errFork, l.dir.boot, r.GetNumber(), r.GetHash(), ours)
	return l.held
}

// receipted returns the segments whose receipt is not yet written down, and the head after them.
func (l *lane) receipted() ([]segment, head) {
	n := l.acked - l.head.Number
	if n == 0 {
		return nil, l.head
	}
	done := l.waiting[:n:n]
	last := done[n-1]
	h := l.head
	h.Number, h.Hash, h.Next, h.Final = last.number, last.hash, last.next, last.final
	return done, h
}

// advance notes that head h is on disk.
func (l *lane) advance(h head) {
	l.waiting = l.waiting[h.Number-l.head.Number:]
	l.head = h
}

// end is what the boot's next segment follows.
func (l *lane) end() tail {
	if n := len(l.waiting); n > 0 {
		return l.waiting[n-1].tail()
	}
	return tail{number: l.head.Number, hash: l.head.Hash, next: l.head.Next}
}

// final reports whether the boot has its final segment.
func (l *lane) final() bool {
	if n := len(l.waiting); n > 0 {
		return l.waiting[n-1].final
	}
	return l.head.Final
}
