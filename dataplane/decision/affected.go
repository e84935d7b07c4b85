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
	s.licenses.each(func(record string) {
		var l License
		readLicense(&l, record, nil)
		if l.LiveAt(now) {
			n++
		}
	})
	return n
}

// Affected counts the licences of s that next takes access from: they have none at now, are gone, or are on a plan version without a feature that they
// had. What they have beside their plan is not looked at. changed are those that may differ; where a plan version itself has lost something, all are
// looked at, as with all.
func (s *State) Affected(next *State, changed []string, all bool, now time.Time) (n int64) {
	if all || s.shrinks(next) {
		s.licenses.each(func(record string) {
			if s.loses(next, licenseID(record), now) {
				n++
			}
		})
		return n
	}
	for _, id := range changed {
		if s.loses(next, identOf(id), now) {
			n++
		}
	}
	return n
}

func (s *State) loses(next *State, id ident, now time.Time) bool {
	var before, after License
	if _, ok := s.license(&before, id); !ok || !before.LiveAt(now) {
		return false
	}
	if _, ok := next.license(&after, id); !ok || !after.LiveAt(now) {
		return true
	}
	had := s.planAt(&before, now)
	return had != nil && had.lacks(next.planAt(&after, now))
}

// planAt is what a licence is on at now; nil: it is not there.
func (s *State) planAt(l *License, now time.Time) *plan {
	p := l.PhaseAt(now)
	return s.plans[planKey{p.Plan, p.PlanVersion}]
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
