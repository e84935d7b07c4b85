package licensing

import (
	"slices"
	"time"
)

// Phase is a plan version that a licence is on from At on.
type Phase struct {
	At                time.Time // Of a licence's first phase it means nothing.
	Plan              string
	Version           uint32
	CounterGeneration uint64
}

// phases are all phases of the record: one at least.
func (l *License) phases() []Phase {
	if len(l.Phases) > 0 {
		return l.Phases
	}
	return []Phase{{Plan: l.Plan, Version: l.PlanVersion, CounterGeneration: l.CounterGeneration}}
}

// phaseIndex is the index of the phase at now.
func phaseIndex(phases []Phase, now time.Time) int {
	for i := len(phases) - 1; i > 0; i-- {
		if !now.Before(phases[i].At) {
			return i
		}
	}
	return 0
}

// PhaseAt is the phase at now.
func (l *License) PhaseAt(now time.Time) Phase {
	all := l.phases()
	return all[phaseIndex(all, now)]
}

// turn makes Plan, PlanVersion and CounterGeneration those of now. The record stays as it is.
func (l *License) turn(now time.Time) {
	p := l.PhaseAt(now)
	l.Plan, l.PlanVersion, l.CounterGeneration = p.Plan, p.Version, p.CounterGeneration
}

// replan replaces the phases by others, and drops what is over at now.
func (l *License) replan(phases []Phase, now time.Time) {
	phases = slices.Clone(phases[phaseIndex(phases, now):])
	phases[0].At = time.Time{}
	l.Phases = phases
	l.turn(now)
	if len(phases) == 1 {
		l.Phases = nil
	}
}

// move puts the licence on a version of a plan that it is on at that time, and on phases of that plan that follow. False where it is on
// another plan then, or on that version or a newer one.
func (l *License) move(plan string, version uint32, at, now time.Time) bool {
	all := slices.Clone(l.phases())
	i := phaseIndex(all, at)
	if all[i].Plan != plan || all[i].Version >= version {
		return false
	}
	next := Phase{At: at, Plan: plan, Version: version, CounterGeneration: all[i].CounterGeneration}
	for j := i + 1; j < len(all) && all[j].Plan == plan; j++ {
		all[j].Version = max(all[j].Version, version)
	}
	l.replan(slices.Insert(all, i+1, next), now)
	return true
}

// enter puts the licence on another plan from an instant on. Whatever was to come later is void: it belonged to the plan that it leaves.
func (l *License) enter(to Phase, now time.Time) {
	// What takes effect before that still does.
	all := l.phases()
	kept := slices.Clone(all[:phaseIndex(all, to.At)+1])
	if last := len(kept) - 1; last > 0 && kept[last].At.Equal(to.At) {
		kept = kept[:last]
	}
	l.replan(append(kept, to), now)
}

// nextGeneration is one that no counter of the licence has had.
func (l *License) nextGeneration() uint64 {
	highest := l.CounterGeneration
	for _, p := range l.Phases {
		highest = max(highest, p.CounterGeneration)
	}
	return highest + 1
}
