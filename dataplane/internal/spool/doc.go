// Package spool is a node's log: every decision and how it ended, on disk before the request goes on, and from
// there to the control plane, exactly once.
//
// # Appending
//
// Deny, Begin and Settle may be called from any goroutine. Each takes the next sequence of this boot (from 1,
// without gap), and returns when one write(2) of the framed record is complete: that survives the death of the
// process. What survives a power cut is what the group sync has reached, which runs every few milliseconds in the
// background and is not waited for.
//
// A record that could not be written takes no sequence and gets ErrUnavailable, as does every record after it until
// a probe, twice a second, can write and sync again; the log then goes on in a new file, so that nothing depends on pages
// whose sync has failed. The bytes of a torn write are cut off. A spool that has reached its bound answers ErrUnavailable, too.
// Begin sets room aside for the settlement that will follow: those of requests under way are taken by a full spool, too.
// A settlement that gets an error is not in the log: its intent stays open, and is billed.
//
// # Files
//
//	<dir>/lock                     held while a process uses the spool
//	<dir>/head                     the end of the newest boot whose directory is gone
//	<dir>/<ordinal>-<boot>/head    the last segment of the boot that has a receipt; what the next one chains to
//	<dir>/<ordinal>-<boot>/n.log   frames: length, CRC-32C (both uint32, little endian), an encoded ledger.v1.Record
//	<dir>/<ordinal>-<boot>/n.seg   an encoded ledger.v1.Segment, as it is sent
//
// # Cutting and sealing
//
// Each second, or when it is full, the log file n is closed and n+1 opened, under the lock of the appenders. A background goroutine
// makes segment n out of log file n, writes it durably under its name, and only then removes the log file. A segment that has its name is never made
// again; one that has not has never been sent. So segment n always holds exactly the records of log file n.
//
// An empty log file is cut only when every segment before it has its receipt: a node that is connected shows each second that it is
// silent, and one that is not has at most one empty segment waiting.
//
// # Sending
//
// One goroutine sends. Per boot up to sixteen segments are under way without receipt, in order. A receipt is cumulative: it
// names the head that is committed. Where it does not move for two seconds (then four, then eight), the first segment without receipt is sent again, alone, since the
// receipt it provokes tells where the control plane stands; further ones follow as receipts come. A receipt that
// repeats the known head while segments are under way means that the next one did not arrive: it is sent again at once, but not more
// often than each quarter of a second. An error of the Sender is retried for ever, after 100 ms to 2 s.
//
// On a receipt the new head is made durable, then the segments up to it are removed, and with the final one the boot's directory. A receipt that does not verify
// is counted and ignored. One that names another hash than ours, or a segment that was never made, says that two logs exist under one boot: the boot is held, which
// is to say nothing of it is sent or removed, and that is logged and counted.
//
// # Recovery
//
// Open finds what earlier boots left. Their log files are read up to the first frame that is torn, sealed in order under their own boot's name, the
// last one as final (an empty one is made where no log file is left and none was final). They are sent before the new boot's segments; an
// earlier boot that gets no receipts stops blocking the later ones after its second resend. The new boot's first segment
// names the last boot's head. A boot whose files do not fit together is held, and the rest goes on. Open itself fails where the directory is in use
// or cannot be written.
//
// # Closing
//
// Close refuses further records, seals what is left as the boot's final segment, and waits for the receipts as long as its context
// allows. What is left then is the next start's. Whoever wires the log calls Start before traffic and Close after the last request has
// settled, and keeps the Sender and Receipt working until Close has returned.
package spool
