package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/dataplane/decision"
)

// aheadError: something is ahead of the database, or differs from it. Publishing would lead nodes to what is older than what they enforce.
type aheadError struct{ what string }

func (e *aheadError) Error() string {
	return e.what + ": was the database restored? `tollgate recover` opens a new generation"
}

// errUnheard: no node has had the time to say what it enforces.
var errUnheard = errors.New("waiting for nodes to say what they enforce")

// settle is how long nodes get for that: they report each second, and connect to NATS again within two.
const settle = 3 * time.Second

// differs says how an epoch that is known elsewhere stands to the database, whose head was read after it; empty: it is the database's. One of a
// generation that was left by recovery is no matter: nodes follow the higher one.
func (p *Publisher) differs(ctx context.Context, what string, at decision.Epoch, hash []byte, head decision.Epoch) (string, error) {
	switch {
	case at.Compare(head) > 0:
		return fmt.Sprintf("%s at epoch %s, ahead of the database at %s", what, label(at), label(head)), nil
	case at.Generation < head.Generation, at.Number == 0:
		return "", nil
	}
	stored, err := p.store.EnvelopeHash(ctx, at)
	if err != nil || bytes.Equal(stored, hash) {
		return "", err
	}
	return fmt.Sprintf("%s at an epoch %s that is not the database's", what, label(at)), nil
}

// checkNodes fails with an aheadError where a node proves to enforce what the database does not have. nodes is how many are known.
func (p *Publisher) checkNodes(ctx context.Context) (nodes int, err error) {
	at, hash, nodes, err := p.store.Proven(ctx)
	if err != nil {
		return 0, err
	}
	head, _, err := p.store.Head(ctx)
	if err != nil {
		return 0, err
	}
	what, err := p.differs(ctx, "nodes are", at, hash, head)
	if err == nil && what != "" {
		err = &aheadError{what}
	}
	return nodes, err
}

// failed notes why nothing is published, and says it once.
func (p *Publisher) failed(ctx context.Context, err error) {
	p.tail.known = false
	ahead, ok := errors.AsType[*aheadError](err)
	if !ok {
		if errors.Is(err, errUnheard) {
			p.log.Info("not publishing rules yet", "reason", err)
		} else {
			p.log.Warn("cannot publish rules", "error", err)
		}
		return
	}
	if why := ahead.Error(); p.said(ctx, why) {
		p.log.Error("publishing no rules and no heartbeats: nodes go on with what they have, and it ages", "reason", why)
	}
}

// said keeps why nothing is published, where everybody can read it; empty: something is. It reports whether that is news.
func (p *Publisher) said(ctx context.Context, why string) bool {
	was := p.stopped.Swap(&why)
	news := was == nil || *was != why
	stopped := 0.0
	if why != "" {
		stopped = 1
	}
	p.metrics.stopped.Set(stopped)
	if news || !p.stateKept {
		instance := p.instance
		if why != "" {
			// What was published from stays what is compared with.
			instance = p.knownInstance
		}
		err := p.store.KeepState(ctx, why, instance)
		if err != nil {
			p.log.Warn("cannot keep the publisher's state: trying again", "error", err)
		}
		p.stateKept = err == nil
		if p.stateKept {
			p.knownInstance = instance
		}
	}
	return news
}

// Stopped is why this process, which leads, publishes nothing; empty where it does, or another leads. It never blocks.
func (p *Publisher) Stopped() string {
	if why := p.stopped.Load(); why != nil {
		return *why
	}
	return ""
}

// look asks which Postgres this is. moved: another one than was published from last; it was restored, or a standby was promoted.
func (p *Publisher) look(ctx context.Context) (moved bool, err error) {
	if p.instance == "" {
		if p.instance, p.knownInstance, err = p.store.Instance(ctx); err != nil {
			return false, err
		}
		if p.moved() {
			p.log.Warn("Postgres was restored, or a standby was promoted", "now", p.instance, "before", p.knownInstance)
		}
	}
	return p.moved(), nil
}

func (p *Publisher) moved() bool { return p.knownInstance != "" && p.knownInstance != p.instance }
