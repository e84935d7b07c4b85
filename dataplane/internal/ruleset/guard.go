package ruleset

import (
	"errors"
	"fmt"
	"time"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Rules that take access from more licences than these, and from more than this part of all that have it, within a minute, need the signed word that
// somebody meant it: a wrong condition must not lock out a fleet's customers. The control plane asks by the same numbers. A change set that takes from
// one licence alone is somebody's word about that one: it is taken at once, and not counted.
const (
	guardedLicenses = 100
	guardedPart     = 10 // A tenth.
	guardedWindow   = time.Minute
)

// guard counts what change sets took without such a word. Only the following goroutine uses it.
type guard struct{ taken []taken }

type taken struct {
	at       time.Time // Of the control plane's clock.
	licenses int64
}

// errGuard: see the constants.
var errGuard = errors.New("nobody confirmed that so many licences lose access")

// transition is what rules lead to, and from where.
type transition struct {
	from, to  *decision.State
	changed   []string // Licences that may differ.
	all       bool     // All may.
	confirmed int64
	created   time.Time
}

// allow refuses rules that take too much. waived: it only counts.
func (g *guard) allow(t transition, now time.Time, waived bool) error {
	if t.from == nil || t.from.Epoch().Generation != t.to.Epoch().Generation {
		return nil // There is nothing to compare with, or somebody has opened a generation.
	}
	lost := t.from.Affected(t.to, t.changed, t.all, now)
	if lost <= max(1, t.confirmed) {
		return nil
	}
	var sum int64
	kept := g.taken[:0]
	for _, x := range g.taken {
		if t.created.Sub(x.at) < guardedWindow {
			kept, sum = append(kept, x), sum+x.licenses
		}
	}
	g.taken = kept
	if all := sum + lost; all > guardedLicenses && !waived {
		if live := t.from.CountLive(now) + sum; all*guardedPart > live {
			return fmt.Errorf("%w: %d of %d within a minute, and %d are confirmed; look at what changed, and if it is meant, start the node with confirm_epoch %d.%d",
				errGuard, all, live, t.confirmed, t.to.Epoch().Generation, t.to.Epoch().Number)
		}
	}
	g.taken = append(g.taken, taken{t.created, lost})
	return nil
}

// guarded asks the guard. What comes from disk was enforced before. To a node that has not followed for long, a snapshot brings all that happened
// meanwhile, one by one and confirmed or not: nobody could tell, and it would never come back.
func (f *Follower) guarded(t transition) error {
	if _, age := f.Current(); t.all && age >= decision.AgeGrace {
		return nil
	}
	now := f.clock.Date()
	if t.created.After(now) {
		now = t.created // What begins with the change has begun.
	}
	return f.guard.allow(t, now, f.disk.restoring || t.to.Epoch().Compare(f.confirmed) <= 0)
}

// licensesOf are the licences that records set or remove.
func licensesOf(records []*rulesv1.Record) (ids []string) {
	for _, r := range records {
		if l := r.GetLicense(); l != nil {
			ids = append(ids, l.GetId())
		}
		if gone := r.GetRemoval(); gone.GetKind() == rulesv1.Kind_KIND_LICENSE {
			ids = append(ids, gone.GetId())
		}
	}
	return ids
}
