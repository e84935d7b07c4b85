package ruleset

import "maps"

// Learn makes a follower that was not started one of a later version, which meets another need.
func (f *Follower) Learn(capability string) {
	f.capabilities = maps.Clone(f.capabilities)
	f.capabilities[capability] = true
}

// Waiting is how many change sets wait for the disk, and are in no batch yet.
func (f *Follower) Waiting() int {
	f.batch.mu.Lock()
	defer f.batch.mu.Unlock()
	return len(f.batch.waiting)
}
