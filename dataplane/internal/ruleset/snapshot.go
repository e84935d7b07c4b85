package ruleset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// refusal is an error that is counted.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string { return r.reason + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// loadSnapshot brings the newest snapshot that verifies into force, if one is newer than what is. It fails only where the
// source does.
func (f *Follower) loadSnapshot(ctx context.Context, from Snapshots) error {
	names, err := from.Snapshots(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, name := range newestFirst(names) {
		if !f.wants(manifestEpoch(name)) {
			continue
		}
		err := f.takeSnapshot(ctx, from, name)
		var r *refusal
		switch {
		case err == nil:
			return nil
		case errors.As(err, &r):
			if r.reason == refusedNeeds || r.reason == refusedMalformed || r.reason == refusedGuard {
				f.refusing.Store(&r.reason)
			}
			if !f.refused[name] {
				f.refused[name] = true
				f.refuse(r.reason, fmt.Errorf("snapshot %s: %w", name, r.err))
			}
		default:
			// It may have been removed meanwhile, for a newer one.
			failed = err
		}
	}
	return failed
}

// wants reports whether a snapshot of an epoch may be taken.
func (f *Follower) wants(at decision.Epoch) bool {
	return at.Compare(f.Epoch()) > 0 && at.Generation != f.frozen.Load()
}

// newestFirst are the names of manifests.
func newestFirst(names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return manifestEpoch(n) == decision.Epoch{} })
	slices.SortFunc(names, func(a, b string) int { return manifestEpoch(b).Compare(manifestEpoch(a)) })
	return names
}

// manifestEpoch is the epoch in a manifest's name; zero where the name is another object's.
func manifestEpoch(name string) decision.Epoch {
	generation, number, ok := strings.Cut(name, ".")
	g, err1 := strconv.ParseUint(generation, 10, 64)
	n, err2 := strconv.ParseUint(number, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return decision.Epoch{}
	}
	return decision.Epoch{Generation: g, Number: n}
}

// manifest opens a snapshot's manifest: what it says counts, not its name.
func (f *Follower) manifest(ctx context.Context, from Snapshots, name string) (raw []byte, m *rulesv1.SnapshotManifest, err error) {
	if raw, err = from.Snapshot(ctx, name); err != nil {
		return nil, nil, err
	}
	opened, err := f.opened(envelope.KindSnapshot, raw)
	if err != nil {
		return nil, nil, &refusal{openReason(err), err}
	}
	m = &rulesv1.SnapshotManifest{}
	if err := proto.Unmarshal(opened.Payload, m); err != nil {
		return nil, nil, &refusal{refusedMalformed, err}
	}
	if m.GetFleet() != f.verifier.Fleet() {
		return nil, nil, &refusal{refusedFleet, fmt.Errorf("it is fleet %q's", m.GetFleet())}
	}
	return raw, m, nil
}

// chunks hands over what a manifest is of, each as the manifest says.
func chunks(ctx context.Context, from Snapshots, name string, m *rulesv1.SnapshotManifest, yield func(i int, chunk []byte) error) error {
	for i, want := range m.GetChunkSha256() {
		chunk, err := from.Snapshot(ctx, name+"."+strconv.Itoa(i))
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(chunk); !slices.Equal(sum[:], want) {
			return &refusal{refusedHash, fmt.Errorf("chunk %d is not what the manifest says", i)}
		}
		if err := yield(i, chunk); err != nil {
			return err
		}
	}
	return nil
}

// part is a chunk, its records apart. text is the chunk's bytes again: texts of the state are copied out of it once.
type part struct {
	i       int
	chunk   []byte
	records []encoded
}

// encoded is a record, and its digest.
type encoded struct {
	raw    []byte
	text   string
	digest decision.Digest
}

// put puts a record into e.
func (f *Follower) put(e *decision.Editor, r *encoded) error {
	if f.zones.plain(e.Of(r.digest), r.text) {
		return nil
	}
	m := &rulesv1.Record{}
	if err := proto.Unmarshal(r.raw, m); err != nil {
		return err
	}
	return f.set(e.Of(r.digest), m)
}

// partsAhead is how many chunks are read and decoded while one is applied: enough to keep another core busy, and few enough to hold.
const partsAhead = 2

// parts hands over a snapshot's chunks, decoded ahead.
func parts(ctx context.Context, from Snapshots, name string, m *rulesv1.SnapshotManifest, yield func(part) error) error {
	ctx, cancel := context.WithCancel(ctx)
	ready, failed := make(chan part, partsAhead), make(chan error, 1)
	go func() {
		defer close(ready)
		failed <- chunks(ctx, from, name, m, func(i int, chunk []byte) error {
			records, err := apart(chunk)
			if err != nil {
				return &refusal{refusedMalformed, fmt.Errorf("chunk %d: %w", i, err)}
			}
			select {
			case ready <- part{i, chunk, records}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var err error
	for p := range ready {
		if err == nil {
			if err = yield(p); err != nil {
				cancel()
			}
		}
	}
	cancel()
	return cmp.Or(err, <-failed)
}

// takeSnapshot applies one snapshot, and keeps it.
func (f *Follower) takeSnapshot(ctx context.Context, from Snapshots, name string) error {
	raw, m, err := f.manifest(ctx, from, name)
	if err != nil {
		return err
	}
	at := decision.Epoch{Generation: m.GetGeneration(), Number: m.GetNumber()}
	if !f.wants(at) {
		return &refusal{refusedRollback, fmt.Errorf("it holds %d.%d", at.Generation, at.Number)}
	}
	if err := f.unmet(m.GetNeeds()); err != nil {
		return &refusal{refusedNeeds, err}
	}
	copied := f.copySnapshot(at)
	defer copied.release()
	// The disk is slow where each write has to be durable: it works beside.
	toDisk, onDisk := make(chan part, partsAhead), make(chan struct{})
	go func() {
		defer close(onDisk)
		for p := range toDisk {
			copied.chunk(p.i, p.chunk)
		}
	}()
	edit := decision.Edit(nil)
	err = parts(ctx, from, name, m, func(p part) error {
		for j := range p.records {
			if err := f.put(edit, &p.records[j]); err != nil {
				return &refusal{reasonOf(err), fmt.Errorf("chunk %d, record %d: %w", p.i, j, err)}
			}
		}
		toDisk <- p
		return nil
	})
	close(toDisk)
	<-onDisk
	if err != nil {
		return err
	}
	state, err := edit.Build(at)
	if err != nil {
		return &refusal{refusedMalformed, err}
	}
	if err := agrees(state, m.GetStateHash()); err != nil {
		return &refusal{refusedHash, err}
	}
	change := transition{to: state, all: true, created: m.GetCreatedAt().AsTime()}
	if e := f.current.Load(); e != nil {
		change.from = e.state
	}
	if err := f.guarded(change); err != nil {
		return &refusal{refusedGuard, err}
	}
	if err := copied.end(raw); f.disk.disk != nil && !f.disk.restoring {
		if err != nil {
			f.disk.disk.Lost(at)
		}
		f.diskDid(err)
	}
	// The hashes of what the snapshot skips are not known.
	clear(f.known)
	f.remember(at, m.GetHeadHash())
	f.enforce(newEnforced(state, m.GetHeadHash()))
	licenses, credentials := state.Counts()
	f.log.Info("took a snapshot", "generation", at.Generation, "number", at.Number, "licenses", licenses, "credentials", credentials)
	return nil
}
