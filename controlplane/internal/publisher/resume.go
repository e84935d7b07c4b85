package publisher

import (
	"bytes"
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
	head, hash, err := p.store.Head(ctx)
	if err != nil || head.Generation == 0 {
		return err
	}
	t, err := p.find(ctx)
	if err != nil {
		return err
	}
	if t.epoch.Compare(head) > 0 {
		return fmt.Errorf("the rules stream is at epoch %s, ahead of the database at %s: was the database restored? `tollgate recover` opens a new generation",
			label(t.epoch), label(head))
	}
	empty := t.epoch == decision.Epoch{}
	if !empty {
		stored, err := p.store.EnvelopeHash(ctx, t.epoch)
		if err != nil {
			return err
		}
		if !bytes.Equal(stored, t.hash) {
			return fmt.Errorf("epoch %s on the rules stream is not the database's: was the database restored? `tollgate recover` opens a new generation", label(t.epoch))
		}
	}
	newest, key, err := p.newestSnapshot(ctx)
	if err != nil {
		return err
	}
	p.tail = t
	p.tail.snapshot = newest
	// The key before this one may be taken out of the set at any time, and what it signed with it.
	if newest == (decision.Epoch{}) || newest.Compare(head) < 0 && (p.starting || empty) || !key.Equal(p.key) {
		if err := p.snapshot(ctx); err != nil {
			return err
		}
	}
	p.starting = false
	if empty {
		// Whatever a node had, the newest envelope shows it how far it is behind.
		p.tail.epoch, p.tail.hash = head, hash
		if head.Number > 0 {
			p.tail.epoch.Number--
		}
	}
	p.tail.known = true
	return nil
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
