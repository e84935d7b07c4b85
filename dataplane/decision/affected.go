package decision

import "time"

// LiveAt reports whether a licence has access at now, by its own status and dates.
func (l *License) LiveAt(now time.Time) bool {
	switch {
	case l.Status != Active, now.Before(l.StartsAt):
		return false
	case !l.EndsAt.IsZero() && !now.Before(l.EndsAt), !l.CancelsAt.IsZero() && !now.Before(l.CancelsAt):
		return false
	}
	return !l.PastDue || now.Before(l.GraceUntil)
}

// CountLive counts the licences that have access at now. It looks at all.
func (s *State) CountLive(now time.Time) (n int64) {
	for _, l := range s.licenses {
		if l.LiveAt(now) {
			n++
		}
	}
	return n
}

// Affected counts the licences of s that next takes access from: they have none at now, are gone, or are on a plan version without a feature that they
// had. What they have beside their plan is not looked at. changed are those that may differ; where a plan version itself has lost something, all are
// looked at, as with all.
func (s *State) Affected(next *State, changed []string, all bool, now time.Time) (n int64) {
	if all || s.shrinks(next) {
		for id := range s.licenses {
			if s.loses(next, id, now) {
				n++
			}
		}
		return n
	}
	for _, id := range changed {
		if s.loses(next, id, now) {
			n++
		}
	}
	return n
}

func (s *State) loses(next *State, id string, now time.Time) bool {
	before, after := s.License(id), next.License(id)
	switch {
	case before == nil || !before.LiveAt(now):
		return false
	case after == nil || !after.LiveAt(now):
		return true
	}
	had, has := s.termsOf(before, now).plan, next.termsOf(after, now).plan
	return had != nil && had.lacks(has)
}

// shrinks reports whether a plan version is gone, or grants less.
func (s *State) shrinks(next *State) bool {
	for k, p := range s.plans {
		if q := next.plans[k]; q != p && p.lacks(q) {
			return true
		}
	}
	return false
}

// lacks reports whether q grants less than p.
func (p *plan) lacks(q *plan) bool {
	if q == nil {
		return true
	}
	for feature, on := range p.enabled {
		if on && !q.enabled[feature] {
			return true
		}
	}
	return false
}
