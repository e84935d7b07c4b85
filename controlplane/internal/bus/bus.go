package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says where NATS is.
type Config struct {
	URL string
	// Creds is the path of a credentials file; empty: none.
	Creds string
	// CA is the path of the PEM file that the server's certificate is verified by, and has TLS demanded; empty: the system's, where
	// the server wants TLS.
	CA string
	// Name shows in the server's list of connections.
	Name string
}

// Bus is a connection to NATS. Close it.
type Bus struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	log *slog.Logger

	// up is closed when everything existed for the first time.
	up     chan struct{}
	upOnce sync.Once
	// wake asks the keeper to make sure of everything again.
	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}

	mu       sync.Mutex
	consumer jetstream.Consumer
	// changed is closed, and replaced, after everything was made sure of.
	changed chan struct{}
}

// reconnectWait is how often a lost server is looked for: an outage of NATS should end for nodes when NATS does.
const reconnectWait = 100 * time.Millisecond

// Connect starts to connect. It fails only on a configuration that can never work; see Ready for the rest.
func Connect(cfg Config, logger *slog.Logger) (*Bus, error) {
	ctx, stop := context.WithCancel(context.Background())
	b := &Bus{
		log: logger, up: make(chan struct{}), wake: make(chan struct{}, 1), stop: stop,
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	options := []nats.Option{
		nats.Name(cfg.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.Timeout(2 * time.Second),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		// What cannot be sent now is made again by its sender: buffering it would send old news late.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(*nats.Conn) { b.poke() }),
		nats.ReconnectHandler(func(*nats.Conn) { logger.Info("connected to NATS again"); b.poke() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { logger.Warn("lost NATS", "error", err) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			logger.Warn("NATS reports an error", "subject", subject, "error", err)
		}),
	}
	if cfg.Creds != "" {
		options = append(options, nats.UserCredentials(cfg.Creds))
	}
	if cfg.CA != "" {
		options = append(options, nats.RootCAs(cfg.CA))
	}
	var err error
	if b.nc, err = nats.Connect(cfg.URL, options...); err != nil {
		stop()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(2*time.Second), jetstream.WithPublishAsyncTimeout(ackWithin)); err != nil {
		stop()
		b.nc.Close()
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	b.poke()
	go b.keep(ctx)
	return b, nil
}

// Close ends the connection. What was published is flushed first.
func (b *Bus) Close() {
	b.stop()
	<-b.done
	_ = b.nc.FlushTimeout(time.Second) // There is no one left to tell: NATS is away, and so is the process.
	b.nc.Close()
}

// Ready is closed once NATS answered and everything existed.
func (b *Bus) Ready() <-chan struct{} { return b.up }

func (b *Bus) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// keep makes sure of streams, store and consumer whenever it is poked, until it succeeds.
func (b *Bus) keep(ctx context.Context) {
	defer close(b.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		for {
			err := b.ensure(ctx)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			if b.nc.IsConnected() {
				b.log.Warn("cannot make sure of the NATS streams", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-b.wake:
			case <-time.After(reconnectWait):
			}
		}
	}
}

func (b *Bus) ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamRules, Subjects: []string{SubjectRules}, Storage: jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy, AllowDirect: true,
		// Nodes hear of what is stored here, with its place, and read what they missed.
		RePublish:   &jetstream.RePublish{Source: SubjectRules, Destination: subjectStored},
		Description: "signed change sets, in order",
	}); err != nil {
		return fmt.Errorf("stream %s: %w", streamRules, err)
	}
	segments, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamSegments, Subjects: []string{subjectSegments}, Storage: jetstream.FileStorage,
		Retention:   jetstream.WorkQueuePolicy,
		Description: "sealed segments on their way in; nodes send again what has no receipt",
	})
	if err != nil {
		return fmt.Errorf("stream %s: %w", streamSegments, err)
	}
	consumer, err := segments.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: consumerIngest, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 15 * time.Second, MaxAckPending: 512,
	})
	if err != nil {
		return fmt.Errorf("consumer %s: %w", consumerIngest, err)
	}
	if _, err := b.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: snapshots, Storage: jetstream.FileStorage,
		Description: "whole rule states; the newest three",
	}); err != nil {
		return fmt.Errorf("object store %s: %w", snapshots, err)
	}
	b.mu.Lock()
	b.consumer = consumer
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
	b.upOnce.Do(func() { close(b.up) })
	return nil
}

// missing reports whether an error may mean that the NATS store was wiped.
func missing(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDoesNotExist) || errors.Is(err, jetstream.ErrConsumerDeleted) ||
		errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrNoResponders)
}

// retry runs f, and once more after everything was made sure of where f found something missing.
func (b *Bus) retry(ctx context.Context, f func() error) error {
	b.mu.Lock()
	changed := b.changed
	b.mu.Unlock()
	err := f()
	if err == nil || !missing(err) {
		return err
	}
	b.poke()
	select {
	case <-ctx.Done():
		return err
	case <-time.After(2 * time.Second):
		return err
	case <-changed:
		return f()
	}
}

// Publish sends a message that nobody has to receive.
func (b *Bus) Publish(subject string, data []byte) error {
	if err := b.nc.Publish(subject, data); err != nil {
		return fmt.Errorf("publish on %s: %w", subject, err)
	}
	return nil
}

// Receipt sends a signed receipt to a node.
func (b *Bus) Receipt(node string, data []byte) error { return b.Publish(subjectReceipts+node, data) }

// Heartbeat sends a signed heartbeat to all nodes.
func (b *Bus) Heartbeat(data []byte) error { return b.Publish(SubjectHeartbeat, data) }
