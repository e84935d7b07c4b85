package ruleset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/rulefile"
	"tollgate/dataplane/internal/ruleset"
)

// carrier is what lies between a man in the middle and a node: a rules stream, and the snapshots' objects.
type carrier interface {
	rules(raw []byte)
	put(name string, raw []byte)
	wipe()
	cut(down bool)
	// connect is one node process's connection to it.
	connect() ruleset.Source
}

// watched calls handed after each message that the node has dealt with.
type watched struct {
	ruleset.Source
	handed func()
}

func (w *watched) FollowRules(ctx context.Context, again bool, deliver func(raw []byte, repeated, history bool) bool) error {
	return w.Source.FollowRules(ctx, again, func(raw []byte, repeated, history bool) bool {
		more := deliver(raw, repeated, history)
		w.handed()
		return more
	})
}

// wire is a carrier without a network. A node reads it through a reader.
type wire struct {
	mu      sync.Mutex
	created int // Which stream it is: a wiped one is another.
	stream  [][]byte
	objects map[string][]byte
	down    bool
	changed chan struct{} // Closed, and replaced, with each change.
}

func newWire() *wire { return &wire{objects: map[string][]byte{}, changed: make(chan struct{})} }

func (w *wire) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *wire) rules(raw []byte) { w.change(func() { w.stream = append(w.stream, bytes.Clone(raw)) }) }
func (w *wire) put(name string, raw []byte) {
	w.change(func() { w.objects[name] = bytes.Clone(raw) })
}
func (w *wire) wipe()         { w.change(func() { w.created++; w.stream = nil; clear(w.objects) }) }
func (w *wire) cut(down bool) { w.change(func() { w.down = down }) }

func (w *wire) connect() ruleset.Source { return &reader{wire: w} }

// reader is one node process's connection to the wire. It has the bus's way of counting what was handed over.
type reader struct {
	*wire
	attached      bool
	stream0, born int
	last, seen    int
}

var errOther = errors.New("the stream is another one than before")

func (r *reader) Snapshots(context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errDown
	}
	return slices.Collect(maps.Keys(r.objects)), nil
}

func (r *reader) Snapshot(_ context.Context, name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, ok := r.objects[name]
	if r.down || !ok {
		return nil, fmt.Errorf("read %s: %w", name, errDown)
	}
	return bytes.Clone(raw), nil
}

func (r *reader) FollowRules(ctx context.Context, again bool, deliver func(raw []byte, repeated, history bool) bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.attached || r.stream0 != r.created {
		r.attached, r.stream0, r.born, r.last, r.seen = true, r.created, len(r.stream), 0, 0
	}
	if again {
		r.last = 0
	}
	for {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case r.down:
			return errDown
		case r.stream0 != r.created:
			return errOther
		case r.last < len(r.stream):
			raw := bytes.Clone(r.stream[r.last])
			r.last++
			repeated, history := r.last <= r.seen, r.last <= r.born
			r.seen = max(r.seen, r.last)
			r.mu.Unlock()
			more := deliver(raw, repeated, history)
			r.mu.Lock()
			if !more {
				return nil
			}
		default:
			changed := r.changed
			r.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-changed:
			}
			r.mu.Lock()
		}
	}
}

// mortal is a disk whose process may be killed between two of its operations, or as one of them ends: what it does from then on does not
// happen.
type mortal struct {
	*rulefile.Store
	// begins is called before each operation, and stalls before each that has to be durable.
	begins, stalls func()
	mu             sync.Mutex
	left           int // Operations until then; negative: none counts.
	undone         bool
	dead           bool
}

// die kills the process after so many more operations; 0: now. undone: the last of them does not happen any more.
func (m *mortal) die(after int, undone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.undone, m.dead = after, undone, m.dead || after == 0
}

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// do does an operation, if the process lives.
func (m *mortal) do(f func() error) error {
	m.begins()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left > 0 {
		m.left--
		if m.left == 0 && !m.dead {
			m.dead = true
			if !m.undone {
				return f()
			}
		}
	}
	if m.dead {
		return nil
	}
	return f()
}

func (m *mortal) Put(name string, object []byte) error {
	return m.do(func() error { return m.Store.Put(name, object) })
}

func (m *mortal) Begin(at decision.Epoch) error {
	return m.do(func() error { return m.Store.Begin(at) })
}

func (m *mortal) Append(to decision.Epoch, raw []byte, durable bool) error {
	if durable {
		m.stalls()
	}
	return m.do(func() error { return m.Store.Append(to, raw, durable) })
}

func (m *mortal) Freeze(generation uint64) error {
	return m.do(func() error { return m.Store.Freeze(generation) })
}

func (m *mortal) Forget(at decision.Epoch) { _ = m.do(func() error { m.Store.Forget(at); return nil }) }

func (m *mortal) Lost(at decision.Epoch) { _ = m.do(func() error { m.Store.Lost(at); return nil }) }

func (m *mortal) Seen(raw []byte, age time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil
	}
	return m.Store.Seen(raw, age)
}

func (m *mortal) Close(last []byte, age time.Duration, clean bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil
	}
	return m.Store.Close(last, age, clean)
}
