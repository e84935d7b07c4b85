package bus

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// RulesBounds are the sequences of the first and the last message on the rules stream; an empty stream has
// first = last + 1.
func (b *Bus) RulesBounds(ctx context.Context) (first, last uint64, err error) {
	err = b.retry(ctx, func() error {
		s, err := b.js.Stream(ctx, streamRules)
		if err != nil {
			return err
		}
		state := s.CachedInfo().State
		first, last = max(state.FirstSeq, 1), state.LastSeq
		if state.Msgs == 0 {
			first = last + 1
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("look at the rules stream: %w", err)
	}
	return first, last, nil
}

// RulesMessage is the message at a sequence; false where there is none.
func (b *Bus) RulesMessage(ctx context.Context, sequence uint64) (data []byte, ok bool, err error) {
	err = b.retry(ctx, func() error {
		s, err := b.js.Stream(ctx, streamRules)
		if err != nil {
			return err
		}
		m, err := s.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		data, ok = m.Data, true
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the rules stream at %d: %w", sequence, err)
	}
	return data, ok, nil
}

// PublishRules appends signed envelopes, one after the other and nothing in between, if the stream's last sequence is still last. It says how many of
// them it appended, from the first on. Otherwise conflict is true: somebody else published meanwhile, or the stream was wiped, and none of the rest was
// appended. After an error nothing is known of those that it does not count.
func (b *Bus) PublishRules(ctx context.Context, epochs []string, data [][]byte, last uint64) (appended int, conflict bool, err error) {
	err = b.retry(ctx, func() error {
		appended, conflict, err = b.appendRules(ctx, epochs, data, last)
		return err
	})
	if err != nil {
		return appended, false, fmt.Errorf("publish epoch %s: %w", epochs[appended], err)
	}
	return appended, conflict, nil
}

// ackWithin is how long one acknowledgement is waited for. What the client has waited for in vain it forgets: it takes no more than some at once.
const ackWithin = 2 * time.Second

// appendRules sends all messages before it waits for the first acknowledgement. A sequence alone would not keep them together: were the first refused
// since somebody else's message took its place, the second would find that as many are on the stream as it expects. So each names the message before it,
// too, by an id that no other ever has.
func (b *Bus) appendRules(ctx context.Context, epochs []string, data [][]byte, last uint64) (appended int, conflict bool, err error) {
	chain := rand.Text()
	id := func(i int) string { return fmt.Sprintf("%s.%d", chain, i) }
	sent := make([]jetstream.PubAckFuture, 0, len(data))
	var failed error
	for i := range data {
		m := &nats.Msg{Subject: SubjectRules, Data: data[i], Header: nats.Header{headerEpoch: {epochs[i]}}}
		options := []jetstream.PublishOpt{jetstream.WithExpectLastSequence(last + uint64(i)), jetstream.WithMsgID(id(i))}
		if i > 0 {
			options = append(options, jetstream.WithExpectLastMsgID(id(i-1)))
		}
		f, err := b.js.PublishMsgAsync(m, options...)
		if err != nil {
			failed = err
			break
		}
		sent = append(sent, f)
	}
	for _, f := range sent {
		switch err := acknowledged(ctx, f); {
		case wrongLast(err):
			return appended, true, nil
		case err != nil:
			return appended, false, err
		}
		appended++
	}
	return appended, false, failed
}

func acknowledged(ctx context.Context, f jetstream.PubAckFuture) error {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wrongLast reports whether a message was refused as it did not follow on what it named.
func wrongLast(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return false
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant, codeWrongLastID:
		return true
	}
	return false
}

// codeWrongLastID is JSStreamWrongLastMsgIDErrF of the server, for which the client has no name.
const codeWrongLastID jetstream.ErrorCode = 10070

// PurgeRules removes the messages before a sequence.
func (b *Bus) PurgeRules(ctx context.Context, before uint64) error {
	err := b.retry(ctx, func() error {
		s, err := b.js.Stream(ctx, streamRules)
		if err != nil {
			return err
		}
		return s.Purge(ctx, jetstream.WithPurgeSequence(before))
	})
	if err != nil {
		return fmt.Errorf("purge the rules stream before %d: %w", before, err)
	}
	return nil
}

// objectPart is what one message holds of an object, under what servers take by default. Nodes get them one by one.
const objectPart = 512 << 10

// PutSnapshot stores one object of a snapshot.
func (b *Bus) PutSnapshot(ctx context.Context, name string, data []byte) error {
	err := b.retry(ctx, func() error {
		store, err := b.js.ObjectStore(ctx, snapshots)
		if err != nil {
			return err
		}
		_, err = store.Put(ctx, jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: objectPart}}, bytes.NewReader(data))
		return err
	})
	if err != nil {
		return fmt.Errorf("store snapshot object %s: %w", name, err)
	}
	return nil
}

// Snapshot is one stored object; false where there is none.
func (b *Bus) Snapshot(ctx context.Context, name string) (data []byte, ok bool, err error) {
	err = b.retry(ctx, func() error {
		store, err := b.js.ObjectStore(ctx, snapshots)
		if err != nil {
			return err
		}
		data, err = store.GetBytes(ctx, name)
		if errors.Is(err, jetstream.ErrObjectNotFound) {
			return nil
		}
		ok = err == nil
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read snapshot object %s: %w", name, err)
	}
	return data, ok, nil
}

// Snapshots are the names of all stored objects, sorted.
func (b *Bus) Snapshots(ctx context.Context) ([]string, error) {
	var names []string
	err := b.retry(ctx, func() error {
		store, err := b.js.ObjectStore(ctx, snapshots)
		if err != nil {
			return err
		}
		list, err := store.List(ctx)
		if errors.Is(err, jetstream.ErrNoObjectsFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, o := range list {
			names = append(names, o.Name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// DeleteSnapshot removes one object.
func (b *Bus) DeleteSnapshot(ctx context.Context, name string) error {
	err := b.retry(ctx, func() error {
		store, err := b.js.ObjectStore(ctx, snapshots)
		if err != nil {
			return err
		}
		if err := store.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
			return err
		}
		// What the store leaves to say that there was one would stay for ever.
		s, err := b.js.Stream(ctx, "OBJ_"+snapshots)
		if err != nil {
			return err
		}
		return s.Purge(ctx, jetstream.WithPurgeSubject("$O."+snapshots+".M."+base64.URLEncoding.EncodeToString([]byte(name))))
	})
	if err != nil {
		return fmt.Errorf("delete snapshot object %s: %w", name, err)
	}
	return nil
}
