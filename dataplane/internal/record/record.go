// Package record holds the entries of a node's log as values: what the front writes and the spool stores.
package record

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"tollgate/dataplane/decision"
)

// Decision is one request's outcome and what it was based on. Written as a denial it is complete; written
// as an intent, a Settlement follows.
type Decision struct {
	// ID and Sequence are set by the log when it takes the record.
	ID       string
	Sequence uint64

	Time        time.Time
	Epoch       decision.Epoch
	Outcome     decision.Outcome
	Code        decision.Code
	Customer    string
	License     string
	Plan        string
	PlanVersion uint32
	Credential  string
	Route       string
	Method      string
	Path        string
	ClientIP    string
	Policy      string
	Charge      decision.Charge // Units 0: none.
	Status      int             // Of a denial.
	Overhead    time.Duration   // From reading the request to the decision.
	TraceID     string
	BillIfOpen  bool
}

// Settlement says how an intent ended.
type Settlement struct {
	Intent         *Decision
	Code           decision.Code
	Status         int
	UpstreamStatus int           // 0: the upstream did not answer.
	Duration       time.Duration // From reading the request to the response's last byte.
	Overhead       time.Duration // Of that, spent in the node.
	BytesIn        int64
	BytesOut       int64
	// Billed is false where the charge is taken back.
	Billed bool
}

// crockford is the alphabet of ULIDs.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ID is a decision's id: "dec_" and a ULID whose 80 random bits are 40 of the boot's hash and 40 of the
// sequence, so that an id leads back to its place in the log and no two are the same.
func ID(t time.Time, boot string, sequence uint64) string {
	var b [16]byte
	ms := uint64(t.UnixMilli())
	binary.BigEndian.PutUint64(b[:8], ms<<16)
	sum := sha256.Sum256([]byte(boot))
	copy(b[6:11], sum[:5])
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], sequence)
	copy(b[11:], seq[3:])

	out := make([]byte, 4, 30)
	copy(out, "dec_")
	// 128 bits in 26 characters of 5: two leading zero bits.
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	for shift := 125; shift >= 0; shift -= 5 {
		var v uint64
		switch {
		case shift >= 64:
			v = hi >> (shift - 64)
		case shift > 59:
			v = hi<<(64-shift) | lo>>shift
		default:
			v = lo >> shift
		}
		out = append(out, crockford[v&31])
	}
	return string(out)
}
