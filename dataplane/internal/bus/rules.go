package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// position is how far the rules stream was handed over.
type position struct {
	// created is when the stream was made: another time is another stream.
	created time.Time
	// born is the newest message that was there when the stream was first seen.
	born uint64
	// last is the last message handed over; seen is the newest that ever was.
	last, seen uint64
}

const (
	// watchEvery is how often a session looks whether the stream is still the one it reads, and whether it has all of it.
	watchEvery = time.Second
	// unread is how many messages may wait while one is dealt with. What there is no room for is read from the stream later.
	unread = 1024
)

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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// Before the stream is looked at: what is stored later is told.
	news := make(chan *nats.Msg, unread)
	sub, err := b.nc.ChanSubscribe(subjectStored, news)
	if err != nil {
		return fmt.Errorf("follow the rules stream: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // It fails where there is no connection, and so no subscription.
	s, err := b.stream(ctx, streamRules)
	if err != nil {
		return fmt.Errorf("follow the rules stream: %w", err)
	}
	b.begin(s.CachedInfo(), again)
	looks := make(chan look)
	go b.watch(ctx, looks)

	f := session{bus: b, stream: s, deliver: deliver}
	err = f.read(ctx, s.CachedInfo().State.LastSeq)
	for err == nil {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-reconnected:
			err = errReconnected
		case l := <-looks:
			err = f.look(ctx, l)
		case m := <-news:
			err = f.stored(ctx, m)
		}
	}
	if errors.Is(err, errDone) {
		return nil
	}
	return fmt.Errorf("follow the rules stream: %w", err)
}

// session is one FollowRules.
type session struct {
	bus     *Bus
	stream  jetstream.Stream
	deliver func(raw []byte, repeated, history bool) bool
}

// Why a session ends.
var (
	errDone        = errors.New("no more is wanted")
	errReconnected = errors.New("the connection to NATS was lost, and is back")
	errOther       = errors.New("the stream is another one than before")
)

// stored takes what the server tells of a message that it has stored. Other nodes can have answers of other streams sent here.
func (f *session) stored(ctx context.Context, m *nats.Msg) error {
	if m.Header.Get(jetstream.StreamHeader) != streamRules {
		return nil
	}
	sequence, _ := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64) // 0: it is not the server's.
	switch last := f.bus.at().last; {
	case sequence <= last:
		return nil
	case sequence == last+1:
		return f.hand(sequence, m.Data)
	default:
		return f.read(ctx, sequence)
	}
}

// read hands over what is on the stream, up to a sequence.
func (f *session) read(ctx context.Context, to uint64) error {
	for last := f.bus.at().last; last < to; last = f.bus.at().last {
		// The next there is: those before may have been removed.
		m, err := f.stream.GetMsg(ctx, last+1, jetstream.WithGetMsgSubject(subjectRules))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil // All of them were removed.
		}
		if err != nil {
			return err
		}
		if m.Sequence <= last {
			return fmt.Errorf("NATS answers with message %d where one after %d was asked for", m.Sequence, last)
		}
		if err := f.hand(m.Sequence, m.Data); err != nil {
			return err
		}
	}
	return nil
}

func (f *session) hand(sequence uint64, data []byte) error {
	repeated, history := f.bus.advance(sequence)
	if !f.deliver(data, repeated, history) {
		return errDone
	}
	return nil
}

// look ends the session where the stream is another one, as after it was wiped and made again, and reads what was not told.
func (f *session) look(ctx context.Context, l look) error {
	switch {
	case errors.Is(l.err, jetstream.ErrStreamNotFound):
		return l.err
	case l.info == nil:
		return nil // It is looked at again.
	}
	if now := f.bus.at(); !l.info.Created.Equal(now.created) || l.info.State.LastSeq < l.last {
		return errOther
	}
	return f.read(ctx, l.info.State.LastSeq)
}

// look is how the stream was found, or why not.
type look struct {
	info *jetstream.StreamInfo
	err  error
	// last is what was handed over before it was looked at: what comes meanwhile does not make it another stream.
	last uint64
}

// watch looks at the stream until ctx ends.
func (b *Bus) watch(ctx context.Context, looks chan<- look) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l := look{last: b.at().last}
		s, err := b.stream(ctx, streamRules)
		if l.err = err; err == nil {
			l.info = s.CachedInfo()
		}
		select {
		case <-ctx.Done():
			return
		case looks <- l:
		}
	}
}

// stream is a stream, as it is now.
func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look at the stream %s: %w", name, err)
	}
	return s, nil
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
