package ruleset

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// part is a chunk, and its records.
type part struct {
	i     int
	chunk []byte
	// many are the changes of tables, few the records of the other kinds.
	many *decision.Batch
	few  []decoded
}

// decoded is the j-th record of a chunk.
type decoded struct {
	j      int
	record *rulesv1.Record
	digest decision.Digest
}

// chunk reads what a manifest says is there.
func chunk(ctx context.Context, from Snapshots, name string, m *rulesv1.SnapshotManifest, i int) ([]byte, error) {
	chunk, err := from.Snapshot(ctx, name+"."+strconv.Itoa(i))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(chunk); !slices.Equal(sum[:], m.GetChunkSha256()[i]) {
		return nil, &refusal{refusedHash, fmt.Errorf("chunk %d is not what the manifest says", i)}
	}
	return chunk, nil
}

// chunksAhead is how many chunks are read and decoded, for each processor, while one is applied: enough to wait for the source and the
// disk meanwhile, and few enough to hold.
const chunksAhead = 2

// ahead calls get for each number below n, a few of them at a time, and hands over what comes in order. It returns after all calls have; the first error
// ends it.
func ahead[T any](ctx context.Context, n int, get func(ctx context.Context, i int) (T, error), yield func(T) error) error {
	type result struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan chan result, chunksAhead*runtime.GOMAXPROCS(0))
	go func() {
		defer close(results)
		for i := range n {
			r := make(chan result, 1)
			results <- r // Whoever cancels reads on.
			if err := ctx.Err(); err != nil {
				r <- result{err: err}
				return
			}
			go func() {
				value, err := get(ctx, i)
				r <- result{value, err}
			}()
		}
	}()
	var failed error
	for r := range results {
		got := <-r
		if failed == nil {
			if failed = got.err; failed == nil {
				failed = yield(got.value)
			}
		}
		if failed != nil {
			cancel()
		}
	}
	return failed
}

// parts hands over a snapshot's chunks in order, decoded. A part's batch is used again after yield, which leaves it empty.
func (f *Follower) parts(ctx context.Context, from Snapshots, name string, m *rulesv1.SnapshotManifest, yield func(part) error) error {
	// Batches are used again: to grow each anew would be most of the garbage.
	unused := make(chan *decision.Batch, 2*chunksAhead*runtime.GOMAXPROCS(0))
	return ahead(ctx, len(m.GetChunkSha256()), func(ctx context.Context, i int) (part, error) {
		chunk, err := chunk(ctx, from, name, m, i)
		if err != nil {
			return part{}, err
		}
		var many *decision.Batch
		select {
		case many = <-unused:
		default:
			many = &decision.Batch{}
		}
		return f.decode(part{i: i, chunk: chunk, many: many})
	}, func(p part) error {
		err := yield(p)
		select {
		case unused <- p.many:
		default:
		}
		return err
	})
}

// decode reads a chunk's records. It may be called by many goroutines.
func (f *Follower) decode(p part) (part, error) {
	chunk, j := p.chunk, 0
	// Texts are read out of this without being copied one by one.
	text := string(chunk)
	err := fields(chunk, func(number protowire.Number, kind protowire.Type, value []byte) error {
		if number != chunkRecords || kind != protowire.BytesType {
			return nil
		}
		raw, _ := protowire.ConsumeBytes(value)
		// A part of a slice reaches to where the whole one's memory ends.
		begin := cap(chunk) - cap(raw)
		if err := f.decodeRecord(&p, j, raw, text[begin:begin+len(raw)]); err != nil {
			return fmt.Errorf("record %d: %w", j, err)
		}
		j++
		return nil
	})
	if err != nil {
		return part{}, &refusal{reasonOf(err), fmt.Errorf("chunk %d, %w", p.i, err)}
	}
	return p, nil
}

// decodeRecord reads a record, which text is, too.
func (f *Follower) decodeRecord(p *part, j int, raw []byte, text string) error {
	// A plain record has no other fields, so it is not optional.
	if f.zones.plain(p.many.Of(decision.DigestOf(raw)), text) {
		return nil
	}
	digest, err := digestOf(raw)
	if err != nil {
		return err
	}
	m := &rulesv1.Record{}
	if err := proto.Unmarshal(raw, m); err != nil {
		return err
	}
	many := false
	err = f.met(m, func() (err error) {
		many, err = f.zones.setMany(p.many.Of(digest), m)
		return err
	})
	if !many && err == nil {
		p.few = append(p.few, decoded{j, m, digest})
	}
	return err
}
