// Package bus is a node's side of NATS: the only place in this module that knows the client library.
//
// A Bus connects in the background, for ever. Nothing is buffered while NATS is away: what a caller cannot send now it makes
// again, and old news sent late would harm. So each operation fails at once then, and its caller tries again. Subscriptions live as
// long as the Bus and come back with the connection; their handlers run one at a time for each subject and hold up only
// that subject.
//
// Following the rules stream is done in sessions. A session ends, and the next resumes after the last message that was handed over,
// when the connection was lost and is back, when the stream is another one than before (the store was wiped), or when messages lie on the stream
// that do not arrive. All methods are safe for concurrent use.
package bus

// Subjects and names; see docs/adr/0001-shape.md.
const (
	subjectHeartbeat = "tollgate.heartbeat"
	subjectTrust     = "tollgate.trust"
	subjectLend      = "tollgate.lend"
	subjectLendCold  = "tollgate.lend.cold"
	subjectRecall    = "tollgate.recall"
	subjectSegments  = "tollgate.segments."
	subjectReceipts  = "tollgate.receipts."
	subjectFleet     = "tollgate.fleet."
	inboxes          = "_INBOX."

	streamRules = "TOLLGATE_RULES"
	snapshots   = "TOLLGATE_SNAPSHOTS"
)
