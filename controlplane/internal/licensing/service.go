package licensing

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
)

// Config is what a Service needs.
type Config struct {
	Store   Store   // Required.
	Encoder Encoder // Required.
	// Nodes certifies nodes that join. nil: none can.
	Nodes NodeIssuer
	// KeySets verifies key sets. nil: none is taken.
	KeySets OpenKeySet
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Random is what ids and secrets are drawn from. nil: crypto/rand's Reader.
	Random io.Reader
}

// Service is the domain's one door. Safe for concurrent use.
type Service struct {
	store   Store
	encoder Encoder
	keySets OpenKeySet
	clock   func() time.Time
	random  io.Reader
	nodes   NodeIssuer
	// founded has of the fleet what never changes once it exists, and every call of the API needs: ID and Pepper.
	founded atomic.Pointer[Fleet]
}

// New makes a Service. Bootstrap comes before anything else.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Encoder == nil {
		return nil, errors.New("licensing: Store and Encoder are required")
	}
	s := &Service{store: c.Store, encoder: c.Encoder, keySets: c.KeySets, clock: c.Now, random: c.Random, nodes: c.Nodes}
	if s.keySets == nil {
		s.keySets = noRoots
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	return s, nil
}

// now is the clock in what Postgres keeps of it: microseconds.
func (s *Service) now() time.Time { return micros(s.clock()) }

func (s *Service) newID(prefix string, now time.Time) (string, error) {
	id, err := ulid.New(ulid.Timestamp(now), s.random)
	if err != nil {
		return "", err
	}
	return prefix + id.String(), nil
}

// Epoch is the newest rule state's.
func (s *Service) Epoch(ctx context.Context) (Epoch, error) {
	h, err := s.store.Head(ctx)
	return h.Epoch, err
}

// Fleet is the fleet's settings. Its Pepper is a secret.
func (s *Service) Fleet(ctx context.Context) (Fleet, error) { return s.store.Fleet(ctx) }

// write is one write that may touch rules, while it runs.
type write struct {
	Tx
	svc     *Service
	call    Call
	now     time.Time
	head    Head
	changes []Change
	events  []LicenseEvent
	moving  []PlanMigration // Migrations that went on in this write.
	losers  int64           // Licences that lose a feature by migrations that began in it.

	recorder *recorder
}

// newWrite begins a write, under the head's lock or before it.
func (s *Service) newWrite(ctx context.Context, tx Tx) *write {
	r := &recorder{Tx: tx}
	return &write{Tx: r, svc: s, call: CallOf(ctx), now: s.now(), recorder: r}
}

// errValidateOnly rolls back what was only to be checked.
var errValidateOnly = errors.New("validate only")

// holds refuses where the caller knows another state of the object that it names.
func (w *write) holds(kind Kind, id, stored string) error {
	return fresh(kind, id, w.call.Etag, stored)
}

// rule notes what nodes have to learn.
func (w *write) rule(c ...Change) { w.changes = append(w.changes, c...) }

// write runs f while no one else changes rules, and publishes what it noted. It returns the epoch that the rules
// have then. What f leaves in result, a pointer, is the call's answer: where the same call comes again, result is what
// it was, and f does not run.
func (s *Service) write(ctx context.Context, result any, f func(*write) error) (Epoch, error) {
	var epoch Epoch
	err := s.store.Update(ctx, func(tx Tx) (err error) {
		w := s.newWrite(ctx, tx)
		if w.head, err = tx.LockHead(ctx); err != nil {
			return err
		}
		epoch = w.head.Epoch
		again, err := w.replay(ctx, result)
		if err != nil {
			return err
		}
		if again {
			epoch = w.head.Epoch
			return nil
		}
		if err := f(w); err != nil {
			return err
		}
		if err := w.publish(ctx); err != nil {
			return err
		}
		if err := w.keepMoving(ctx); err != nil {
			return err
		}
		if len(w.events) > 0 {
			if err := w.AppendLicenseEvents(ctx, w.events, w.now); err != nil {
				return err
			}
		}
		if w.call.ValidateOnly {
			return errValidateOnly
		}
		epoch = w.head.Epoch
		if err := w.audit(ctx); err != nil {
			return err
		}
		return w.remember(ctx, result)
	})
	if errors.Is(err, errValidateOnly) {
		err = nil
	}
	return epoch, err
}
