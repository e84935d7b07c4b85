// Package ruleset keeps a node's rules: it follows the signed change sets, and holds the one state that is enforced.
//
// # Following
//
// One goroutine does it, so change sets are verified and built one at a time, each on the one before. A session begins with the newest snapshot that verifies, if one is
// newer than what is enforced and needed, and goes on with the rules stream. A change set is applied whole or not at all: it
// is built aside, and one pointer is swapped. A snapshot's chunks are fetched, compared with the manifest and decoded by several goroutines, a few chunks
// ahead of the one that applies them in order (chunk.go), and written to disk by others; all of them have ended before it is enforced. What cannot be applied is counted by its reason, and leaves the state as it is;
// following goes on.
//
// What was built waits for the disk, while the next is built: all that waits when the disk is free becomes durable at once, and its last state
// enforced, so that readers may pass epochs over, and see each whole. What waits is bounded, in number and bytes, and who builds waits then. Before anything is refused,
// frozen or read from elsewhere, all that waits is in force; so it makes no difference, but for the time it takes, in which batches change sets come.
//
//	signature  it was not signed by a rules key of the newest key set, or cannot be read as a signed message at all
//	fleet      it is another fleet's
//	malformed  it is signed, and cannot be decoded or built into a state
//	needs      it asks for a capability that this reader lacks
//	rollback   it is older than what is enforced, and was newly published: a replay
//	fork       it names an epoch that this node knows with another hash: nothing of this generation is taken any more
//	gap        it does not begin where the state ends
//	guard      it takes access from many licences, and nobody confirmed that
//	hash       it begins there, and does not name the hash of what is enforced; or a chunk is not what its manifest says; or it would lead to
//	           another state than the one whose hash it names
//
// What was refused once is not counted again when the stream is read again, and neither are older epochs in a stream's past: after a
// snapshot, or where a wiped stream was filled again, they are what is to be expected. The exact copy of the epoch that
// is enforced is ignored. A gap or a wrong hash makes the follower read the stream again from its beginning, and then look for a
// newer snapshot; so does a heartbeat that names a newer epoch for longer than a second. Where there is none, it reads on: what fits may lie behind
// what does not.
//
// # Trust
//
// Nothing is taken before there is a key set, and then what a key of the newest one has signed. Sets come by themselves, each second; an older one
// is passed over, another one of the same version refused as fork. After a new set, what was refused for its signature is read again, so a
// publisher may change its key before every node has heard of it: no epoch is lost. A heartbeat that names a newer set than
// the one in force does not count, so whoever keeps sets back makes the node stale. Where a set leaves a rules key out, what that key signed stays
// in force, and on disk a snapshot of another key takes its place.
//
// # Freshness
//
// The age of the rules is the time since the arrival of the last heartbeat whose epoch is enforced, or older than what
// is. A heartbeat counts where its signed time is newer than any before and keeps pace with them, or is near this node's clock: so a replayed one
// counts for no longer than it takes to turn stale, nor does one that is held back. Before the first such heartbeat nothing is known of the rules' age:
// the state is block, and nothing is forwarded.
//
// # Restarts
//
// Where there is a Disk, a snapshot and each change set is durable before it is enforced, but for those of a stream's past, which are with the next
// batch. A new process begins with what is there, verified like anything else, and dropped whole where it does not fit together, where a chunk is not
// what its manifest says, or where it ends before where the last process said that it left. The last heartbeat that counted is there, too, with its age:
// no older one counts again, and a clock that was set back makes it no younger. After a process that ended as it should, the rules are as old as it says, and the node serves by them as their age allows. After any other end it may be that more
// was enforced than is left, on a disk that its host has rolled back: the node waits for one heartbeat, unless the fleet's settings allow an offline start, and
// the disk's last heartbeat names no epoch that is not there any more.
// Where its rules were dropped, as a full disk's are, the disk still says up to which epoch they were enforced, and no heartbeat of an older one counts.
// While it reads its disk no heartbeat counts. A generation that was frozen stays so.
// A disk that fails is said and counted, and stops no change from being enforced. When it takes what is written again, the next snapshot that holds
// all that it missed makes it whole.
//
// Current, Epoch, State and Age may be called from anywhere and never block. Heartbeat may be called from anywhere; it holds a
// mutex for arithmetic alone.
package ruleset
