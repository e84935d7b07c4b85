// Package publisher brings change sets from Postgres to the nodes.
//
// Postgres holds the exact bytes of every change set (an envelope) in the order of their epochs. A Publisher signs and sends
// them, one after the other, on the rules stream; keeps snapshots of whole rule states beside it; and says each second, signed,
// what is current.
//
// What was published last stands in the stream itself: the last message there that verifies. A Publisher reads it once and
// remembers it. Every append names the stream's last sequence and fails if that has moved, so two publishers never both
// append an epoch; whoever loses reads the stream again. Change sets that wait are sent together, each naming the one before it as well, so that none gets
// in behind a message that is not it. The advisory lock behind Store.Lead merely saves the work of trying. Messages that do not
// verify (anybody who can reach the broker may write some) are stepped over.
//
// If the stream is empty, for it was wiped, nothing is lost: the Publisher makes a snapshot of the newest state, appends the newest
// envelope, and goes on from there. If the stream, a snapshot or a node is ahead of Postgres, or disagrees with it, Postgres was restored to an earlier
// point: the Publisher says so, and neither publishes nor vouches for anything, until a higher generation is opened. Then it makes a snapshot of that
// first, and nodes that know the old one follow; snapshots and messages of the old generation are removed.
//
// A node's word alone counts for nothing here, as whoever holds one node would stop all: it shows the signed heartbeat by which it is fresh. It says so through
// the database, each second. Where the stream is empty, or Postgres is another instance than before, nodes that are known get time to do so first.
//
// A node that change sets lead to another state than the one that was meant cannot go on from there: where one reports that, a snapshot is made before
// it is due.
//
// One goroutine does all of it: Run, which has another one make snapshots and remove what they have made needless. Heads may be called beside it.
package publisher
