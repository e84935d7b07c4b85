// Package clock is a node's time: one date for all its decisions, and one count of elapsed time for all its deadlines.
//
// # The date
//
// It is the newest time that a heartbeat bore which counts, and what has elapsed since; where an earlier one was quicker under way and tells a later
// date by less than a second, that one's. So nodes are behind the control plane by the shortest way alone and agree with each other. While heartbeats
// come the machine's own clock has no say: set far ahead, it lets nothing expire early. When none has come for the stale age, the machine's clock may lead by at most the grace age: a node
// whose counted time is short, as that of a machine that was moved, is set right by it. The date never goes back, whatever clocks do: behind a
// heartbeat that is earlier than the date it stands still until time has caught up. So a licence that has expired on a node stays expired there.
//
// Floor is where the date is; whoever keeps it over a restart gives it to Resume. Before anything of the kind is known, the date is that of the machine's
// clock, and binds nobody.
//
// # Elapsed time
//
// Tick counts the time that a suspended machine sleeps, too, where the system can tell (CLOCK_BOOTTIME on Linux). Nobody can set it. Ages and
// deadlines are of it, and none is compared with a date.
//
// Everything here may be called from anywhere. Now reads the system's clocks and takes no lock.
package clock
