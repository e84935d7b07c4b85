package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Request is a message that Serve got.
type Request struct {
	// Suffix is what stood at the subject's final wildcard.
	Suffix string
	// Listener is the node whose inbox the answer goes to: nobody else hears it. Empty: it is not a node's.
	Listener string
	Data     []byte
}

// Serve answers the messages of a subject in a queue group, workers at a time, until ctx ends; then it waits for
// those in progress. handle returns nil to stay silent.
func (b *Bus) Serve(ctx context.Context, subject, group string, workers int, handle func(ctx context.Context, r Request) []byte) error {
	messages := make(chan *nats.Msg, 4*workers)
	sub, err := b.nc.ChanQueueSubscribe(subject, group, messages)
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	prefix := strings.TrimSuffix(subject, "*")
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-messages:
					b.answer(ctx, m, handle(ctx, Request{Suffix: strings.TrimPrefix(m.Subject, prefix), Listener: listener(m), Data: m.Data}))
				}
			}
		})
	}
	running.Wait()
	if err := sub.Unsubscribe(); err != nil && b.nc.IsConnected() {
		return fmt.Errorf("unsubscribe from %s: %w", subject, err)
	}
	return nil
}

// Where answers may go: nothing but whoever asked listens there.
const (
	inboxes = "_INBOX."
	// mapped is where answers go to a node, whose account is another: the server names it, and no client may ask for its answer there.
	mapped = "_R_."
	// asker is the header in which the server says who asked, where it maps the answer.
	asker = "Nats-Request-Info"
)

// listener is the node that hears the answer at a message's reply subject, and nobody else.
func listener(m *nats.Msg) string {
	if strings.HasPrefix(m.Reply, mapped) {
		return said(m)
	}
	inbox, ok := strings.CutPrefix(m.Reply, inboxes)
	if !ok {
		return ""
	}
	node, _, ok := strings.Cut(inbox, ".")
	if !ok {
		return ""
	}
	return node
}

// said is the node that the server says has asked. A client may write such a header itself, with line ends that the server passes over and a reader of
// headers stops at. So the server's line has to be all that there is: what is read, written again, has to be as long as what came.
func said(m *nats.Msg) string {
	if len(m.Header) != 1 || len(m.Header.Values(asker)) != 1 {
		return ""
	}
	again := nats.Msg{Subject: m.Subject, Reply: m.Reply, Header: m.Header, Data: m.Data}
	var of struct {
		Name string `json:"name_tag"`
	}
	if err := json.Unmarshal([]byte(m.Header.Get(asker)), &of); err != nil || again.Size() != m.Size() {
		return ""
	}
	return of.Name
}

// answer goes nowhere but to an inbox. NATS doesn't ask whether a node may publish at the subject that it names for its answer, and this process may
// at all of them: an answer at $JS.API would delete a stream in the control plane's name.
func (b *Bus) answer(ctx context.Context, m *nats.Msg, reply []byte) {
	if reply == nil || m.Reply == "" {
		return
	}
	if !strings.HasPrefix(m.Reply, inboxes) && !strings.HasPrefix(m.Reply, mapped) {
		b.log.Warn("a request wants its answer at another's subject: it gets none", "subject", m.Subject, "reply", m.Reply)
		return
	}
	if err := m.Respond(reply); err != nil && ctx.Err() == nil {
		b.log.Warn("cannot answer", "subject", m.Subject, "error", err)
	}
}

// Segment is a message on a segments subject. It has to be acknowledged or refused.
type Segment struct {
	node string
	data []byte
	msg  jetstream.Msg
}

// Data is the message's body.
func (s *Segment) Data() []byte { return s.data }

// Node is the last token of the subject.
func (s *Segment) Node() string { return s.node }

// Ack says that the message is dealt with.
func (s *Segment) Ack() error { return s.msg.Ack() }

// Nak asks for the message again after a while.
func (s *Segment) Nak(after time.Duration) error { return s.msg.NakWithDelay(after) }

// Deliveries is how often the message was delivered; 0 where that is not known.
func (s *Segment) Deliveries() int {
	meta, err := s.msg.Metadata()
	if err != nil {
		return 0
	}
	return int(min(meta.NumDelivered, 1<<20))
}

// Segments waits for messages, at most limit of them, and returns those that are there. None is no error.
func (b *Bus) Segments(ctx context.Context, limit int, wait time.Duration) ([]*Segment, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.up:
	}
	b.mu.Lock()
	consumer := b.consumer
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	first, err := consumer.Next(jetstream.FetchContext(ctx))
	if err != nil {
		if missing(err) {
			b.poke()
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		return nil, fmt.Errorf("fetch segments: %w", err)
	}
	list := []*Segment{segment(first)}
	more, err := consumer.FetchNoWait(limit - 1)
	if err != nil {
		return list, nil // The first is there; the next call meets the same error with nothing in hand.
	}
	for m := range more.Messages() {
		list = append(list, segment(m))
	}
	return list, nil
}

func segment(m jetstream.Msg) *Segment {
	return &Segment{node: strings.TrimPrefix(m.Subject(), strings.TrimSuffix(subjectSegments, "*")), data: m.Data(), msg: m}
}
