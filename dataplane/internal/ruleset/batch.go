package ruleset

import (
	"sync"
	"time"
)

// What may wait for the disk at once; one change set always may. It bounds how long a batch takes, and how far what is built is ahead of what is
// enforced: a revocation that comes last is in force when the batch that is written then, and its own, are.
const (
	batchChanges = 128
	batchBytes   = 1 << 20
)

// accepted is a change set that was verified, with the state that it leads to, and that nobody sees yet.
type accepted struct {
	*enforced
	raw     []byte
	created time.Time
	// history: it was on the stream before this process was, and need not be durable.
	history bool
}

// batch are the change sets that wait for the disk. Those that come while it takes one batch are the next: a disk that is slow is asked the less often,
// and one that is idle at once. The following goroutine adds and settles; who takes is a goroutine of its own, which lives while something waits.
type batch struct {
	mu sync.Mutex
	// moved: what waits was taken, or has been dealt with.
	moved   sync.Cond
	waiting []accepted
	bytes   int
	taking  bool

	// last is the newest that was added since all was settled; nil: none. Only the following goroutine uses it.
	last *enforced
}

// add lets a change set wait, where there is no room until there is. It reports whether somebody has to begin to take.
func (b *batch) add(c accepted) (begin bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.waiting) > 0 && (len(b.waiting) == batchChanges || b.bytes+len(c.raw) > batchBytes) {
		b.moved.Wait()
	}
	b.waiting, b.bytes, b.last = append(b.waiting, c), b.bytes+len(c.raw), c.enforced
	begin, b.taking = !b.taking, true
	return begin
}

// take is all that waits; nothing: whoever takes is to end.
func (b *batch) take() (all []accepted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, b.waiting, b.bytes = b.waiting, nil, 0
	b.taking = len(all) > 0
	b.moved.Broadcast()
	return all
}

// settle returns when nothing waits, and all has been dealt with.
func (b *batch) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.taking {
		b.moved.Wait()
	}
	b.last = nil
}

// head is what the next change set has to follow on: the last that waits for the disk, or what is enforced.
func (f *Follower) head() *enforced {
	if f.batch.last != nil {
		return f.batch.last
	}
	return f.current.Load()
}

// accept lets a change set come into force that was built on the head: at once, or when it is on disk.
func (f *Follower) accept(c accepted) {
	f.remember(c.state.Epoch(), c.hash)
	switch {
	case f.disk.disk == nil || f.disk.restoring:
		f.bringIntoForce([]accepted{c})
	case f.batch.add(c):
		go f.keepWaiting()
	}
}

// keepWaiting takes batch after batch: each is durable, and then in force.
func (f *Follower) keepWaiting() {
	for all := f.batch.take(); len(all) > 0; all = f.batch.take() {
		f.appendToDisk(all)
		f.bringIntoForce(all)
	}
}

// bringIntoForce enforces the last of a batch: those before it are part of that, and no reader sees them alone.
func (f *Follower) bringIntoForce(all []accepted) {
	now := f.clock.Wall()
	for _, c := range all {
		if !c.history {
			f.metrics.propagation.Observe(now.Sub(c.created).Seconds())
		}
	}
	f.enforce(all[len(all)-1].enforced)
}
