package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Snapshots are the names of all objects of all snapshots, in no order.
func (b *Bus) Snapshots(ctx context.Context) ([]string, error) {
	store, err := b.store(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	names := make([]string, 0, len(list))
	for _, o := range list {
		names = append(names, o.Name)
	}
	return names, nil
}

// Snapshot is one object of a snapshot.
func (b *Bus) Snapshot(ctx context.Context, name string) ([]byte, error) {
	store, err := b.store(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := store.GetBytes(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read snapshot object %s: %w", name, err)
	}
	return raw, nil
}

func (b *Bus) store(ctx context.Context) (jetstream.ObjectStore, error) {
	if !b.nc.IsConnected() {
		return nil, fmt.Errorf("open the snapshots: %w", ErrDisconnected)
	}
	store, err := b.js.ObjectStore(ctx, snapshots)
	if err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	return store, nil
}

// position is how far the rules stream was handed over.
type position struct {
	// created is when the stream was made: another time is another stream.
	created time.Time
	// born is the newest message that was there when the stream was first seen.
	born uint64
	// last is the last message handed over; seen is the newest that ever was.
	last, seen uint64
}

// watchEvery is how often a session looks whether the stream is still the one it reads, and whether messages arrive.
const watchEvery = time.Second

// FollowRules hands over the messages of the rules stream, in order and one at a time, as they come: from the oldest on if again, otherwise
// those after the last one that was handed over. repeated: it was handed over before. history: it was there when this
// process first saw the stream. It blocks until deliver returns false (nil), ctx ends, or the session cannot go on; then the caller
// begins another.
func (b *Bus) FollowRules(ctx context.Context, again bool, deliver func(raw []byte, repeated, history bool) bool) error {
	if !b.nc.IsConnected() {
		return fmt.Errorf("follow the rules stream: %w", ErrDisconnected)
	}
	b.mu.Lock()
	reconnected := b.reconnected
	b.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	info, err := b.rulesInfo(ctx)
	if err != nil {
		return err
	}
	b.begin(info, again)
	consumer, err := b.js.OrderedConsumer(ctx, streamRules, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: b.at().last + 1,
	})
	if err != nil {
		return fmt.Errorf("follow the rules stream: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("follow the rules stream: %w", err)
	}
	defer messages.Stop()
	go b.watch(ctx, cancel, reconnected)
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fmt.Errorf("follow the rules stream: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read a message's place on the rules stream: %w", err)
		}
		sequence := meta.Sequence.Stream
		repeated, history := b.advance(sequence)
		if !deliver(m.Data(), repeated, history) {
			return nil
		}
	}
}

func (b *Bus) rulesInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, streamRules)
	if err != nil {
		return nil, fmt.Errorf("look at the rules stream: %w", err)
	}
	return s.CachedInfo(), nil
}

// begin sets the position that a session starts from. A stream that ends before what was seen of it has lost
// messages: it is read like another one.
func (b *Bus) begin(info *jetstream.StreamInfo, again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !info.Created.Equal(b.position.created) || info.State.LastSeq < b.position.seen {
		b.position = position{created: info.Created, born: info.State.LastSeq}
	}
	if again {
		b.position.last = 0
	}
}

func (b *Bus) at() position {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.position
}

func (b *Bus) advance(sequence uint64) (repeated, history bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.position.last = sequence
	repeated = sequence <= b.position.seen
	b.position.seen = max(b.position.seen, sequence)
	return repeated, sequence <= b.position.born
}

// Why a session ends that watch ends.
var (
	errReconnected = errors.New("the connection to NATS was lost, and is back")
	errOther       = errors.New("the stream is another one than before")
	errStuck       = errors.New("messages on the stream do not arrive")
)

// watch ends a session that will not go on by itself. The consumer mends some of these cases alone, after timeouts of its own; what it
// cannot see is a stream that was wiped and made again.
func (b *Bus) watch(ctx context.Context, end context.CancelCauseFunc, reconnected <-chan struct{}) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var late position // Where the session stood when a message was first seen to lie ahead.
	for {
		select {
		case <-ctx.Done():
			return
		case <-reconnected:
			end(errReconnected)
			return
		case <-tick.C:
		}
		now := b.at() // Before the stream is looked at: what comes meanwhile does not make it another one.
		info, err := b.rulesInfo(ctx)
		if err != nil {
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				end(err)
				return
			}
			continue
		}
		switch {
		case !info.Created.Equal(now.created) || info.State.LastSeq < now.last:
			end(errOther)
			return
		case info.State.LastSeq == now.last:
			late = position{}
		case now == late:
			end(errStuck)
			return
		default:
			late = now
		}
	}
}
