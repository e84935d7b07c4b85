package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/metering"
	"tollgate/dataplane/envelope"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// Store is Postgres.
type Store interface {
	// Commit takes segments, ordered by boot and number, in one transaction that is committed when it returns, and says
	// for each what became of it and where its boot's head is now. An error means that none was taken. It wraps metering.ErrCorrupt
	// where one of the segments can never be taken.
	Commit(ctx context.Context, segments []metering.Segment) ([]metering.Answer, error)
}

// Message is a segment as it was delivered.
type Message interface {
	Data() []byte
	// Node is the one that the subject names.
	Node() string
	Ack() error
	// Nak has the message delivered again after a while.
	Nak(after time.Duration) error
	// Deliveries is how often it was delivered.
	Deliveries() int
}

// Source is NATS.
type Source interface {
	// Segments waits for messages, at most limit, and returns those that are there. None is no error.
	Segments(ctx context.Context, limit int, wait time.Duration) ([]Message, error)
	// Receipt sends a signed receipt to a node. It may get lost.
	Receipt(node string, data []byte) error
}

// Signer signs with a receipts key that counts; where there is none, it fails. *envelope.Signer is one.
type Signer interface {
	Sign(kind envelope.Kind, payload []byte) ([]byte, error)
}

// Config is what an Ingest works with.
type Config struct {
	Store  Store
	Source Source
	// Verifier trusts the fleet's root; Signer signs with a receipts key.
	Verifier *envelope.Verifier
	Signer   Signer
	Logger   *slog.Logger
	Metrics  Registerer
}

// Ingest takes segments. See the package comment.
type Ingest struct {
	store    Store
	source   Source
	verifier *envelope.Verifier
	signer   Signer
	bodies   *zstd.Decoder
	log      *slog.Logger
	metrics  *metrics
}

// New makes an Ingest. Call Run.
func New(cfg Config) (*Ingest, error) {
	bodies, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBody))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	return &Ingest{
		store: cfg.Store, source: cfg.Source, verifier: cfg.Verifier, signer: cfg.Signer, bodies: bodies,
		log: cfg.Logger, metrics: newMetrics(cfg.Metrics),
	}, nil
}

const (
	// fetch is how many segments go into one transaction at most.
	fetch = 32
	// patience is how long a fetch waits for a first message.
	patience = 2 * time.Second
	// storeDown is how long messages go back for while Postgres is away.
	storeDown = 500 * time.Millisecond
	// gapWait is how long a segment whose predecessor is missing goes back for, gapTries how often.
	gapWait  = 100 * time.Millisecond
	gapTries = 3
)

// Run takes segments until ctx ends. It returns between two transactions.
func (i *Ingest) Run(ctx context.Context) {
	for ctx.Err() == nil {
		messages, err := i.source.Segments(ctx, fetch, patience)
		if err != nil && ctx.Err() == nil {
			i.log.Warn("cannot fetch segments", "error", err)
			pause(ctx, storeDown)
			continue
		}
		if len(messages) > 0 {
			i.take(ctx, messages)
		}
	}
}

// delivery is a message that verified.
type delivery struct {
	Message
	segment metering.Segment
}

func (i *Ingest) take(ctx context.Context, messages []Message) {
	now := time.Now()
	list := make([]delivery, 0, len(messages))
	for _, m := range messages {
		s, err := i.open(m, now)
		if err != nil {
			i.quarantine(m, "invalid", err)
			continue
		}
		list = append(list, delivery{m, s})
	}
	slices.SortStableFunc(list, func(a, b delivery) int {
		return cmp.Or(cmp.Compare(a.segment.Place.Boot, b.segment.Place.Boot), cmp.Compare(a.segment.Place.Number, b.segment.Place.Number))
	})
	i.commit(ctx, list)
}

// commit takes deliveries in one transaction. If one of them can never be taken, they are taken one by one, so that
// it alone is put aside.
func (i *Ingest) commit(ctx context.Context, list []delivery) bool {
	if len(list) == 0 {
		return true
	}
	segments := make([]metering.Segment, len(list))
	for n := range list {
		segments[n] = list[n].segment
	}
	answers, err := i.store.Commit(ctx, segments)
	switch {
	case errors.Is(err, metering.ErrCorrupt) && len(list) > 1:
		for _, d := range list {
			if !i.commit(ctx, []delivery{d}) {
				return false
			}
		}
		return true
	case errors.Is(err, metering.ErrCorrupt):
		i.quarantine(list[0].Message, "invalid", err)
		return true
	case err != nil:
		if ctx.Err() == nil {
			i.log.Warn("cannot commit segments, they are taken later", "segments", len(list), "error", err)
		}
		for _, d := range list {
			i.settle(d.Nak(storeDown))
		}
		pause(ctx, storeDown)
		return false
	}
	for n, a := range answers {
		i.answer(list[n], a)
	}
	return true
}

// answer sends the receipt, then lets go of the message: the other way round a crash in between would leave the node
// without a receipt until it asks again.
func (i *Ingest) answer(d delivery, a metering.Answer) {
	place := d.segment.Place
	switch a.Admission {
	case metering.Fork:
		i.quarantine(d.Message, a.Admission.String(), errors.New("the segment contradicts what is committed"))
		return
	case metering.Blocked:
		if err := i.send(place, &ledgerv1.Receipt{Blocked: a.Reason}); err != nil {
			i.log.Warn("cannot tell a node that it is blocked", "node", place.Node, "error", err)
		}
		i.quarantine(d.Message, a.Admission.String(), fmt.Errorf("the node is blocked: %s", a.Reason))
		return
	case metering.Gap:
		i.metrics.segments.WithLabelValues(a.Admission.String()).Inc()
		if d.Deliveries() <= gapTries {
			i.settle(d.Nak(gapWait))
			return
		}
	case metering.Committed:
		i.metrics.segments.WithLabelValues(a.Admission.String()).Inc()
		i.metrics.lag.Set(max(0, time.Since(place.SealedAt).Seconds()))
	default:
		i.metrics.segments.WithLabelValues(a.Admission.String()).Inc()
	}
	if err := i.receipt(place, a.Head); err != nil {
		i.log.Warn("cannot send a receipt; the node will ask again", "node", place.Node, "boot", place.Boot, "error", err)
	}
	i.settle(d.Ack())
}

func (i *Ingest) receipt(place metering.Place, head metering.Head) error {
	return i.send(place, &ledgerv1.Receipt{Number: head.Number, Hash: head.Hash})
}

// send signs what a receipt says, and sends it to the node whose segment is at place.
func (i *Ingest) send(place metering.Place, r *ledgerv1.Receipt) error {
	r.Fleet, r.Node, r.Boot = i.verifier.Fleet(), place.Node, place.Boot
	payload, err := proto.Marshal(r)
	if err != nil {
		return err
	}
	raw, err := i.signer.Sign(envelope.KindReceipt, payload)
	if err != nil {
		return err
	}
	return i.source.Receipt(place.Node, raw)
}

func (i *Ingest) quarantine(m Message, result string, why error) {
	i.metrics.segments.WithLabelValues(result).Inc()
	i.metrics.quarantined.Inc()
	i.log.Error("a segment is quarantined", "node", m.Node(), "result", result, "bytes", len(m.Data()), "error", why)
	i.settle(m.Ack())
}

// settle notes an acknowledgement that failed: the message comes again, and is a duplicate.
func (i *Ingest) settle(err error) {
	if err != nil {
		i.log.Warn("cannot answer NATS about a segment", "error", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
