// Package bus is a node's side of NATS: the only place in this module that knows the client library.
//
// A Bus connects in the background, for ever. Nothing is buffered while NATS is away: what a caller cannot send now it makes
// again, and old news sent late would harm. So each operation fails at once then, and its caller tries again. Subscriptions live as
// long as the Bus and come back with the connection; their handlers run one at a time for each subject and hold up only
// that subject.
//
// A node has no JetStream of its own and makes no consumers: it asks for messages of the two streams that it may read, one by one, and the server
// tells of each that it stores on the rules stream. What was not told is read. So nothing that a node may ask for changes a stream.
//
// Following the rules stream is done in sessions. A session ends, and the next resumes after the last message that was handed over,
// when the connection was lost and is back, and when the stream is another one than before (the store was wiped). All methods are safe for concurrent use.
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
	// subjectRules is what the rules stream is of; subjectStored is where the server tells of a message that it has stored there, with its place.
	subjectRules  = "tollgate.rules"
	subjectStored = "tollgate.rules.stored"

	streamRules = "TOLLGATE_RULES"
	snapshots   = "TOLLGATE_SNAPSHOTS"
)
