package publisher

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
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

// snapshot stores the newest rule state, its manifest last: a manifest that is there is whole. Then it removes what is too old.
func (p *Publisher) snapshot(ctx context.Context) error {
	var chunks [][]byte
	chunk, size := &rulesv1.SnapshotChunk{}, 0
	flush := func() error {
		raw, err := proto.Marshal(chunk)
		if err != nil {
			return fmt.Errorf("encode snapshot chunk: %w", err)
		}
		chunks = append(chunks, raw)
		chunk, size = &rulesv1.SnapshotChunk{}, 0
		return nil
	}
	at, hash, err := p.store.RuleState(ctx, func(r *rulesv1.Record) error {
		n := 1 + protowire.SizeBytes(proto.Size(r))
		if size > 0 && size+n > maxChunk {
			if err := flush(); err != nil {
				return err
			}
		}
		size += n
		chunk.Records = append(chunk.Records, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the rule state: %w", err)
	}
	if size > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	manifest := &rulesv1.SnapshotManifest{
		Fleet: p.verifier.Fleet(), Generation: at.Generation, Number: at.Number, HeadHash: hash,
		CreatedAt: timestamppb.Now(),
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
	p.tail.snapshot = at
	p.metrics.snapshots.Inc()
	p.log.Info("stored a snapshot", "epoch", label(at), "chunks", len(chunks))
	return p.trim(ctx)
}

// stored lists the snapshots that are whole and ours, oldest first, with the key that signed the last one, and the names of all objects.
func (p *Publisher) stored(ctx context.Context) ([]decision.Epoch, ed25519.PublicKey, []string, error) {
	names, err := p.stream.Snapshots(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	var epochs []decision.Epoch
	signers := map[decision.Epoch]ed25519.PublicKey{}
	for _, name := range names {
		e, manifest, ok := parseName(name)
		if !ok || !manifest {
			continue
		}
		raw, ok, err := p.stream.Snapshot(ctx, name)
		if err != nil {
			return nil, nil, nil, err
		}
		if !ok {
			continue
		}
		m, key, err := p.openManifest(raw)
		if err != nil || m.GetGeneration() != e.Generation || m.GetNumber() != e.Number {
			p.log.Warn("found a snapshot that is not ours", "name", name, "error", err)
			continue
		}
		epochs = append(epochs, e)
		signers[e] = key
	}
	if len(epochs) == 0 {
		return nil, nil, names, nil
	}
	slices.SortFunc(epochs, decision.Epoch.Compare)
	return epochs, signers[epochs[len(epochs)-1]], names, nil
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

// newestSnapshot is the newest that is stored, and the key that signed it; zero where there is none.
func (p *Publisher) newestSnapshot(ctx context.Context) (decision.Epoch, ed25519.PublicKey, error) {
	epochs, key, _, err := p.stored(ctx)
	if err != nil || len(epochs) == 0 {
		return decision.Epoch{}, nil, err
	}
	return epochs[len(epochs)-1], key, nil
}

// trim removes all but the newest snapshots, and the messages that even the oldest of these has made needless.
func (p *Publisher) trim(ctx context.Context) error {
	epochs, _, names, err := p.stored(ctx)
	if err != nil || len(epochs) == 0 {
		return err
	}
	kept := epochs[max(0, len(epochs)-snapshotsKept):]
	// Sorted, a manifest comes before its chunks: nobody finds a manifest without them.
	for _, name := range names {
		if e, _, ok := parseName(name); ok && slices.Contains(kept, e) {
			continue
		}
		if err := p.stream.DeleteSnapshot(ctx, name); err != nil {
			return err
		}
	}
	return p.purge(ctx, kept[0])
}

// purge removes the messages up to an epoch, but never the last one: it says where the stream ends.
func (p *Publisher) purge(ctx context.Context, upTo decision.Epoch) error {
	first, _, err := p.stream.RulesBounds(ctx)
	if err != nil {
		return err
	}
	seq := first
	for ; seq < p.tail.sequence; seq++ {
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
