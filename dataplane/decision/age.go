package decision

// Age is the state of a node's rules by the time since it was last known that they are current.
type Age uint8

// The ages, in order.
const (
	AgeFresh Age = iota
	AgeStale
	// AgeGrace: no more units of hard quotas are borrowed. Those that were lent are served.
	AgeGrace
	// AgeBlock: nothing is forwarded, but by routes that say so.
	AgeBlock
	// AgeUnknown: nobody has said that they are. Nothing is forwarded.
	AgeUnknown
)

// String is what the fleet is told.
func (a Age) String() string {
	switch a {
	case AgeFresh:
		return "fresh"
	case AgeStale:
		return "stale"
	case AgeGrace:
		return "grace"
	default:
		return "block"
	}
}

// OnStale is what a route does by rules that are old.
type OnStale uint8

// The policies.
const (
	// StaleBlock: it is blocked when the rules' age is AgeBlock.
	StaleBlock OnStale = iota
	// StaleServe: it is served by the last rules, however old they are.
	StaleServe
	// StaleBlockAtGrace: it is blocked as soon as their age is AgeGrace.
	StaleBlockAtGrace
)

// serves reports whether a route, nil where none matches, is served by rules of an age.
func (a Age) serves(r *Route) bool {
	switch a {
	case AgeUnknown:
		return false
	case AgeBlock:
		return r != nil && r.OnStale == StaleServe
	case AgeGrace:
		return r == nil || r.OnStale != StaleBlockAtGrace
	default:
		return true
	}
}

// ServesAt reports whether any route is served by the state at an age.
func (s *State) ServesAt(a Age) bool {
	if a < AgeBlock {
		return true
	}
	for _, r := range s.routes {
		if a.serves(r) {
			return true
		}
	}
	return false
}
