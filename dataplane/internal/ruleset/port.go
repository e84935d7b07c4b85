package ruleset

import (
	"context"
	"time"

	"tollgate/dataplane/decision"
)

// Snapshots are where whole states come from.
type Snapshots interface {
	// Snapshots are the names of all objects of all snapshots, in no order. It blocks on the network, or the disk.
	Snapshots(ctx context.Context) ([]string, error)
	// Snapshot is one object. It blocks like Snapshots, and fails where there is no such object. Calls may run concurrently.
	Snapshot(ctx context.Context, name string) ([]byte, error)
}

// Source is where rules come from.
type Source interface {
	Snapshots
	// FollowRules hands over the messages of the rules stream in order, one at a time: all of them if again, otherwise those
	// after the last one that was handed over. repeated: it was handed over before. history: it was on the stream when
	// this process first saw that stream. It blocks until deliver returns false (nil), ctx ends, or it cannot go on; then it may be called again.
	FollowRules(ctx context.Context, again bool, deliver func(raw []byte, repeated, history bool) bool) error
}

// Disk keeps what is enforced over a restart. It believes nothing and verifies nothing. Its methods block on the disk.
type Disk interface {
	Snapshots
	// Put keeps one object of a snapshot. The manifest comes last: with it all of them are durable on return. Calls for chunks may run concurrently.
	Put(name string, object []byte) error
	// Begin drops what is older than a snapshot that was put whole.
	Begin(at decision.Epoch) error
	// Append keeps a change set that leads to an epoch: durable on return, or with a later one that is. Where it fails, that epoch is lost.
	Append(to decision.Epoch, raw []byte, durable bool) error
	// ChangeSets hands over what was appended, in order, until yield returns false.
	ChangeSets(yield func(raw []byte) bool) error
	// Newest is the epoch to which it all leads by its own account; zero where there is nothing. whole: nothing is missing.
	Newest() (newest decision.Epoch, whole bool)
	// Lost says that an epoch is enforced, and not here. Missing is the newest such one, of change sets too, until a snapshot at it or after it was
	// put; zero: none.
	Lost(at decision.Epoch)
	Missing() decision.Epoch
	// Logged is how much was appended since the snapshot.
	Logged() (bytes int64, changeSets int)
	// Forget drops everything, but that an epoch was enforced; zero: none is known to have been. Least is the newest of which Forget or Lost was
	// told; zero: there is none.
	Forget(enforced decision.Epoch)
	Least() decision.Epoch
	// Freeze keeps that nothing more of a generation is to be taken; Frozen is that generation, 0: none.
	Freeze(generation uint64) error
	Frozen() uint64
	// Seen keeps the last heartbeat that counted, and its age by now; LastSeen is what the last process kept, and whether that ended as it should.
	Seen(raw []byte, age time.Duration) error
	LastSeen() (raw []byte, age time.Duration, clean bool)
	// KeepFloor keeps a date which the node's does not fall behind any more: durable on return, if asked for. Floor is that date; zero: there is none.
	KeepFloor(date time.Time, durable bool) error
	Floor() time.Time
	// Close ends the use, with the last heartbeat that counted. clean: what is left may be believed.
	Close(last []byte, age time.Duration, clean bool) error
}
