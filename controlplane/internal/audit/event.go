// Package audit is the log of who changed what, as a chain: each event's hash covers its fields and the hash of the
// event before, so that one which is changed, removed, put in or moved no longer fits its neighbours. It is shared by who
// writes the chain, who serves it and who checks it from afar.
//
// What the chain can't show by itself is that its newest events were cut off together with its head, or that all of it
// was made anew: for that, keep a head's hash elsewhere.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Event is one write.
type Event struct {
	Sequence  uint64    // From 1 on, without gaps.
	Time      time.Time // In microseconds.
	Actor     string    // A token's id, or System.
	ActorName string
	Role      string
	Procedure string // Of the API, or what the control plane did by itself.
	Kind, ID  string // The first object that was written.
	// Before and After are JSON of what changed, by "kind/id" of each object. Without secrets and their hashes.
	Before, After string
	RequestID     string // The control plane's name for the call.
	// Generation and Number are the epoch of the rules after the write.
	Generation, Number uint64
	Previous           []byte // Hash of the event before; empty at 1.
	Hash               []byte
}

// System is the actor of what no caller asked for.
const System = "system"

// Head is the end of the chain.
type Head struct {
	Sequence uint64 // 0: there is no event.
	Hash     []byte
}

// domain keeps these hashes apart from all others.
const domain = "tollgate audit event 1"

// Canonical is what Hash covers: each field in turn, as its length in 8 bytes, big-endian, and its bytes. They are the
// text "tollgate audit event 1", Sequence, Time, Actor, ActorName, Role, Procedure, Kind, ID, Before, After, RequestID,
// Generation, Number, Previous. Numbers are 8 bytes, big-endian; Time is microseconds since 1970-01-01T00:00:00Z.
func (e *Event) Canonical() []byte {
	var b []byte
	field := func(v []byte) {
		b = binary.BigEndian.AppendUint64(b, uint64(len(v)))
		b = append(b, v...)
	}
	number := func(n uint64) { field(binary.BigEndian.AppendUint64(nil, n)) }
	field([]byte(domain))
	number(e.Sequence)
	number(uint64(e.Time.UnixMicro()))
	for _, s := range []string{
		e.Actor, e.ActorName, e.Role, e.Procedure, e.Kind, e.ID, e.Before, e.After, e.RequestID,
	} {
		field([]byte(s))
	}
	number(e.Generation)
	number(e.Number)
	field(e.Previous)
	return b
}

// Append makes e the event after head: it sets Sequence, Previous and Hash, and returns the new head.
func (h Head) Append(e *Event) Head {
	e.Sequence, e.Previous = h.Sequence+1, h.Hash
	sum := sha256.Sum256(e.Canonical())
	e.Hash = sum[:]
	return Head{Sequence: e.Sequence, Hash: e.Hash}
}
