// Package rulefile keeps on a node's disk the rules that it enforces, so that it starts with everything else down.
//
// # Files
//
//	<dir>/<generation>.<number>     a snapshot's signed manifest; <name>.<index> are its chunks
//	<dir>/log                       the change sets after it, as they came
//	<dir>/heartbeat                 the last heartbeat that said that the rules were current, behind its age when that was last looked at
//	<dir>/frozen                    the generation of which nothing more is to be taken
//	<dir>/least                     the newest epoch that was enforced when rules were dropped: whoever begins anew begins with no older one
//	<dir>/floor                     a date which the node's does not fall behind any more
//	<dir>/clean                     what the last process enforced, where it ended as it should and all that is here
//
// Everything is kept as it was signed, and whoever loads it verifies it like anything else: this package says what was
// written and whole, never that it is true. Each file is a sequence of frames: length and CRC-32C (both uint32, little endian), and the payload. Where there
// is a key, each payload is sealed with AES-256-GCM under it, bound to its file's name.
//
// # Order
//
// All chunks and their names are durable before their manifest is, and a manifest before what is older is dropped; so there is always one whole snapshot, with the change
// sets that follow on it. Chunks without a manifest are of a copy that broke off, and count for nothing. A torn frame at the log's end is cut off: it was not enforced, for a change set is durable before that.
//
// # Failure
//
// A change set, or a snapshot, that is enforced and cannot be written leaves a hole. What is on disk is older: it is removed if that is possible, and least says
// what was enforced. What is appended from then on counts when a snapshot at or after the hole is there; until then the process does not end clean: the next one knows that it
// may have enforced more than it left.
//
// All methods may be called from any goroutine; they block on the disk.
package rulefile
