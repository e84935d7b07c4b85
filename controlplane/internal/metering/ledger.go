package metering

import (
	"errors"
	"time"

	"tollgate/dataplane/decision"
)

// Head is the last segment of a boot's log that is committed.
type Head struct {
	// Number is 0 where none is.
	Number uint64
	// Hash is the SHA-256 of that segment's header.
	Hash []byte
}

// Place says which piece of which boot's log a segment is.
type Place struct {
	Node, Boot string
	// Signer is the public key that signed it.
	Signer []byte
	Number uint64
	// Hash is the SHA-256 of the segment's header, Previous that of the one before it.
	Hash, Previous []byte
	SealedAt       time.Time
	// Final: no segment of this boot follows.
	Final bool
}

// Admission is what the ledger says to a segment.
type Admission uint8

// The admissions. Only Committed has written anything.
const (
	Committed Admission = iota + 1
	Duplicate           // It is in already.
	Gap                 // One before it is missing.
	Fork                // It contradicts what is in.
	Blocked             // Its node is blocked: it is not taken until that has ended.
)

// String is the metric's label.
func (a Admission) String() string {
	return [...]string{"", "committed", "duplicate", "gap", "fork", "blocked"}[a]
}

// ErrCorrupt says that a segment can never be taken, however often it is tried.
var ErrCorrupt = errors.New("the segment cannot be stored")

// Segment is a piece of a boot's log.
type Segment struct {
	Place   Place
	Entries *Entries
}

// Answer is what became of a segment, and where its boot's head is now.
type Answer struct {
	Admission Admission
	Head      Head
	// Reason is why the node is blocked.
	Reason string
}

// Charge is units of one meter that a decision took.
type Charge struct {
	Meter, Feature string
	Units          int64
	PeriodStart    int64 // Unix seconds.
	PeriodEnd      int64 // Unix seconds, exclusive; 0 where nothing ends it.
	Generation     uint64
	Lent           bool // Taken from a loan of a hard quota.
}

// Settlement is how a forwarded request ended.
type Settlement struct {
	Decision               string
	License                string
	IntentTime             time.Time
	Charges                []Charge
	Code                   decision.Code
	Status, UpstreamStatus int
	Duration, Overhead     time.Duration
	BytesIn, BytesOut      int64
	Billed                 bool
}

// Row is a decision to be stored, and whether its charges count as usage.
type Row struct {
	Decision
	Counted bool
}

// UsageKey is where units are counted.
type UsageKey struct {
	License, Meter string
	Generation     uint64
	Minute         int64 // Unix seconds.
}

// LoanKey is a pool from which a boot spent.
type LoanKey struct {
	License, Meter         string
	PeriodStart, PeriodEnd int64
	Generation             uint64
}

// Known is what the ledger holds of an intent of an earlier segment.
type Known struct{ Counted, Settled bool }

// Movement is by how much usage and what boots spent of loans change.
type Movement struct {
	Usage map[UsageKey]int64
	// Free is the part of Usage that no loan was taken for.
	Free  map[UsageKey]int64
	Loans map[LoanKey]int64
}

func newMovement() Movement {
	return Movement{Usage: map[UsageKey]int64{}, Free: map[UsageKey]int64{}, Loans: map[LoanKey]int64{}}
}

// Entries are the records of one segment, folded: each decision is written once, and usage and loans move by sums.
type Entries struct {
	// Rows are new decisions; those that ended within the segment are settled already.
	Rows []Row
	// Late are settlements of decisions of earlier segments. What they change depends on these: see Settle.
	Late []Settlement
	// Movement is what Rows count and spent.
	Movement Movement

	byID map[string]int
	open map[string][]Charge // Charges of intents that have not ended.
}

// NewEntries holds nothing yet; size is a hint.
func NewEntries(size int) *Entries {
	return &Entries{
		Rows: make([]Row, 0, size), Movement: newMovement(),
		byID: make(map[string]int, size), open: make(map[string][]Charge, size),
	}
}

// Denial adds a request that was not forwarded.
func (e *Entries) Denial(d Decision) {
	d.Settled = true
	e.Rows = append(e.Rows, Row{Decision: d})
}

// Intent adds a request about to be forwarded. Its charges count at once if billIfOpen: a request that never
// ends is billed. Otherwise they count when its settlement says so.
func (e *Entries) Intent(d Decision, charges []Charge, billIfOpen bool) {
	for _, c := range charges {
		d.Cost += c.Units
	}
	e.byID[d.ID] = len(e.Rows)
	e.open[d.ID] = charges
	e.Rows = append(e.Rows, Row{Decision: d, Counted: billIfOpen})
	if billIfOpen {
		e.Movement.count(d.License, d.Time, charges, 1)
	}
	e.Movement.spend(d.License, charges, 1)
}

// Settlement adds the end of a request, whose intent is in this segment or in an earlier one.
func (e *Entries) Settlement(s Settlement) {
	i, here := e.byID[s.Decision]
	if !here {
		e.Late = append(e.Late, s)
		return
	}
	row := &e.Rows[i]
	charges, open := e.open[s.Decision]
	if !open {
		return
	}
	delete(e.open, s.Decision)
	s.Charges, s.License, s.IntentTime = charges, row.License, row.Time
	e.Movement.settle(s, row.Counted)
	row.Counted = s.Billed
	s.apply(&row.Decision)
}

// Settle says which of the late settlements change anything, by what is known of their decisions, and what they
// move: one whose decision is settled already, or not known, changes nothing. The entries stay as they are.
func (e *Entries) Settle(known map[string]Known) ([]Settlement, Movement) {
	var apply []Settlement
	m := newMovement()
	done := map[string]bool{}
	for _, s := range e.Late {
		k, ok := known[s.Decision]
		if !ok || k.Settled || done[s.Decision] {
			continue
		}
		done[s.Decision] = true
		m.settle(s, k.Counted)
		apply = append(apply, s)
	}
	return apply, m
}

// Add adds another movement.
func (m Movement) Add(o Movement) {
	for k, v := range o.Usage {
		m.Usage[k] += v
	}
	for k, v := range o.Free {
		m.Free[k] += v
	}
	for k, v := range o.Loans {
		m.Loans[k] += v
	}
}

// settle moves usage from what counts so far to what is billed. Lent units were spent with the
// intent; they come back where the request is not billed.
func (m Movement) settle(s Settlement, counted bool) {
	switch {
	case counted && !s.Billed:
		m.count(s.License, s.IntentTime, s.Charges, -1)
	case !counted && s.Billed:
		m.count(s.License, s.IntentTime, s.Charges, 1)
	}
	if !s.Billed {
		m.spend(s.License, s.Charges, -1)
	}
}

func (m Movement) count(license string, at time.Time, charges []Charge, sign int64) {
	for _, c := range charges {
		key := UsageKey{license, c.Meter, c.Generation, at.Truncate(time.Minute).Unix()}
		m.Usage[key] += sign * c.Units
		if !c.Lent {
			m.Free[key] += sign * c.Units
		}
	}
}

func (m Movement) spend(license string, charges []Charge, sign int64) {
	for _, c := range charges {
		if c.Lent {
			m.Loans[LoanKey{license, c.Meter, c.PeriodStart, c.PeriodEnd, c.Generation}] += sign * c.Units
		}
	}
}

// apply writes into a decision what its settlement says.
func (s *Settlement) apply(d *Decision) {
	d.Code, d.Status, d.UpstreamStatus = s.Code, s.Status, s.UpstreamStatus
	d.Duration, d.Overhead, d.BytesIn, d.BytesOut = s.Duration, s.Overhead, s.BytesIn, s.BytesOut
	d.Settled = true
}
