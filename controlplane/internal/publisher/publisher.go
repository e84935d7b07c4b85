package publisher

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Store is Postgres. Its methods block on the database and fail while it is away.
type Store interface {
	// Lead calls f while this process alone, of all that call Lead, holds a lock; again and again until ctx ends, after a pause in which others may
	// have it. f's context ends when the lock may be lost. wake gets a value after change sets were committed; it may miss some.
	Lead(ctx context.Context, f func(ctx context.Context, wake <-chan struct{})) error
	// Head is the newest epoch and the hash of its envelope; a zero epoch where nothing was written yet.
	Head(ctx context.Context) (decision.Epoch, []byte, error)
	// Envelopes calls yield for the envelopes after an epoch, in order, at most limit.
	Envelopes(ctx context.Context, after decision.Epoch, limit int, yield func(at decision.Epoch, payload []byte, created time.Time) error) error
	// EnvelopeHash is the hash of one envelope; nil where there is none.
	EnvelopeHash(ctx context.Context, at decision.Epoch) ([]byte, error)
	// Proven is the newest epoch that a node has proved to enforce, with its envelope's hash, zero where none has; and how many nodes are known.
	Proven(ctx context.Context) (at decision.Epoch, hash []byte, nodes int, err error)
	// Astray says whether change sets lead a node to another state than the one that was meant. Only a snapshot leads it back.
	Astray(ctx context.Context) (bool, error)
	// Instance is which Postgres this is, and which one KeepState kept last; empty: none.
	Instance(ctx context.Context) (now, kept string, err error)
	// KeepState keeps why nothing is published, empty where it is, and the instance that was published from.
	KeepState(ctx context.Context, stopped, instance string) error
	// RuleState calls yield for every record, encoded, of the rule state at the head that it returns, read in one transaction: it is open for as long
	// as yield takes. There is at least one record.
	RuleState(ctx context.Context, yield func(at Head, record []byte) error) (Head, error)
	// Resync makes change sets of what differs between the rule state and what nodes were told, and returns how many changes there were. Where
	// what they were told is not known, the rule state is noted as that.
	Resync(ctx context.Context) (changes int, err error)
}

// Head is where a rule state is.
type Head struct {
	Epoch decision.Epoch
	Hash  []byte // Of the envelope that ends there.
	// StateHash is what change sets add up to; nil: not known, until Resync.
	StateHash *decision.Digest
}

// Stream is NATS. Its methods block on the network and fail while it is away.
type Stream interface {
	// RulesBounds are the sequences of the first and last message; first = last + 1 where there is none.
	RulesBounds(ctx context.Context) (first, last uint64, err error)
	RulesMessage(ctx context.Context, sequence uint64) (data []byte, ok bool, err error)
	// PublishRules appends messages, with nothing in between, if the last sequence is still last, and says how many, from the first on. Where conflict is
	// true others have appended, and none of the rest was; where it fails nothing is known of the rest.
	PublishRules(ctx context.Context, epochs []string, data [][]byte, last uint64) (appended int, conflict bool, err error)
	PurgeRules(ctx context.Context, before uint64) error
	PutSnapshot(ctx context.Context, name string, data []byte) error
	Snapshot(ctx context.Context, name string) (data []byte, ok bool, err error)
	Snapshots(ctx context.Context) ([]string, error)
	DeleteSnapshot(ctx context.Context, name string) error
	Heartbeat(data []byte) error
}

// Signer signs with a rules key that counts. *envelope.Signer is one.
type Signer interface {
	Sign(kind envelope.Kind, payload []byte) ([]byte, error)
	// Certified says which key that is. It fails where this control plane has none that counts.
	Certified() (envelope.Certified, error)
}

// Publisher publishes the rules of one fleet. See the package comment.
type Publisher struct {
	store    Store
	stream   Stream
	signer   Signer
	verifier *envelope.Verifier
	every    uint64
	log      *slog.Logger
	metrics  *metrics

	tail tail
	// trusted is the key set, and key the own one, by which tail was found.
	trusted uint64
	key     ed25519.PublicKey
	// mute: that this control plane has no key was said.
	mute bool
	// starting: no snapshot was begun or found for the head at which this publisher began to lead.
	starting bool
	// due: a snapshot is wanted. making: one is being made, by a goroutine of working, which ends with a word to made.
	due     bool
	making  bool
	made    chan made
	working sync.WaitGroup
	// rest is until when none is made after failures.
	rest rest
	// ledBack is when a snapshot was last made due because a node had gone astray.
	ledBack time.Time
	// led is since when this publisher leads.
	led time.Time
	// instance is the Postgres at work, empty while that is not known, and knownInstance the one that was published from last.
	instance, knownInstance string
	// stopped is why nothing is published; stateKept: the database knows that.
	stopped   atomic.Pointer[string]
	stateKept bool
}

// tail is where the stream ends, as far as it is known.
type tail struct {
	known    bool
	sequence uint64
	// epoch and hash are those of the last envelope on the stream.
	epoch decision.Epoch
	hash  []byte
	// snapshot is the newest one that is stored.
	snapshot decision.Epoch
}

// Config is what a Publisher works with.
type Config struct {
	Store  Store
	Stream Stream
	// Signer is asked for each message, so its key may change; Verifier trusts the fleet's root.
	Signer   Signer
	Verifier *envelope.Verifier
	// SnapshotEvery is how many epochs a node that starts has to catch up with at most. 0: 256.
	SnapshotEvery uint64
	Logger        *slog.Logger
	Metrics       Registerer
}

// New makes a Publisher. Call Run.
func New(cfg Config) *Publisher {
	return &Publisher{
		store: cfg.Store, stream: cfg.Stream, signer: cfg.Signer, verifier: cfg.Verifier,
		every: cmp.Or(cfg.SnapshotEvery, snapshotEvery),
		log:   cfg.Logger, metrics: newMetrics(cfg.Metrics), made: make(chan made, 1),
	}
}

const (
	// beat is how often a heartbeat is sent, and how long a change set that nobody told of may wait.
	beat = time.Second
	// batch is how many envelopes are read at once.
	batch = 64
)

// Run publishes until ctx ends. Failures of Postgres and NATS are waited out.
func (p *Publisher) Run(ctx context.Context) error {
	return p.store.Lead(ctx, p.lead)
}

func (p *Publisher) lead(ctx context.Context, wake <-chan struct{}) {
	// Who cannot sign leaves the lead to one who can.
	if !p.follows() {
		return
	}
	p.log.Info("publishing rules", "key", envelope.KeyID(p.key), "key_set", p.trusted)
	p.metrics.leader.Set(1)
	defer func() {
		p.metrics.leader.Set(0)
		p.metrics.stopped.Set(0)
		p.stopped.Store(nil) // It is the next one's to say.
	}()
	// While another led, the stream has moved.
	p.tail, p.starting, p.due = tail{}, true, false
	p.led, p.ledBack, p.instance, p.stateKept = time.Now(), time.Time{}, "", false
	p.rest = rest{}
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		p.working.Wait()
		if p.making {
			<-p.made
			p.making = false
		}
	}()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	ticked := true
	for {
		if err := p.step(ctx, ticked); err != nil && ctx.Err() == nil {
			p.failed(ctx, err)
		} else if err == nil && p.tail.known {
			p.said(ctx, "")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ticked = true
			if !p.follows() {
				return
			}
		case <-wake:
			ticked = false
		case m := <-p.made:
			ticked = false
			p.ended(ctx, m)
		}
	}
}

// follows takes note of the own key and of the key set. Where either has changed, what is on the stream may verify no longer, and is looked at
// again. False: there is no key to sign with.
func (p *Publisher) follows() bool {
	c, err := p.signer.Certified()
	if err != nil {
		if !p.mute {
			p.mute = true
			p.log.Error("this control plane publishes no rules: it has no rules key that counts", "error", err)
		}
		return false
	}
	p.mute = false
	if version := p.verifier.Version(); version != p.trusted || !p.key.Equal(c.PublicKey) {
		p.tail.known = false
		p.trusted, p.key = version, c.PublicKey
	}
	return true
}

// errConflict: the stream's end is not where it was thought to be.
var errConflict = errors.New("the rules stream has moved")

// step publishes what is new. At a tick it looks whether the stream is still what it was, and sends a heartbeat.
func (p *Publisher) step(ctx context.Context, tick bool) error {
	if !tick && p.Stopped() != "" {
		return nil // Whoever writes on must not make it look again and again.
	}
	if tick && p.tail.known {
		if _, err := p.checkNodes(ctx); err != nil {
			return err
		}
	}
	if tick && p.tail.known {
		first, last, err := p.stream.RulesBounds(ctx)
		if err != nil {
			return err
		}
		if last != p.tail.sequence || first > last && p.tail.epoch.Number > 0 {
			p.tail.known = false
		}
	}
	err := p.publish(ctx)
	for range 3 {
		if !errors.Is(err, errConflict) {
			break
		}
		p.tail.known = false
		err = p.publish(ctx)
	}
	if err != nil {
		return err
	}
	if !tick || !p.tail.known {
		return nil
	}
	if err := p.leadBack(ctx, time.Now()); err != nil {
		return err
	}
	p.snapshot(ctx)
	return p.heartbeat(time.Now())
}

// publish brings the stream from its end to the newest envelope.
func (p *Publisher) publish(ctx context.Context) error {
	if !p.tail.known {
		if err := p.resume(ctx); err != nil || !p.tail.known {
			return err
		}
	}
	for more := true; more; {
		var waiting []unpublished
		err := p.store.Envelopes(ctx, p.tail.epoch, batch, func(at decision.Epoch, payload []byte, created time.Time) error {
			waiting = append(waiting, unpublished{at, payload, created})
			return nil
		})
		if err != nil {
			return err
		}
		more = len(waiting) == batch
		for len(waiting) > 0 {
			n := atOnce(waiting)
			if err := p.append(ctx, waiting[:n]); err != nil {
				return err
			}
			waiting = waiting[n:]
		}
	}
	if p.tail.epoch.Generation != p.tail.snapshot.Generation || p.tail.epoch.Number >= p.tail.snapshot.Number+p.every {
		p.due = true
	}
	return nil
}

// unpublished is an envelope that is not on the stream yet.
type unpublished struct {
	at      decision.Epoch
	payload []byte
	created time.Time
}

// inFlight bounds the bytes that are sent before the first of them are acknowledged.
const inFlight = 4 << 20

// atOnce is how many of them go together: one, however large.
func atOnce(all []unpublished) int {
	size := 0
	for i := range all {
		if size += len(all[i].payload); i > 0 && size > inFlight {
			return i
		}
	}
	return len(all)
}

// append appends all of them, which follow on the tail, and moves it along.
func (p *Publisher) append(ctx context.Context, all []unpublished) error {
	epochs, raw := make([]string, len(all)), make([][]byte, len(all))
	for i, u := range all {
		var err error
		if raw[i], err = p.signer.Sign(envelope.KindEnvelope, u.payload); err != nil {
			return fmt.Errorf("sign epoch %s: %w", label(u.at), err)
		}
		epochs[i] = label(u.at)
	}
	appended, conflict, err := p.stream.PublishRules(ctx, epochs, raw, p.tail.sequence)
	for _, u := range all[:appended] {
		p.tail.sequence++
		p.tail.epoch, p.tail.hash = u.at, envelope.Hash(u.payload)
		p.metrics.published(u.at, time.Since(u.created))
	}
	if err == nil && conflict {
		err = errConflict
	}
	return err
}

func label(e decision.Epoch) string { return fmt.Sprintf("%d.%d", e.Generation, e.Number) }

// heartbeat vouches for what this publisher knows to be on the stream.
func (p *Publisher) heartbeat(now time.Time) error {
	payload, err := proto.Marshal(&rulesv1.Heartbeat{
		Fleet: p.verifier.Fleet(), Time: timestamppb.New(now),
		Generation: p.tail.epoch.Generation, Number: p.tail.epoch.Number, HeadHash: p.tail.hash,
		KeySetVersion: p.trusted,
	})
	if err != nil {
		return fmt.Errorf("encode heartbeat: %w", err)
	}
	raw, err := p.signer.Sign(envelope.KindHeartbeat, payload)
	if err != nil {
		return fmt.Errorf("sign heartbeat: %w", err)
	}
	return p.stream.Heartbeat(raw)
}
