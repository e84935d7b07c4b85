package spool

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/envelope"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// sealRetry is how long the sealer waits after an error, on a full disk for instance.
const sealRetry = time.Second

// stamp is what makes a segment this node's.
type stamp struct {
	fleet, node string
	signer      *envelope.Signer
	now         func() time.Time
	encoder     *zstd.Encoder
}

func newStamp(cfg Config) (stamp, error) {
	// One goroutine compresses, in windows no larger than a segment.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return stamp{}, fmt.Errorf("make encoder: %w", err)
	}
	return stamp{fleet: cfg.Fleet, node: cfg.Node, signer: cfg.Signer, now: cfg.Now, encoder: encoder}, nil
}

// tail is the end of a boot's chain: what the next segment follows.
type tail struct {
	number uint64
	hash   []byte
	next   uint64 // The first sequence after it.
}

// segment is one that is sealed and has no receipt.
type segment struct {
	number uint64
	hash   []byte
	path   string
	size   int64
	next   uint64
	final  bool
}

func (s segment) tail() tail { return tail{number: s.number, hash: s.hash, next: s.next} }

// seal makes the segment that follows t durable under its name.
func (st stamp) seal(dir bootDir, t tail, c contents, final bool) (segment, error) {
	first := t.next
	next := first
	if c.records > 0 {
		first, next = c.first, c.last+1
	}
	body := st.encoder.EncodeAll(c.body, nil)
	bodySum := sha256.Sum256(body)
	header, err := proto.Marshal(&ledgerv1.SegmentHeader{
		Fleet: st.fleet, Node: st.node, Boot: dir.boot,
		Number: t.number + 1, PreviousHash: t.hash,
		SealedAt:      timestamppb.New(st.now()),
		FirstSequence: first, Records: c.records,
		BodySha256: bodySum[:], Final: final,
	})
	if err != nil {
		return segment{}, fmt.Errorf("encode segment header: %w", err)
	}
	signed, err := st.signer.Sign(envelope.KindSegment, header)
	if err != nil {
		return segment{}, fmt.Errorf("sign segment: %w", err)
	}
	raw, err := proto.Marshal(&ledgerv1.Segment{Header: signed, Body: body})
	if err != nil {
		return segment{}, fmt.Errorf("encode segment: %w", err)
	}
	s := segment{
		number: t.number + 1, hash: envelope.Hash(header), path: dir.file(t.number+1, sealedEnd),
		size: int64(len(raw)), next: next, final: final,
	}
	if err := writeDurably(s.path, raw); err != nil {
		return segment{}, fmt.Errorf("store segment: %w", err)
	}
	return s, nil
}

// sealer makes segments of the current boot's log files, in the order of their cutting.
type sealer struct {
	stamp   stamp
	dir     bootDir
	logger  *slog.Logger
	bytes   *atomic.Int64
	counts  *counts
	handOff func(boot string, s segment)

	wake chan struct{}
	tail tail // run's own.

	mu    sync.Mutex
	queue []*logFile
}

func newSealer(st stamp, dir bootDir, t tail, logger *slog.Logger, bytes *atomic.Int64, counts *counts, handOff func(string, segment)) *sealer {
	return &sealer{
		stamp: st, dir: dir, tail: t, logger: logger, bytes: bytes, counts: counts, handOff: handOff,
		wake: make(chan struct{}, 1),
	}
}

// add queues a log file. It does not block.
func (s *sealer) add(log *logFile) {
	s.mu.Lock()
	s.queue = append(s.queue, log)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sealer) idle() bool { return s.first() == nil }

func (s *sealer) first() *logFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	return s.queue[0]
}

func (s *sealer) run(ctx context.Context) {
	for {
		log := s.first()
		if log == nil {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			continue
		}
		if err := s.seal(log); err != nil {
			s.logger.Error("a log file cannot be sealed, it is tried again", "file", log.path, "error", err)
			// It lies longer than planned, and has perhaps not been synced since its last record.
			if err := log.sync(); err != nil {
				s.logger.Error("a log file cannot be synced", "file", log.path, "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(sealRetry):
			}
			continue
		}
		s.mu.Lock()
		s.queue = s.queue[1:]
		s.mu.Unlock()
	}
}

func (s *sealer) seal(log *logFile) error {
	c, err := scan(log.path, log.size)
	if err != nil {
		return err
	}
	if int(c.records) != log.records {
		// Never seen; a disk that returns other bytes than were written would do it.
		s.counts.tornBytes.Add(c.torn)
		s.logger.Error("a log file does not hold what was written to it",
			"file", log.path, "written", log.records, "found", c.records, "unreadable_bytes", c.torn)
	}
	sealed, err := s.stamp.seal(s.dir, s.tail, c, log.final)
	if err != nil {
		return err
	}
	s.tail = sealed.tail()
	s.bytes.Add(sealed.size)
	s.handOff(s.dir.boot, sealed)
	// From here on the segment stands for the log file. Recovery removes it, should this fail.
	if err := log.close(); err != nil {
		s.logger.Warn("close log file", "file", log.path, "error", err)
	}
	if err := os.Remove(log.path); err != nil {
		s.logger.Warn("a sealed log file cannot be removed", "file", log.path, "error", err)
	}
	s.bytes.Add(-log.size)
	return nil
}
