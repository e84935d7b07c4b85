package relay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Traffic is a kind of messages.
type Traffic string

// What goes from control planes to nodes. The others pass as they are.
const (
	Rules      Traffic = "tollgate.rules"
	Snapshots  Traffic = "TOLLGATE_SNAPSHOTS"
	Heartbeats Traffic = "tollgate.heartbeat"
	Trust      Traffic = "tollgate.trust"
	Recalls    Traffic = "tollgate.recall"
	Receipts   Traffic = "tollgate.receipts.*"
)

const streamRules = "TOLLGATE_RULES"

// Side is one of the two NATS servers, and how to connect to it.
type Side struct {
	URL     string
	Options []nats.Option
}

// Message is one message, or one object of a snapshot.
type Message struct {
	// Name is the subject, or the object's name.
	Name string
	Data []byte
}

// Relay is a running relay.
type Relay struct {
	t              testing.TB
	control, nodes *nats.Conn
	from, to       jetstream.JetStream

	mu      sync.Mutex
	treat   map[Traffic]Treatment
	sent    map[Traffic][]Message
	held    map[Traffic]bool
	kept    map[Traffic][]Message
	stopped bool
}

// Start starts a relay that passes everything, with the streams that the nodes look for. It ends with the test.
func Start(t testing.TB, control, nodes Side) *Relay {
	t.Helper()
	r := &Relay{t: t, treat: map[Traffic]Treatment{}, sent: map[Traffic][]Message{}, held: map[Traffic]bool{}, kept: map[Traffic][]Message{}}
	r.control, r.from = connect(t, control)
	r.nodes, r.to = connect(t, nodes)
	t.Cleanup(r.stop)
	if err := r.start(t.Context()); err != nil {
		t.Fatalf("relay: %v", err)
	}
	return r
}

func connect(t testing.TB, s Side) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(s.URL, append([]nats.Option{nats.Name("relay"), nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond)}, s.Options...)...)
	if err != nil {
		t.Fatalf("relay: connect to %s: %v", s.URL, err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("relay: %v", err)
	}
	return nc, js
}

// stop keeps what comes late from failing a test that has ended.
func (r *Relay) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

func (r *Relay) start(ctx context.Context) error {
	if err := r.followRules(ctx); err != nil {
		return fmt.Errorf("the rules stream: %w", err)
	}
	if err := r.followSnapshots(ctx); err != nil {
		return fmt.Errorf("the snapshots: %w", err)
	}
	for _, traffic := range []Traffic{Heartbeats, Trust, Recalls, Receipts} {
		_, err := r.control.Subscribe(string(traffic), func(m *nats.Msg) { r.relay(traffic, Message{m.Subject, m.Data}) })
		if err != nil {
			return fmt.Errorf("%s: %w", traffic, err)
		}
	}
	for _, subject := range []string{"tollgate.fleet.*", "tollgate.lend", "tollgate.lend.cold", "tollgate.segments.*"} {
		if _, err := r.nodes.Subscribe(subject, r.ask); err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
	}
	return errors.Join(r.control.Flush(), r.nodes.Flush())
}

func (r *Relay) followRules(ctx context.Context) error {
	stream, err := r.from.Stream(ctx, streamRules)
	if err != nil {
		return err
	}
	if _, err := r.to.CreateOrUpdateStream(ctx, stream.CachedInfo().Config); err != nil {
		return err
	}
	consumer, err := r.from.OrderedConsumer(ctx, streamRules, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) { r.relay(Rules, Message{m.Subject(), m.Data()}) })
	if err != nil {
		return err
	}
	r.t.Cleanup(consuming.Stop)
	return nil
}

func (r *Relay) followSnapshots(ctx context.Context) error {
	from, err := r.from.ObjectStore(ctx, string(Snapshots))
	if err != nil {
		return err
	}
	to, err := r.to.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: string(Snapshots)})
	if err != nil {
		return err
	}
	watch, err := from.Watch(ctx)
	if err != nil {
		return err
	}
	go func() {
		for o := range watch.Updates() {
			if o == nil {
				continue // What was there has been told.
			}
			if o.Deleted {
				err := to.Delete(ctx, o.Name)
				r.check(ctx, o.Name, err, jetstream.ErrObjectNotFound)
				continue
			}
			raw, err := from.GetBytes(ctx, o.Name)
			if r.check(ctx, o.Name, err, jetstream.ErrObjectNotFound); err == nil {
				r.relay(Snapshots, Message{o.Name, raw})
			}
		}
	}()
	return nil
}

// ask passes on what a node says, and the answer if it wants one. A request for loans has to come from where the node's answers are heard.
func (r *Relay) ask(m *nats.Msg) {
	if m.Reply == "" {
		_ = r.control.Publish(m.Subject, m.Data) // It is said again.
		return
	}
	go func() {
		answer, err := r.request(m)
		if err == nil {
			_ = m.RespondMsg(&nats.Msg{Header: answer.Header, Data: answer.Data}) // Who hears no answer asks again.
		}
	}()
}

func (r *Relay) request(m *nats.Msg) (*nats.Msg, error) {
	var of struct {
		Node string `json:"name_tag"`
	}
	// What the nodes' server says of who asked, where they are in another account than the relay.
	if err := json.Unmarshal([]byte(m.Header.Get("Nats-Request-Info")), &of); err != nil || of.Node == "" {
		return r.control.RequestMsg(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, 2*time.Second)
	}
	inbox := "_INBOX." + of.Node + "." + rand.Text()
	answers, err := r.control.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := r.control.PublishMsg(&nats.Msg{Subject: m.Subject, Reply: inbox, Data: m.Data}); err != nil {
		return nil, err
	}
	return answers.NextMsg(2 * time.Second)
}

// relay records a message and sends what its treatment makes of it.
func (r *Relay) relay(traffic Traffic, m Message) {
	r.mu.Lock()
	r.sent[traffic] = append(r.sent[traffic], m)
	out := []Message{m}
	if treat := r.treat[traffic]; treat != nil {
		out = treat(m)
	}
	if r.held[traffic] {
		r.kept[traffic] = append(r.kept[traffic], out...)
		out = nil
	}
	r.mu.Unlock()
	for _, m := range out {
		r.Send(traffic, m)
	}
}

// Treat says what becomes of a kind of messages from now on; nil: they pass.
func (r *Relay) Treat(traffic Traffic, f Treatment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.treat[traffic] = f
}

// Hold keeps a kind of messages back from now on, until Release.
func (r *Relay) Hold(traffic Traffic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[traffic] = true
}

// Release sends what was held, in order, and lets everything of that kind pass as it comes.
func (r *Relay) Release(traffic Traffic) {
	r.mu.Lock()
	kept := r.kept[traffic]
	delete(r.kept, traffic)
	delete(r.held, traffic)
	delete(r.treat, traffic)
	r.mu.Unlock()
	for _, m := range kept {
		r.Send(traffic, m)
	}
}

// Sent is all that ever came of a kind, whatever became of it.
func (r *Relay) Sent(traffic Traffic) []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent[traffic])
}

// Send sends a message to the nodes, as if it had come.
func (r *Relay) Send(traffic Traffic, m Message) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var err error
	switch traffic {
	case Rules:
		_, err = r.to.Publish(ctx, m.Name, m.Data)
	case Snapshots:
		var store jetstream.ObjectStore
		if store, err = r.to.ObjectStore(ctx, string(Snapshots)); err == nil {
			_, err = store.PutBytes(ctx, m.Name, m.Data)
		}
	default:
		err = r.nodes.Publish(m.Name, m.Data)
	}
	r.check(ctx, m.Name, err)
}

// Wipe removes all that lies between: the rules stream, made again empty, and the snapshots.
func (r *Relay) Wipe(ctx context.Context) error {
	stream, err := r.to.Stream(ctx, streamRules)
	if err != nil {
		return err
	}
	config := stream.CachedInfo().Config
	if err := r.to.DeleteStream(ctx, streamRules); err != nil {
		return err
	}
	if _, err := r.to.CreateStream(ctx, config); err != nil {
		return err
	}
	store, err := r.to.ObjectStore(ctx, string(Snapshots))
	if err != nil {
		return err
	}
	objects, err := store.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return err
	}
	for _, o := range objects {
		if err := store.Delete(ctx, o.Name); err != nil {
			return err
		}
	}
	return nil
}

// check fails the test where something could not be passed on, unless the test is over.
func (r *Relay) check(ctx context.Context, name string, err error, but ...error) {
	if err == nil || ctx.Err() != nil || slices.ContainsFunc(but, func(b error) bool { return errors.Is(err, b) }) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Both servers may be gone before the relay is.
	if !r.stopped && !strings.Contains(err.Error(), "connection closed") {
		r.t.Errorf("relay: %s: %v", name, err)
	}
}
