package spool

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/envelope"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// Receipt takes a message of the node's receipts subject: an encoded rules.v1.Signed. It may come late, twice, in any
// order, and from anyone: what does not verify is counted and ignored. It does not block on the disk or the network.
func (l *Log) Receipt(raw []byte) {
	r, err := l.openReceipt(raw)
	if err != nil {
		l.counts.refusedReceipts.Add(1)
		if l.refusals.now() {
			l.cfg.Logger.Warn("a receipt is refused", "error", err, "refused_so_far", l.counts.refusedReceipts.Load())
		}
		return
	}
	if why := r.GetBlocked(); why != "" {
		l.blocked(why)
		return
	}
	l.shipper.receipt(r)
}

// blocked takes the control plane's word that this node is blocked. Nothing is lost by that: segments stay here, and are sent again now and then,
// as any that have no receipt.
func (l *Log) blocked(why string) {
	if l.blocks.now() {
		l.cfg.Logger.Error("this node is blocked: its log is kept here and not taken. `tollgate fleet unblock` lets it send again; a node with new keys can take "+
			"its name over by a join token that says replace", "node", l.cfg.Node, "reason", why)
	}
}

func (l *Log) openReceipt(raw []byte) (*ledgerv1.Receipt, error) {
	opened, err := l.cfg.Verifier.Open(envelope.KindReceipt, raw, l.cfg.Now())
	if err != nil {
		return nil, err
	}
	var r ledgerv1.Receipt
	if err := proto.Unmarshal(opened.Payload, &r); err != nil {
		return nil, fmt.Errorf("decode receipt: %w", err)
	}
	if r.GetFleet() != l.cfg.Fleet || r.GetNode() != l.cfg.Node {
		return nil, fmt.Errorf("receipt for node %q of fleet %q", r.GetNode(), r.GetFleet())
	}
	return &r, nil
}

// receipt applies a receipt that verified. One for a boot that is gone, or was never here, changes nothing.
func (s *shipper) receipt(r *ledgerv1.Receipt) {
	s.mu.Lock()
	var err error
	l := s.lane(r.GetBoot())
	if l != nil && l.held == nil {
		err = l.receipt(r, time.Now())
	}
	s.mu.Unlock()
	if errors.Is(err, errFork) {
		s.counts.forks.Add(1)
		s.reportHeld(l, err)
	}
	s.poke()
}

// seldom says yes at most once in seldomEvery: whoever can send to us must not be able to fill the disk with what
// is logged of it.
type seldom struct {
	mu   sync.Mutex
	last time.Time
}

const seldomEvery = 10 * time.Second

func (s *seldom) now() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.last.IsZero() && now.Sub(s.last) < seldomEvery {
		return false
	}
	s.last = now
	return true
}
