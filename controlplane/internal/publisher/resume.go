package publisher

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// resume finds out where the stream ends, and makes the snapshot that nodes start from. The tail stays unknown, without an error,
// while nothing was ever written.
func (p *Publisher) resume(ctx context.Context) error {
	moved, err := p.look(ctx)
	if err != nil {
		return err
	}
	t, err := p.find(ctx)
	if err != nil {
		return err
	}
	newest, err := p.newestSnapshot(ctx)
	if err != nil {
		return err
	}
	// After what it is compared with: another publisher may be at work.
	head, hash, err := p.store.Head(ctx)
	if err != nil || head.Generation == 0 {
		return err
	}
	if err := p.compare(ctx, t, newest, head); err != nil {
		return err
	}
	nodes, err := p.checkNodes(ctx)
	if err != nil {
		return err
	}
	empty := t.epoch == decision.Epoch{}
	if (empty || moved) && p.unheard(nodes) {
		return errUnheard
	}
	p.tail = t
	p.tail.snapshot = newest.epoch
	// Nothing on the stream leads into a new generation but its snapshot.
	opened := newest.epoch.Generation < head.Generation
	// The key before this one may be taken out of the set at any time, and what it signed with it.
	if newest.epoch == (decision.Epoch{}) || opened || newest.epoch.Compare(head) < 0 && (p.starting || empty) || !newest.key.Equal(p.key) {
		p.due = true
		p.snapshot(ctx)
	}
	p.starting = false
	switch {
	case empty:
		// Whatever a node had, the newest envelope shows it how far it is behind.
		p.tail.epoch, p.tail.hash = head, hash
		if head.Number > 0 {
			p.tail.epoch.Number--
		}
	case t.epoch.Generation < head.Generation:
		// What the database has of the old generation beside what was published is part of the new one's snapshot.
		p.tail.epoch, p.tail.hash = decision.Epoch{Generation: head.Generation}, nil
	}
	p.tail.known = true
	return nil
}

// What an aheadError says of NATS.
const (
	streamIs   = "the rules stream is"
	snapshotIs = "the newest snapshot is"
)

// compare fails with an aheadError where NATS has what the database does not.
func (p *Publisher) compare(ctx context.Context, t tail, newest snapshotHead, head decision.Epoch) error {
	what, err := p.differs(ctx, streamIs, t.epoch, t.hash, head)
	if err == nil && what == "" {
		what, err = p.differs(ctx, snapshotIs, newest.epoch, newest.hash, head)
	}
	if err == nil && what != "" {
		err = &aheadError{what}
	}
	return err
}

// find reads the stream backwards to the last envelope that verifies. The epoch is zero where there is none.
func (p *Publisher) find(ctx context.Context) (tail, error) {
	first, last, err := p.stream.RulesBounds(ctx)
	if err != nil {
		return tail{}, err
	}
	t := tail{sequence: last}
	for seq := last; seq >= first && seq > 0; seq-- {
		env, hash, err := p.message(ctx, seq)
		if err != nil {
			return tail{}, err
		}
		if env != nil {
			t.epoch, t.hash = decision.Epoch{Generation: env.GetGeneration(), Number: env.GetTo()}, hash
			return t, nil
		}
	}
	return t, nil
}

// message is the envelope at a sequence, with its hash; nil where there is none that verifies.
func (p *Publisher) message(ctx context.Context, sequence uint64) (*rulesv1.Envelope, []byte, error) {
	raw, ok, err := p.stream.RulesMessage(ctx, sequence)
	if err != nil || !ok {
		return nil, nil, err
	}
	opened, err := p.verifier.Open(envelope.KindEnvelope, raw, time.Now())
	if err != nil {
		p.log.Warn("stepped over a message on the rules stream", "sequence", sequence, "error", err)
		return nil, nil, nil
	}
	env := &rulesv1.Envelope{}
	if err := proto.Unmarshal(opened.Payload, env); err != nil {
		return nil, nil, fmt.Errorf("decode the envelope at %d: %w", sequence, err)
	}
	return env, envelope.Hash(opened.Payload), nil
}
