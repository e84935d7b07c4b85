package ruleset

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// What refused rules are counted as; see the package comment.
const (
	refusedSignature = "signature"
	refusedMalformed = "malformed"
	refusedNeeds     = "needs"
	refusedFleet     = "fleet"
	refusedRollback  = "rollback"
	refusedFork      = "fork"
	refusedGap       = "gap"
	refusedHash      = "hash"
	refusedGuard     = "guard"
)

// openReason is what a message that does not open is counted as. What cannot be read as a signed message bears no
// signature that verifies.
func openReason(err error) string {
	if errors.Is(err, envelope.ErrFleet) {
		return refusedFleet
	}
	return refusedSignature
}

// opened is what Open said of a change set or a snapshot; an error is noted, for a newer key set may make it none.
func (f *Follower) opened(kind envelope.Kind, raw []byte) (envelope.Opened, error) {
	opened, err := f.open(kind, raw)
	if errors.Is(err, envelope.ErrSignature) {
		f.unsigned.Store(true)
	}
	return opened, err
}

// take deals with one message of the stream. It answers false where change sets before it are missing. A change set that it accepts may still wait for the
// disk; whatever else it does, it does after all those before are in force.
func (f *Follower) take(raw []byte, repeated, history bool) bool {
	refuse := func(reason string, err error) {
		f.batch.settle()
		if !repeated {
			f.refuse(reason, err)
		}
	}
	opened, err := f.opened(envelope.KindEnvelope, raw)
	if err != nil {
		refuse(openReason(err), err)
		return true
	}
	env := &rulesv1.Envelope{}
	if err := proto.Unmarshal(opened.Payload, env); err != nil {
		refuse(refusedMalformed, err)
		return true
	}
	if env.GetFleet() != f.verifier.Fleet() {
		refuse(refusedFleet, fmt.Errorf("it is fleet %q's", env.GetFleet()))
		return true
	}
	if env.GetGeneration() == 0 || env.GetTo() <= env.GetFrom() {
		refuse(refusedMalformed, fmt.Errorf("from %d to %d of generation %d", env.GetFrom(), env.GetTo(), env.GetGeneration()))
		return true
	}
	hash := envelope.Hash(opened.Payload)
	switch p := f.place(env, hash); p {
	case same:
	case older:
		if !history {
			refuse(refusedRollback, fmt.Errorf("it leads to %d.%d", env.GetGeneration(), env.GetTo()))
		}
	case forked:
		f.batch.settle()
		f.freeze(decision.Epoch{Generation: env.GetGeneration(), Number: env.GetTo()})
	case gap, wrongHash:
		f.batch.settle()
		if f.current.Load() != nil && env.GetGeneration() == f.Epoch().Generation {
			refuse(string(p), fmt.Errorf("it leads from %d to %d", env.GetFrom(), env.GetTo()))
		}
		return false
	case next, whole:
		to, reason, err := f.apply(env, opened.Payload, hash, p == whole)
		if err != nil {
			f.batch.settle()
			f.refusing.Store(&reason)
			refuse(reason, err)
			// Another state than the one that was meant can only be mended by a snapshot.
			return reason != refusedHash
		}
		f.accept(accepted{to, raw, env.GetCreatedAt().AsTime(), history})
	}
	return true
}

// place is how an envelope stands to what is enforced.
type place string

const (
	same      place = "same"  // It is the one that ends there, or nothing of its generation is taken any more.
	older     place = "older" // It is known, or was overtaken.
	forked    place = "forked"
	next      place = "next"
	whole     place = "whole" // It needs nothing before it.
	gap       place = refusedGap
	wrongHash place = refusedHash
)

func (f *Follower) place(env *rulesv1.Envelope, hash []byte) place {
	at := f.head().epoch()
	switch {
	case env.GetGeneration() < at.Generation:
		return older
	case f.frozen.Load() == env.GetGeneration():
		return same
	case env.GetGeneration() > at.Generation:
		if env.GetFrom() == 0 {
			return whole
		}
		return gap
	}
	if known, ok := f.known[env.GetTo()]; ok && !bytes.Equal(known, hash) {
		return forked
	}
	switch {
	case env.GetTo() == at.Number:
		return same
	case env.GetTo() < at.Number:
		return older
	case env.GetFrom() > at.Number:
		return gap
	}
	// A change set that begins before the state's end sets and removes what it sets and removes: applied again it does no
	// harm, if it begins at a state that this one came from.
	known, ok := f.known[env.GetFrom()]
	switch {
	case !ok:
		return gap
	case !bytes.Equal(known, env.GetPreviousHash()):
		return wrongHash
	}
	return next
}

// apply builds the next state aside. Where it fails, nothing has changed.
func (f *Follower) apply(env *rulesv1.Envelope, payload, hash []byte, whole bool) (to *enforced, reason string, err error) {
	if err := f.unmet(env.GetNeeds()); err != nil {
		return nil, refusedNeeds, err
	}
	sums, err := digests(payload, envelopeRecords, len(env.GetRecords()))
	if err != nil {
		return nil, refusedMalformed, err
	}
	var from *decision.State
	if e := f.head(); e != nil && !whole {
		from = e.state
	}
	edit := decision.Edit(from)
	for i, r := range env.GetRecords() {
		if err := f.set(edit.Of(sums[i]), r); err != nil {
			return nil, reasonOf(err), fmt.Errorf("record %d: %w", i, err)
		}
	}
	state, err := edit.Build(decision.Epoch{Generation: env.GetGeneration(), Number: env.GetTo()})
	if err != nil {
		return nil, refusedMalformed, err
	}
	if err := agrees(state, env.GetStateHash()); err != nil {
		return nil, refusedHash, err
	}
	change := transition{
		from: from, to: state, changed: licensesOf(env.GetRecords()), confirmed: env.GetConfirmedAffected(), created: env.GetCreatedAt().AsTime(),
	}
	if err := f.guarded(change); err != nil {
		return nil, refusedGuard, err
	}
	return newEnforced(state, hash), "", nil
}

// remembered is how many epochs back a fork is still told from a replay.
const remembered = 4096

// remember notes the hash of the newest epoch that was accepted.
func (f *Follower) remember(at decision.Epoch, hash []byte) {
	if at.Generation != f.head().epoch().Generation {
		clear(f.known)
	}
	f.known[at.Number] = hash
	delete(f.known, at.Number-remembered)
}

// enforce brings a state into force. What waits was settled before, or is what calls it.
func (f *Follower) enforce(e *enforced) {
	at := e.epoch()
	f.current.Store(e)
	f.refusing.Store(nil)
	if raw := f.fresh.enforced(at, e.ages); raw != nil {
		f.disk.heard(raw)
	}
	f.metrics.epoch.Set(float64(at.Number))
	f.broken(e.state)
	f.log.Debug("enforcing an epoch", "generation", at.Generation, "number", at.Number)

	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// freeze stops taking change sets of a generation in which one epoch has two contents.
func (f *Follower) freeze(at decision.Epoch) {
	if f.frozen.Swap(at.Generation) == at.Generation {
		return
	}
	f.metrics.rejected.WithLabelValues(refusedFork).Inc()
	f.log.Error("two change sets have the same epoch: keeping the rules as they are until a higher generation",
		"generation", at.Generation, "number", at.Number)
	select {
	case f.disk.froze <- struct{}{}:
	default:
	}
}

// logEvery is the least time between two lines about refusals for one reason: whoever can publish must not fill the node's disk.
const logEvery = time.Second

func (f *Follower) refuse(reason string, err error) {
	f.metrics.rejected.WithLabelValues(reason).Inc()
	if f.loud(reason) {
		f.log.Warn("refused rules", "reason", reason, "error", err)
	}
}

// loud reports whether it is time for another line about one thing.
func (f *Follower) loud(what string) bool {
	now := f.clock.Tick()
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.logged[what]; ok && now.Sub(last) < logEvery {
		return false
	}
	f.logged[what] = now
	return true
}
