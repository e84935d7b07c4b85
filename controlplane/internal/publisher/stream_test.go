package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/controlplane/internal/publisher"
	"tollgate/dataplane/decision"
)

// What is read of a rule state and not stored yet is a chunk, however large the state is.
func TestPublisher_HoldsOneChunkOfASnapshot(t *testing.T) {
	t.Parallel()
	const size, records = 10_000, 1000 // Ten chunks.
	p := setup(t)
	var read, stored, most atomic.Int64
	p.state = func(_ context.Context, at publisher.Head, yield func(publisher.Head, []byte) error) (publisher.Head, error) {
		read.Store(0)
		stored.Store(0)
		var sum decision.Digest
		for i := range records {
			sum = sum.Plus(decision.DigestOf(bytes.Repeat([]byte{byte(i)}, size)))
		}
		at.StateHash = &sum
		for i := range records {
			if err := yield(at, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				return at, err
			}
			most.Store(max(most.Load(), read.Add(size)-stored.Load()))
		}
		return at, nil
	}
	p.stored = func(name string, data []byte) error {
		if strings.Count(name, ".") == 2 {
			stored.Add(int64(len(data)))
		}
		return nil
	}
	epoch := p.write(t, 1, "m")
	p.run(t, false)
	until(t, "the snapshot", func() bool { return p.snapshots(t)[epoch.Number] != nil })
	if got := most.Load(); got > 1<<20 {
		t.Errorf("%d bytes were read and not stored", got)
	}
	if got := len(p.snapshots(t)[epoch.Number].GetChunkSha256()); got != 10 {
		t.Errorf("%d chunks, want 10", got)
	}
}

// lines counts what is logged.
type lines struct {
	slog.Handler
	mu   sync.Mutex
	said map[string]int
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			l.said[r.Message+": "+a.Value.String()]++
		}
		return true
	})
	return nil
}

func (l *lines) of(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line, times := range l.said {
		if strings.Contains(line, text) {
			n += times
		}
	}
	return n
}

// A store that is full stays so for a while. What was stored of a snapshot in vain is removed, each attempt rests longer than the one before, and the
// reason is said once.
func TestPublisher_RestsAfterASnapshotThatFailed(t *testing.T) {
	t.Parallel()
	p := setup(t)
	log := &lines{Handler: slog.DiscardHandler, said: map[string]int{}}
	p.log = log
	full := errors.New("the store is full")
	var mu sync.Mutex
	var attempts []time.Time
	broken := true
	p.stored = func(name string, _ []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if strings.Count(name, ".") != 1 {
			return nil
		}
		attempts = append(attempts, time.Now())
		if broken {
			return full
		}
		return nil
	}
	epoch := p.write(t, 2, "m")
	stop := p.run(t, false)
	until(t, "three attempts", func() bool { mu.Lock(); defer mu.Unlock(); return len(attempts) >= 3 })
	if got := log.of(full.Error()); got != 1 {
		t.Errorf("the reason was said %d times", got)
	}
	mu.Lock()
	first, second := attempts[1].Sub(attempts[0]), attempts[2].Sub(attempts[1])
	mu.Unlock()
	if first < time.Second || second < 2*time.Second {
		t.Errorf("it rested %s, then %s", first, second)
	}
	until(t, "the chunks to be removed", func() bool { return len(p.names(t)) == 0 })
	mu.Lock()
	broken = false
	mu.Unlock()
	until(t, "the snapshot", func() bool { return p.snapshots(t)[epoch.Number] != nil })
	p.records(t, p.snapshots(t)[epoch.Number])
	stop()
}
