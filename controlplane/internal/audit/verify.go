package audit

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

// Finding is something wrong with the chain.
type Finding struct {
	Sequence uint64
	Problem  string
}

// Verifier checks a chain from its head backwards, the order in which events are listed. The zero value is of no use: see
// Verify.
type Verifier struct {
	next     uint64 // Sequence that the next event should have; 0 after the first one.
	hash     []byte // Hash that the next event should have.
	lost     bool   // hash is of an event that was changed, and says nothing.
	by       string // What says so.
	events   uint64
	findings []Finding
}

// Verify begins at head.
func Verify(head Head) *Verifier {
	return &Verifier{next: head.Sequence, hash: head.Hash, by: "the head"}
}

func (v *Verifier) find(sequence uint64, format string, args ...any) {
	v.findings = append(v.findings, Finding{sequence, fmt.Sprintf(format, args...)})
}

// Event checks the next older event.
func (v *Verifier) Event(e *Event) {
	v.events++
	switch {
	case e.Sequence > v.next || e.Sequence == 0:
		v.find(e.Sequence, "event %d is not of the chain: it was put in", e.Sequence)
		return
	case e.Sequence < v.next:
		v.missing(e.Sequence)
	case !v.lost && !bytes.Equal(e.Hash, v.hash):
		v.find(e.Sequence, "event %d does not have the hash that %s holds: one of them was changed", e.Sequence, v.by)
	}
	sum := sha256.Sum256(e.Canonical())
	v.lost = !bytes.Equal(sum[:], e.Hash)
	if v.lost {
		v.find(e.Sequence, "event %d does not match its own hash: it was changed", e.Sequence)
	}
	v.next, v.hash, v.by = e.Sequence-1, e.Previous, fmt.Sprintf("event %d", e.Sequence)
}

// missing notes that there is nothing between an event and the one that should follow on it.
func (v *Verifier) missing(found uint64) {
	if found+1 == v.next {
		v.find(v.next, "event %d is missing: it was removed", v.next)
		return
	}
	v.find(found+1, "events %d to %d are missing: they were removed", found+1, v.next)
}

// Result is what a whole chain is worth.
type Result struct {
	Events uint64
	// Findings are newest first; none: the chain is whole.
	Findings []Finding
}

// First is the oldest finding; false where there is none.
func (r *Result) First() (Finding, bool) {
	var first Finding
	for i, f := range r.Findings {
		if i == 0 || f.Sequence <= first.Sequence {
			first = f
		}
	}
	return first, len(r.Findings) > 0
}

// End says that there are no older events.
func (v *Verifier) End() Result {
	if v.next > 0 {
		v.missing(0)
	} else if !v.lost && len(v.hash) > 0 {
		v.find(1, "event 1 follows on an event before it, and is the first: the beginning was removed")
	}
	return Result{Events: v.events, Findings: v.findings}
}
