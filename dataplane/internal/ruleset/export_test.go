package ruleset

import "maps"

// Learn makes a follower that was not started one of a later version, which meets another need.
func (f *Follower) Learn(capability string) {
	f.capabilities = maps.Clone(f.capabilities)
	f.capabilities[capability] = true
}
