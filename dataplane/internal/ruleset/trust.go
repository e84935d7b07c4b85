package ruleset

import (
	"context"
	"errors"
	"slices"

	"tollgate/dataplane/envelope"
)

// Trust takes a key set as it came, with the roots that lead to the one that signed it.
func (f *Follower) Trust(raw []byte) {
	before := f.verifier.Trust()
	adopted, err := f.verifier.Adopt(raw)
	switch {
	case adopted:
	case err == nil:
		return
	case errors.Is(err, envelope.ErrSuperseded):
		// A control plane that has not heard of the newest yet says so each second.
		f.log.Debug("an older key set came", "error", err)
		return
	case errors.Is(err, envelope.ErrConflict):
		f.refuse(refusedFork, err)
		return
	default:
		f.refuse(openReason(err), err)
		return
	}
	if err != nil {
		f.log.Error("the key set is in force and not on disk: after a restart this node begins with an older one", "error", err)
	}
	set := f.verifier.Trust().KeySet()
	f.log.Info("took a key set", "version", set.Version, "keys", len(set.Keys), "root", envelope.KeyID(f.verifier.Trust().Root()))
	if before != nil && dropsRules(before.KeySet(), set) {
		f.disk.stranded.Store(true)
	}
	// What was refused meanwhile may be signed by a key that counts now.
	if before == nil || f.unsigned.Swap(false) {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// dropsRules says whether a key that signed rules no longer counts.
func dropsRules(before, after envelope.KeySet) bool {
	return slices.ContainsFunc(before.Keys, func(c envelope.Certified) bool {
		k, there := after.Key(c.PublicKey)
		return c.Usage == envelope.UsageRules && (!there || k.Usage != envelope.UsageRules)
	})
}

// KeySet is the version of the key set in force; 0: there is none yet, and no rules are taken.
func (f *Follower) KeySet() uint64 { return f.verifier.Version() }

// awaitTrust returns when there is a key set; false: ctx ended before.
func (f *Follower) awaitTrust(ctx context.Context) bool {
	for f.verifier.Version() == 0 {
		select {
		case <-ctx.Done():
			return false
		case <-f.wake:
		}
	}
	return ctx.Err() == nil
}
