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
	"google.golang.org/protobuf/proto"

	lendv1 "tollgate/gen/go/tollgate/lend/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Config says where NATS is, and who the node is.
type Config struct {
	URL string
	// CredsFile is the path of a credentials file; empty: none.
	CredsFile string
	// CAFile is the path of the PEM file that the server's certificate is verified by, and has TLS demanded; empty: the system's, where
	// the server wants TLS.
	CAFile string
	// Name is the node's: the last token of its own subjects.
	Name   string
	Logger *slog.Logger
}

// Bus is a connection to NATS. Close it.
type Bus struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	name string
	log  *slog.Logger

	mu sync.Mutex
	// reconnected is closed, and replaced, when the connection is there again.
	reconnected chan struct{}
	// position is how far the rules stream was handed over.
	position position
}

const (
	// reconnectWait is how often a lost server is looked for: an outage of NATS should end for a node when it does for NATS.
	reconnectWait = 100 * time.Millisecond
	// apiTimeout bounds a question to JetStream.
	apiTimeout = 2 * time.Second
)

// ErrDisconnected is what operations answer while NATS is away.
var ErrDisconnected = errors.New("not connected to NATS")

// Connect starts to connect. It fails only on a configuration that can never work: NATS may come later.
func Connect(cfg Config) (*Bus, error) {
	b := &Bus{name: cfg.Name, log: cfg.Logger, reconnected: make(chan struct{})}
	options := []nats.Option{
		nats.Name(cfg.Name),
		// Answers come to subjects that only this node's credentials may read.
		nats.CustomInboxPrefix(inboxes + cfg.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.Timeout(apiTimeout),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(*nats.Conn) { b.log.Info("connected to NATS") }),
		nats.ReconnectHandler(func(*nats.Conn) { b.log.Info("connected to NATS again"); b.back() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("lost NATS", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			b.log.Warn("NATS reports an error", "subject", subject, "error", err)
		}),
	}
	if cfg.CredsFile != "" {
		options = append(options, nats.UserCredentials(cfg.CredsFile))
	}
	if cfg.CAFile != "" {
		options = append(options, nats.RootCAs(cfg.CAFile))
	}
	var err error
	if b.nc, err = nats.Connect(cfg.URL, options...); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(apiTimeout)); err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	return b, nil
}

func (b *Bus) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.reconnected)
	b.reconnected = make(chan struct{})
}

// Connected reports whether NATS is there now.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// Close ends the connection. What was published before is flushed, if NATS is there to take it.
func (b *Bus) Close() {
	if b.nc.IsConnected() {
		_ = b.nc.FlushTimeout(time.Second) // Nobody is left to tell.
	}
	b.nc.Close()
}

// Send gives a segment to the ledger's stream and waits until it has it. No error is no proof that it is safe: only a receipt is.
// There is no message id: it would make NATS swallow the resend of a segment whose receipt was lost.
func (b *Bus) Send(ctx context.Context, segment []byte) error {
	if !b.nc.IsConnected() {
		return fmt.Errorf("send a segment: %w", ErrDisconnected)
	}
	// Without retries: the caller has its own, and knows better what is still to be sent.
	_, err := b.js.Publish(ctx, subjectSegments+b.name, segment, jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("send a segment: %w", err)
	}
	return nil
}

// Lend asks the lender, and waits for its answer. It fails at once while NATS is away or no lender listens. cold: requests are
// waiting for it.
func (b *Bus) Lend(ctx context.Context, cold bool, req *lendv1.LendRequest) (*lendv1.LendResponse, error) {
	if !b.nc.IsConnected() {
		return nil, fmt.Errorf("ask the lender: %w", ErrDisconnected)
	}
	raw, err := proto.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode a lend request: %w", err)
	}
	subject := subjectLend
	if cold {
		subject = subjectLendCold
	}
	m, err := b.nc.RequestWithContext(ctx, subject, raw)
	if err != nil {
		return nil, fmt.Errorf("ask the lender: %w", err)
	}
	resp := &lendv1.LendResponse{}
	if err := proto.Unmarshal(m.Data, resp); err != nil {
		return nil, fmt.Errorf("decode the lender's answer: %w", err)
	}
	return resp, nil
}

// PublishStatus tells the fleet how the node is. It fails at once while NATS is away.
func (b *Bus) PublishStatus(s *rulesv1.NodeStatus) error {
	if !b.nc.IsConnected() {
		return fmt.Errorf("publish the node's status: %w", ErrDisconnected)
	}
	raw, err := proto.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the node's status: %w", err)
	}
	if err := b.nc.Publish(subjectFleet+b.name, raw); err != nil {
		return fmt.Errorf("publish the node's status: %w", err)
	}
	return nil
}

// OnHeartbeat calls f with each heartbeat, as it came.
func (b *Bus) OnHeartbeat(f func(raw []byte)) error { return b.on(subjectHeartbeat, f) }

// OnTrust calls f with each key set, as it came.
func (b *Bus) OnTrust(f func(raw []byte)) error { return b.on(subjectTrust, f) }

// OnReceipt calls f with each receipt for this node, as it came.
func (b *Bus) OnReceipt(f func(raw []byte)) error { return b.on(subjectReceipts+b.name, f) }

// OnRecall calls f with each recall.
func (b *Bus) OnRecall(f func(*lendv1.Recall)) error {
	return b.on(subjectRecall, func(raw []byte) {
		r := &lendv1.Recall{}
		if err := proto.Unmarshal(raw, r); err != nil {
			b.log.Warn("cannot decode a recall", "error", err)
			return
		}
		f(r)
	})
}

func (b *Bus) on(subject string, f func([]byte)) error {
	if _, err := b.nc.Subscribe(subject, func(m *nats.Msg) { f(m.Data) }); err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	return nil
}
