package ruleset

import "context"

// Source is where rules come from.
type Source interface {
	// Snapshots are the names of all objects of all snapshots, in no order. It blocks on the network.
	Snapshots(ctx context.Context) ([]string, error)
	// Snapshot is one object. It blocks on the network, and fails where there is no such object.
	Snapshot(ctx context.Context, name string) ([]byte, error)
	// FollowRules hands over the messages of the rules stream in order, one at a time: all of them if again, otherwise those
	// after the last one that was handed over. repeated: it was handed over before. history: it was on the stream when
	// this process first saw that stream. It blocks until deliver returns false (nil), ctx ends, or it cannot go on; then it may be called again.
	FollowRules(ctx context.Context, again bool, deliver func(raw []byte, repeated, history bool) bool) error
}
