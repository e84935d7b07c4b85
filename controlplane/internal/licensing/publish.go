package licensing

import (
	"context"
	"crypto/sha256"
	"strings"

	"tollgate/dataplane/decision"
)

// An envelope stays well under what the broker carries in one message (1 MiB), and within 1,000 records.
const (
	maxRecords  = 1000
	maxEnvelope = 700 << 10
	// maxFrame is what an envelope is beside its records, and each record beside itself.
	maxFrame = 16
)

// record is a change as it is sent.
type record struct {
	change Change
	key    string // Of its digest.
	raw    []byte
}

func (w *write) record(c Change) (record, error) {
	raw, err := w.svc.encoder.Record(c)
	return record{c, digestKey(c), raw}, err
}

// digestKey is what a change's digest is noted under: <kind>/<id>.
func digestKey(c Change) string {
	kind, id := c.change()
	return string(kind) + "/" + id
}

// publish stores the noted changes as the next epoch, or as several where they are too many for one.
func (w *write) publish(ctx context.Context) error {
	if len(w.changes) == 0 {
		return nil
	}
	fleet, err := w.identity(ctx)
	if err != nil {
		return err
	}
	// Routes stay together: half of a change of routes could tie with the other half.
	var routes, others []record
	for _, c := range w.changes {
		r, err := w.record(c)
		if err != nil {
			return err
		}
		if _, ok := c.(*Route); ok {
			routes = append(routes, r)
		} else {
			others = append(others, r)
		}
	}
	if all := append(others[:len(others):len(others)], routes...); fits(all) {
		return w.append(ctx, fleet.ID, all)
	}
	for len(others) > 0 {
		n := min(len(others), maxRecords)
		for !fits(others[:n]) {
			if n == 1 {
				return refused("one object is too large to be sent to nodes")
			}
			n /= 2
		}
		if err := w.append(ctx, fleet.ID, others[:n]); err != nil {
			return err
		}
		others = others[n:]
	}
	if len(routes) == 0 {
		return nil
	}
	if size(routes) > maxEnvelope {
		return refused("%d routes change, which is too much for one change set: apply them in parts", len(routes))
	}
	return w.append(ctx, fleet.ID, routes)
}

// fits reports whether records make one envelope.
func fits(records []record) bool { return len(records) <= maxRecords && size(records) <= maxEnvelope }

func size(records []record) int {
	n := 0
	for _, r := range records {
		n += len(r.raw) + maxFrame
	}
	return n
}

// append stores records as one epoch.
func (w *write) append(ctx context.Context, fleet string, records []record) error {
	digests := make(map[string]*decision.Digest, len(records))
	raw := make([][]byte, len(records))
	for i, r := range records {
		raw[i], digests[r.key] = r.raw, nil
		if _, removed := r.change.(*Removal); !removed {
			digests[r.key] = new(decision.DigestOf(r.raw))
		}
	}
	replaced, err := w.ReplaceDigests(ctx, digests)
	if err != nil {
		return err
	}
	var stateHash *decision.Digest
	if w.head.StateHash != nil {
		sum := w.head.StateHash.Minus(replaced)
		for _, d := range digests {
			if d != nil {
				sum = sum.Plus(*d)
			}
		}
		stateHash = &sum
	}
	payload, err := w.svc.encoder.Envelope(ChangeSet{
		Fleet: fleet, Head: w.head, Time: w.now, Records: raw, StateHash: stateHash, Confirmed: w.confirmedIn(records),
	})
	if err != nil {
		return err
	}
	hash := sha256.Sum256(payload)
	next := Envelope{
		Epoch:   Epoch{Generation: w.head.Epoch.Generation, Number: w.head.Epoch.Number + 1},
		Payload: payload, Hash: hash[:], CreateTime: w.now, StateHash: stateHash,
	}
	if err := w.AppendEnvelope(ctx, next); err != nil {
		return err
	}
	w.head = Head{Epoch: next.Epoch, Hash: next.Hash, StateHash: stateHash}
	return nil
}

// maxResync bounds how many changes one Resync publishes.
const maxResync = 100_000

// Resync compares what nodes were told last with what they would be told now, and publishes what differs: nothing, unless a release tells
// them more of the same objects than the one before it, or an error left something out. Where it is not known what they were told, all that there is
// counts as told. It reads the whole rule state while nobody else can change rules, and so is for the case that a snapshot does not have the
// state hash that it should. It returns how many changes it published; after maxResync there may be more.
func (s *Service) Resync(ctx context.Context) (published int, err error) {
	ctx = WithCall(ctx, Call{Procedure: "resync"})
	err = s.store.Update(ctx, func(tx Tx) error {
		w := s.newWrite(ctx, tx)
		if w.head, err = tx.LockHead(ctx); err != nil {
			return err
		}
		if w.head.StateHash == nil {
			published = 0
			return w.tell(ctx)
		}
		if err := w.differences(ctx); err != nil {
			return err
		}
		published = len(w.changes)
		return w.publish(ctx) // No object changes: there is nothing for the audit.
	})
	return published, err
}

// tell notes everything as told.
func (w *write) tell(ctx context.Context) error {
	var sum decision.Digest
	batch := map[string]*decision.Digest{}
	flush := func() error {
		_, err := w.ReplaceDigests(ctx, batch)
		clear(batch)
		return err
	}
	err := w.RuleState(ctx, func(c Change) error {
		r, err := w.record(c)
		if err != nil {
			return err
		}
		d := decision.DigestOf(r.raw)
		sum, batch[r.key] = sum.Plus(d), &d
		if len(batch) == maxRecords {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return w.SetStateHash(ctx, sum)
}

// differences notes as changes what differs from what was told.
func (w *write) differences(ctx context.Context) error {
	told := map[string]decision.Digest{}
	var sum decision.Digest
	err := w.Digests(ctx, func(key string, d decision.Digest) error { told[key], sum = d, sum.Plus(d); return nil })
	if err != nil {
		return err
	}
	w.head.StateHash = &sum
	err = w.RuleState(ctx, func(c Change) error {
		r, err := w.record(c)
		if err != nil {
			return err
		}
		d, ok := told[r.key]
		delete(told, r.key)
		if (!ok || d != decision.DigestOf(r.raw)) && len(w.changes) < maxResync {
			w.rule(c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key := range told {
		if kind, id, ok := strings.Cut(key, "/"); ok && len(w.changes) < maxResync {
			w.rule(&Removal{Kind: Kind(kind), ID: id})
		}
	}
	return w.SetStateHash(ctx, sum) // It may be that alone which was wrong.
}
