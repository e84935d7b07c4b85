package ruleset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// writers is how many chunks are on their way to the disk at once.
const writers = 4

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
	// The disk is slow where each write has to be durable: it works beside, and waits for several at once.
	toDisk := make(chan part, chunksAhead)
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for p := range toDisk {
				copied.chunk(p.i, p.chunk)
			}
		})
	}
	edit := decision.Edit(nil)
	err = f.parts(ctx, from, name, m, func(p part) error {
		edit.Take(p.many)
		for _, r := range p.few {
			if err := f.set(edit.Of(r.digest), r.record); err != nil {
				return &refusal{reasonOf(err), fmt.Errorf("chunk %d, record %d: %w", p.i, r.j, err)}
			}
		}
		toDisk <- p
		return nil
	})
	close(toDisk)
	writing.Wait()
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
