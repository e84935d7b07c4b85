package ruleset

import (
	"fmt"
	"strconv"
	"sync"

	"tollgate/dataplane/decision"
)

// snapshotCopy is a snapshot on its way to the disk. The zero one goes nowhere.
type snapshotCopy struct {
	k    *kept
	at   decision.Epoch
	name string
	mu   sync.Mutex
	err  error
}

// copySnapshot begins a copy; end it or not, release it.
func (f *Follower) copySnapshot(at decision.Epoch) *snapshotCopy {
	if f.disk.disk == nil || f.disk.restoring {
		return &snapshotCopy{}
	}
	f.disk.copying.Lock()
	return &snapshotCopy{k: &f.disk, at: at, name: fmt.Sprintf("%d.%020d", at.Generation, at.Number)}
}

func (c *snapshotCopy) release() {
	if c.k != nil {
		c.k.copying.Unlock()
	}
}

// chunk may be called by several goroutines. After an error nothing more is written.
func (c *snapshotCopy) chunk(i int, chunk []byte) {
	if c.k == nil || c.failed() != nil {
		return
	}
	if err := c.k.disk.Put(c.name+"."+strconv.Itoa(i), chunk); err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
}

func (c *snapshotCopy) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end makes the copy what the disk begins with.
func (c *snapshotCopy) end(manifest []byte) error {
	if c.k == nil {
		return nil
	}
	if c.err == nil {
		c.err = c.k.disk.Put(c.name, manifest)
	}
	if c.err == nil {
		c.err = c.k.disk.Begin(c.at)
	}
	return c.err
}
