package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/record"
)

// ErrUnavailable is wrapped by the errors of Deny, Begin and Settle: the record is not in the log. A
// request that gets it must not be forwarded.
var ErrUnavailable = errors.New("log unavailable")

// Sender takes segments to the control plane.
type Sender interface {
	// Send publishes an encoded ledger.v1.Segment for the spool's node and returns once the transport has
	// acknowledged it. It blocks no longer than ctx. An error says nothing about whether the segment
	// will arrive: it is sent again.
	Send(ctx context.Context, segment []byte) error
}

// Defaults of a Config's bounds.
const (
	DefaultMaxBytes       = 4 << 30
	DefaultSegmentRecords = 4096
	// DefaultSegmentBytes leaves room for the header under a message of 1 MiB, NATS's default bound, even where nothing
	// can be compressed.
	DefaultSegmentBytes = 1<<20 - 16<<10
)

// Config is what a Log needs. All is required but the bounds and Now.
type Config struct {
	// Dir is the spool's own directory. It is made, with mode 0700, if it does not exist.
	Dir   string
	Node  string
	Boot  string // 32 hex digits, new for each life of the process.
	Fleet string

	// Signer holds the node's key, Verifier checks receipts.
	Signer   *envelope.Signer
	Verifier *envelope.Verifier
	Sender   Sender
	Logger   *slog.Logger

	// Now is what the log is dated by; time.Now by default.
	Now func() time.Time

	// MaxBytes bounds all files together: decisions beyond it are refused. Sealing and the settlements of what was let through
	// may exceed it a little.
	MaxBytes int64
	// SegmentRecords and SegmentBytes bound a segment, before compression.
	SegmentRecords int
	SegmentBytes   int64
}

var bootForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (c *Config) complete() error {
	switch {
	case c.Dir == "" || c.Node == "" || c.Fleet == "":
		return errors.New("spool: directory, node and fleet are required")
	case !bootForm.MatchString(c.Boot):
		return fmt.Errorf("spool: boot %q is not 32 hex digits", c.Boot)
	case c.Signer == nil || c.Verifier == nil || c.Sender == nil || c.Logger == nil:
		return errors.New("spool: signer, verifier, sender and logger are required")
	case c.MaxBytes < 0 || c.SegmentRecords < 0 || c.SegmentBytes < 0:
		return errors.New("spool: bounds cannot be negative")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.SegmentRecords == 0 {
		c.SegmentRecords = DefaultSegmentRecords
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = DefaultSegmentBytes
	}
	return nil
}

// Log is the log of one boot, and takes care of what earlier boots left. Safe for concurrent use.
type Log struct {
	cfg    Config
	lock   *os.File
	bytes  *atomic.Int64
	counts *counts

	writer  *writer
	sealer  *sealer
	shipper *shipper

	refusals seldom
	blocks   seldom

	start, closing sync.Once
	closed         error
	stop           context.CancelFunc
	running        sync.WaitGroup
}

// Open takes hold of the directory, seals what earlier boots left there, and begins the log of this one. It
// reads and writes files, and sends nothing: Start does.
func Open(cfg Config) (*Log, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, lock: lock, bytes: new(atomic.Int64), counts: new(counts)}
	if err := l.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool %s: %w", cfg.Dir, err), unlockDir(lock))
	}
	return l, nil
}

func (l *Log) begin() error {
	stamp, err := newStamp(l.cfg)
	if err != nil {
		return err
	}
	left, err := recoverBoots(l.cfg.Dir, l.cfg.Boot, stamp, l.cfg.Logger, l.counts)
	if err != nil {
		return err
	}
	dir, err := makeBoot(l.cfg.Dir, left.last.Ordinal+1, l.cfg.Boot, left.last.Hash)
	if err != nil {
		return err
	}
	current := newLane(dir, head{Ordinal: dir.ordinal, Boot: dir.boot, Hash: left.last.Hash, Next: 1})
	l.bytes.Store(left.bytes)
	l.shipper = newShipper(l.cfg, append(left.lanes, current), left.removed, l.bytes, l.counts)
	l.sealer = newSealer(stamp, dir, tail{hash: left.last.Hash, next: 1}, l.cfg.Logger, l.bytes, l.counts, l.shipper.add)
	l.writer, err = newWriter(l.cfg, dir, l.bytes, l.sealer.add)
	return err
}

// Start begins to sync, cut, seal and send. The end of ctx does not end that, since what is left has to be
// sent when everything else has stopped: Close ends it.
func (l *Log) Start(ctx context.Context) {
	l.start.Do(func() {
		ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
		l.running.Go(func() { l.writer.keepSynced(ctx) })
		l.running.Go(func() { l.writer.keepCutting(ctx, l.caughtUp) })
		l.running.Go(func() { l.sealer.run(ctx) })
		l.running.Go(func() { l.shipper.run(ctx) })
	})
}

// caughtUp reports whether every segment of this boot that was cut has its receipt.
func (l *Log) caughtUp() bool { return l.sealer.idle() && l.shipper.idle() }

// Deny writes the decision of a request that is not forwarded, and sets its ID and Sequence.
// An error wraps ErrUnavailable.
func (l *Log) Deny(d *record.Decision) error { return l.writer.decision(denialField, d) }

// Begin writes the intent to forward a request, and sets the decision's ID and Sequence. The request must not be
// forwarded before it has returned nil. An error wraps ErrUnavailable.
func (l *Log) Begin(d *record.Decision) error { return l.writer.decision(intentField, d) }

// Settle writes how an intent ended. An error wraps ErrUnavailable: the intent then stays as it
// was written, charges included.
func (l *Log) Settle(s *record.Settlement) error { return l.writer.settlement(s) }

// Stats are the size of all files, and how many segments wait for a receipt.
func (l *Log) Stats() (bytes int64, pendingSegments int) {
	return l.bytes.Load(), l.shipper.pending()
}

// Close seals what is left as the boot's final segment and waits until all is receipted, or ctx ends. It then
// returns an error that says how much is left for the next start, and wraps the context's. No method but
// Stats and Receipt may be used afterwards. Closing twice is closing once.
func (l *Log) Close(ctx context.Context) error {
	l.closing.Do(func() { l.closed = l.finish(ctx) })
	return l.closed
}

func (l *Log) finish(ctx context.Context) error {
	l.Start(ctx)
	l.writer.close()
	l.shipper.close()
	var err error
	select {
	case <-l.shipper.drained:
		if n := l.shipper.held(); n > 0 {
			err = fmt.Errorf("close spool: %d boots are held, their files stay", n)
		}
	case <-ctx.Done():
		err = fmt.Errorf("close spool: %d segments have no receipt yet, the next start sends them: %w", l.shipper.pending(), ctx.Err())
	}
	l.stop()
	l.running.Wait()
	return errors.Join(err, unlockDir(l.lock))
}
