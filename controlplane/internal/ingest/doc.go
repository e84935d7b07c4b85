// Package ingest takes the nodes' segments from NATS into Postgres, exactly once, and answers each with a signed receipt.
//
// A segment is verified first: the node's signature, that node and certificate and subject agree, the hash of the body, its
// bounds. Then one transaction moves the boot's head from number-1 to number by a conditional statement, and writes decisions, usage
// and loan settlements. Whatever is delivered twice, late, or in another order finds that the head is elsewhere and writes nothing:
//
//	committed  receipt, message acknowledged
//	duplicate  the same answer: the first receipt may have been lost
//	gap        asked for again a few times, for an earlier segment may be in another control plane's hands; then a receipt
//	           that names the head, from which the node sends again
//	fork       it contradicts what is in: quarantined
//	blocked    its node, or the key that signed it, is blocked: quarantined, and the node is told
//	invalid    it does not verify or cannot be read: quarantined
//
// Quarantined messages are counted and logged, answered with no receipt and acknowledged: the node keeps the segment, and
// a person has to look. Whether a node is blocked is asked in the transaction, under a lock that whoever blocks one waits for: no segment is
// committed after its node's block is. Once the node is unblocked it sends again what has no receipt. Where Postgres is away, messages go back to NATS for a while; if NATS loses them, nodes send them again.
//
// One goroutine per control plane does all of it: Run. Any number of control planes share the work.
package ingest
