// Package bus is the control plane's side of NATS: the only place that knows the client library.
//
// A Bus connects in the background, for ever. Streams, the object store and the ingest consumer are made sure of at
// the first connection, after each reconnection, and whenever an operation finds one missing: the NATS store may be wiped at
// any time, and what was in it is made again from Postgres and from the nodes' spools. Operations fail while NATS is away; their callers
// try again. All methods are safe for concurrent use.
package bus

// Subjects and names; see docs/adr/0001-shape.md.
const (
	SubjectRules     = "tollgate.rules"
	SubjectHeartbeat = "tollgate.heartbeat"
	SubjectTrust     = "tollgate.trust"
	SubjectLend      = "tollgate.lend"
	SubjectLendCold  = "tollgate.lend.cold"
	SubjectRecall    = "tollgate.recall"
	SubjectFleet     = "tollgate.fleet.*"

	subjectStored   = "tollgate.rules.stored"
	subjectSegments = "tollgate.segments.*"
	subjectReceipts = "tollgate.receipts."

	streamRules    = "TOLLGATE_RULES"
	streamSegments = "TOLLGATE_SEGMENTS"
	snapshots      = "TOLLGATE_SNAPSHOTS"
	consumerIngest = "ingest"

	headerEpoch = "Tollgate-Epoch"
)
