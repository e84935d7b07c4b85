package bus

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

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

// PublishRules appends a signed envelope, if the stream's last sequence is still last. Otherwise conflict is true and
// nothing was published: somebody else published meanwhile, or the stream was wiped.
func (b *Bus) PublishRules(ctx context.Context, epoch string, data []byte, last uint64) (sequence uint64, conflict bool, err error) {
	m := &nats.Msg{Subject: SubjectRules, Data: data, Header: nats.Header{headerEpoch: {epoch}}}
	err = b.retry(ctx, func() error {
		ack, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequence(last))
		var api *jetstream.APIError
		if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
			api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
			conflict = true
			return nil
		}
		if err != nil {
			return err
		}
		sequence = ack.Sequence
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("publish epoch %s: %w", epoch, err)
	}
	return sequence, conflict, nil
}

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
