package publisher

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

const (
	// snapshotEvery is Config.SnapshotEvery's default.
	snapshotEvery = 256
	// snapshotsKept is how many snapshots stay, so that a node may finish reading an old one.
	snapshotsKept = 3
	// maxChunk bounds the encoded size of a chunk of more than one record.
	maxChunk = 1 << 20
)

func manifestName(e decision.Epoch) string { return fmt.Sprintf("%d.%020d", e.Generation, e.Number) }

func chunkName(e decision.Epoch, i int) string { return fmt.Sprintf("%s.%d", manifestName(e), i) }

// parseName is the epoch that an object belongs to, and whether it is the manifest.
func parseName(name string) (e decision.Epoch, manifest, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 2 && len(parts) != 3 {
		return e, false, false
	}
	g, err1 := strconv.ParseUint(parts[0], 10, 64)
	n, err2 := strconv.ParseUint(parts[1], 10, 64)
	return decision.Epoch{Generation: g, Number: n}, len(parts) == 2, err1 == nil && err2 == nil
}

// leadBackEvery is how often a node that has gone astray gets a snapshot: making one reads the whole rule state.
const leadBackEvery = time.Minute

// leadBack makes a snapshot due where a node has gone astray and none is newer than what it may have: in a fleet in which little changes the next one
// could be days away.
func (p *Publisher) leadBack(ctx context.Context, now time.Time) error {
	if p.due || p.making || p.tail.snapshot.Compare(p.tail.epoch) >= 0 || now.Sub(p.ledBack) < leadBackEvery {
		return nil
	}
	astray, err := p.store.Astray(ctx)
	if err == nil && astray {
		p.log.Warn("change sets lead a node to another state than the one that was meant: making a snapshot for it")
		p.due, p.ledBack = true, now
	}
	return err
}

// made is how the making of a snapshot ended.
type made struct {
	at decision.Epoch
	// key signed the newest snapshot.
	key ed25519.PublicKey
	err error
	// untrimmed is why older ones did not go.
	untrimmed error
}

// snapshot begins to make a snapshot, if one is due and none is being made, and to remove what is needless then. A large rule state takes its time, as
// does looking through what is stored, and change sets and heartbeats go on meanwhile.
func (p *Publisher) snapshot(ctx context.Context) {
	if !p.due || p.making {
		return
	}
	p.making = true
	end := p.tail
	p.working.Go(func() { p.made <- p.renew(ctx, end) })
}

// renew makes a snapshot: what is older may go. end is where the stream ended before.
func (p *Publisher) renew(ctx context.Context, end tail) made {
	at, err := p.make(ctx)
	if err != nil {
		return made{err: err}
	}
	newest, err := p.newestSnapshot(ctx)
	if err == nil && newest.epoch.Compare(at) < 0 {
		err = fmt.Errorf("the snapshot of epoch %s is gone again", label(at))
	}
	if err != nil {
		return made{err: err}
	}
	return made{at: at, key: newest.key, untrimmed: p.trim(ctx, end)}
}

// ended takes up a snapshot that was made.
func (p *Publisher) ended(m made) error {
	p.making = false
	if m.err != nil {
		return fmt.Errorf("make a snapshot: %w", m.err)
	}
	// Signed by the key before this one, it will not do for long.
	p.tail.snapshot, p.due = m.at, !m.key.Equal(p.key)
	if m.untrimmed != nil {
		return fmt.Errorf("remove what is older than a snapshot: %w", m.untrimmed)
	}
	return nil
}

// errResynced: nodes were told something else than the rule state, and are told now. A snapshot comes after that.
var errResynced = errors.New("what nodes were told differed from the rule state: the difference is published before a snapshot is made")

// make stores the newest rule state, its manifest last: a manifest that is there is whole.
//
// A rule state that is not what change sets add up to is brought in line first: nodes that took one and nodes that took the other would enforce
// different rules.
func (p *Publisher) make(ctx context.Context) (decision.Epoch, error) {
	head, chunks, sum, err := p.state(ctx)
	if err == nil && head.StateHash == nil {
		// A database of a release that knew no state hash.
		if _, err = p.store.Resync(ctx); err == nil {
			head, chunks, sum, err = p.state(ctx)
		}
	}
	if err != nil {
		return decision.Epoch{}, err
	}
	if head.StateHash == nil || *head.StateHash != sum {
		changes, err := p.store.Resync(ctx)
		if err != nil {
			return decision.Epoch{}, fmt.Errorf("publish what nodes were not told: %w", err)
		}
		p.metrics.resynced.Add(float64(changes))
		return decision.Epoch{}, fmt.Errorf("%w: %d changes at epoch %s", errResynced, changes, label(head.Epoch))
	}
	return head.Epoch, p.put(ctx, head, chunks)
}

// state is the rule state in encoded chunks, with the sum of its records' digests.
func (p *Publisher) state(ctx context.Context) (head Head, chunks [][]byte, sum decision.Digest, err error) {
	var chunk []byte
	head, err = p.store.RuleState(ctx, func(record []byte) error {
		sum = sum.Plus(decision.DigestOf(record))
		if len(chunk) > 0 && len(chunk)+len(record) > maxChunk {
			chunks, chunk = append(chunks, chunk), nil
		}
		chunk = protowire.AppendBytes(protowire.AppendTag(chunk, recordsField, protowire.BytesType), record)
		return nil
	})
	if err != nil {
		return head, nil, sum, fmt.Errorf("read the rule state: %w", err)
	}
	if len(chunk) > 0 {
		chunks = append(chunks, chunk)
	}
	return head, chunks, sum, nil
}

// recordsField is SnapshotChunk.records.
var recordsField = (&rulesv1.SnapshotChunk{}).ProtoReflect().Descriptor().Fields().ByName("records").Number()

func (p *Publisher) put(ctx context.Context, head Head, chunks [][]byte) error {
	at := head.Epoch
	manifest := &rulesv1.SnapshotManifest{
		Fleet: p.verifier.Fleet(), Generation: at.Generation, Number: at.Number, HeadHash: head.Hash,
		CreatedAt: timestamppb.Now(), StateHash: head.StateHash[:],
	}
	for i, c := range chunks {
		sum := sha256.Sum256(c)
		manifest.ChunkSha256 = append(manifest.ChunkSha256, sum[:])
		if err := p.stream.PutSnapshot(ctx, chunkName(at, i), c); err != nil {
			return err
		}
	}
	payload, err := proto.Marshal(manifest)
	if err != nil {
		return fmt.Errorf("encode snapshot manifest: %w", err)
	}
	raw, err := p.signer.Sign(envelope.KindSnapshot, payload)
	if err != nil {
		return fmt.Errorf("sign snapshot: %w", err)
	}
	if err := p.stream.PutSnapshot(ctx, manifestName(at), raw); err != nil {
		return err
	}
	p.metrics.snapshots.Inc()
	p.log.Info("stored a snapshot", "epoch", label(at), "chunks", len(chunks))
	return nil
}

// snapshotHead is where a stored snapshot ends, and the key that signed it.
type snapshotHead struct {
	epoch decision.Epoch
	hash  []byte
	key   ed25519.PublicKey
}

// stored lists the snapshots that are whole and ours, oldest first, and the names of all objects.
func (p *Publisher) stored(ctx context.Context) ([]snapshotHead, []string, error) {
	names, err := p.stream.Snapshots(ctx)
	if err != nil {
		return nil, nil, err
	}
	var heads []snapshotHead
	for _, name := range names {
		e, manifest, ok := parseName(name)
		if !ok || !manifest {
			continue
		}
		raw, ok, err := p.stream.Snapshot(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			continue
		}
		m, key, err := p.openManifest(raw)
		if err != nil || m.GetGeneration() != e.Generation || m.GetNumber() != e.Number {
			p.log.Warn("found a snapshot that is not ours", "name", name, "error", err)
			continue
		}
		if !whole(e, m, names) {
			continue // The store lost a part of it, while it was made or since.
		}
		heads = append(heads, snapshotHead{e, m.GetHeadHash(), key})
	}
	slices.SortFunc(heads, func(a, b snapshotHead) int { return a.epoch.Compare(b.epoch) })
	return heads, names, nil
}

// whole reports whether all of a manifest's chunks are there.
func whole(e decision.Epoch, m *rulesv1.SnapshotManifest, names []string) bool {
	for i := range m.GetChunkSha256() {
		if !slices.Contains(names, chunkName(e, i)) {
			return false
		}
	}
	return true
}

func (p *Publisher) openManifest(raw []byte) (*rulesv1.SnapshotManifest, ed25519.PublicKey, error) {
	opened, err := p.verifier.Open(envelope.KindSnapshot, raw, time.Now())
	if err != nil {
		return nil, nil, err
	}
	m := &rulesv1.SnapshotManifest{}
	if err := proto.Unmarshal(opened.Payload, m); err != nil {
		return nil, nil, fmt.Errorf("decode snapshot manifest: %w", err)
	}
	return m, opened.Signer.PublicKey, nil
}

// newestSnapshot is the newest that is stored; zero where there is none.
func (p *Publisher) newestSnapshot(ctx context.Context) (snapshotHead, error) {
	heads, _, err := p.stored(ctx)
	if err != nil || len(heads) == 0 {
		return snapshotHead{}, err
	}
	return heads[len(heads)-1], nil
}

// trim removes all but the newest snapshots, those of former generations with them, and the messages that even the oldest of these has made needless.
func (p *Publisher) trim(ctx context.Context, end tail) error {
	heads, names, err := p.stored(ctx)
	if err != nil || len(heads) == 0 {
		return err
	}
	var kept []decision.Epoch
	for _, h := range heads[max(0, len(heads)-snapshotsKept):] {
		if h.epoch.Generation == heads[len(heads)-1].epoch.Generation {
			kept = append(kept, h.epoch)
		}
	}
	// Sorted, a manifest comes before its chunks: nobody finds a manifest without them.
	for _, name := range names {
		if e, _, ok := parseName(name); ok && slices.Contains(kept, e) {
			continue
		}
		if err := p.stream.DeleteSnapshot(ctx, name); err != nil {
			return err
		}
	}
	return p.purge(ctx, kept[0], end)
}

// purge removes the messages up to an epoch, but none from end on: a stream that holds none does not say where it ends.
func (p *Publisher) purge(ctx context.Context, upTo decision.Epoch, end tail) error {
	first, _, err := p.stream.RulesBounds(ctx)
	if err != nil {
		return err
	}
	seq := first
	if skip, err := p.before(ctx, upTo, end); err != nil {
		return err
	} else if skip > seq {
		seq = skip
	}
	for ; seq < end.sequence; seq++ {
		env, _, err := p.message(ctx, seq)
		if err != nil {
			return err
		}
		if env != nil && (decision.Epoch{Generation: env.GetGeneration(), Number: env.GetTo()}).Compare(upTo) > 0 {
			break
		}
	}
	if seq == first {
		return nil
	}
	return p.stream.PurgeRules(ctx, seq)
}

// before is the sequence of an epoch where nothing foreign lies between it and end, as then each number has a sequence of its own. 0: it is not known.
func (p *Publisher) before(ctx context.Context, at decision.Epoch, end tail) (uint64, error) {
	ahead := end.epoch.Number - at.Number
	if at.Generation != end.epoch.Generation || at.Number > end.epoch.Number || ahead >= end.sequence {
		return 0, nil
	}
	env, _, err := p.message(ctx, end.sequence-ahead)
	if err != nil || env == nil || env.GetGeneration() != at.Generation || env.GetTo() != at.Number {
		return 0, err
	}
	return end.sequence - ahead, nil
}
