package ruleset

// Vouched is the newest signed heartbeat of an epoch that is enforced, or of an older one, as it came; nil: none. By it the node shows what it enforces
// at least. Callers must not change it.
func (f *Follower) Vouched() []byte {
	if raw := f.disk.seen.Load(); raw != nil {
		return *raw
	}
	return nil
}
