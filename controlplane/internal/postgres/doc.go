// Package postgres keeps everything that the control plane knows, in PostgreSQL.
//
// DB is the pool, safe for concurrent use. Its ports for the domain packages hang on it: Licensing is
// licensing.Store. The SQL stands in queries/, its generated Go in query/, and what leads from rows to domain objects in
// mapping files.
//
// Writes of rules are serial: each holds the head's row, and what it waits for meanwhile all others wait for, too. So Licensing runs them in a pipeline:
// what has no answer is sent along with the next statement or with the commit, and reports its error there. Of one process only two want the row at a
// time. Statements that go without an answer check by themselves what they rely on, as the commit may be on its way with them.
//
// A transaction is run again when the server asks for it (serialization failure, deadlock), or when the
// connection was lost before the commit was sent; a read, whenever the connection was lost. A commit whose answer
// was lost is an error, for it may have happened. Broken connections are dropped when they are found, so the pool works again as
// soon as the server does. Sessions end a transaction that idles for ten seconds, so a paused process does not hold
// the head of the rules for ever.
package postgres
