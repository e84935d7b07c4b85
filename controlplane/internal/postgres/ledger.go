package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres/query"
)

// Ledger is ingest.Store.
type Ledger struct{ db *DB }

// Ledger is the port of ingest.
func (db *DB) Ledger() *Ledger { return &Ledger{db} }

// Commit takes segments in one transaction. Locks are taken in this order: blocks of nodes, boots that end, heads, counters of boots that
// end, pools, loans; each kind in its own order. Lenders lock boots, then counters, pools, loans.
func (l *Ledger) Commit(ctx context.Context, segments []metering.Segment) ([]metering.Answer, error) {
	var answers []metering.Answer
	err := l.db.inTx(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error {
		c := commit{ctx: ctx, tx: tx, q: query.New(tx), loans: map[bootLoan]int64{}, usage: map[metering.UsageKey]int64{}, free: map[metering.UsageKey]int64{}}
		answers = answers[:0]
		if err := c.findBlocked(segments); err != nil {
			return err
		}
		if err := c.lockBoots(segments); err != nil {
			return err
		}
		for i := range segments {
			a, err := c.take(&segments[i])
			if err != nil {
				p := segments[i].Place
				return fmt.Errorf("segment %d of boot %s: %w", p.Number, p.Boot, err)
			}
			answers = append(answers, a)
		}
		return c.finish()
	})
	if err != nil {
		return nil, fmt.Errorf("commit segments: %w", corrupt(err))
	}
	return answers, nil
}

// corrupt marks what will fail however often it is tried: data that the tables refuse (SQLSTATE classes 22 and 23).
func corrupt(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) && (e.Code[:2] == "22" || e.Code[:2] == "23") {
		return fmt.Errorf("%w: %w", metering.ErrCorrupt, err)
	}
	return err
}

// commit is one transaction.
type commit struct {
	ctx context.Context
	tx  pgx.Tx
	q   *query.Queries
	// What all segments together move.
	usage map[metering.UsageKey]int64
	free  map[metering.UsageKey]int64
	loans map[bootLoan]int64
	ended []string
	// blocked is why signers are.
	blocked map[signer]string
}

// signer is who signed a segment.
type signer struct{ node, key string }

func signerOf(p *metering.Place) signer { return signer{p.Node, string(p.Signer)} }

// findBlocked looks which signers are blocked, and keeps that as it is until the transaction ends. The lock is asked for by itself: what is read by
// the statement after it is what those have left who held it.
func (c *commit) findBlocked(segments []metering.Segment) error {
	if err := c.q.HoldBlocks(c.ctx); err != nil {
		return fmt.Errorf("hold the blocks of nodes: %w", err)
	}
	asked := map[signer]bool{}
	var p query.BlocksOfSignersParams
	for i := range segments {
		place := &segments[i].Place
		if s := signerOf(place); !asked[s] {
			asked[s] = true
			p.Nodes, p.PublicKeys = append(p.Nodes, place.Node), append(p.PublicKeys, filledBytes(place.Signer))
		}
	}
	rows, err := c.q.BlocksOfSigners(c.ctx, p)
	if err != nil {
		return fmt.Errorf("look for blocked nodes: %w", err)
	}
	c.blocked = make(map[signer]string, len(rows))
	for _, r := range rows {
		c.blocked[signer{r.Node, string(r.PublicKey)}] = r.Reason
	}
	return nil
}

type bootLoan struct {
	boot string
	key  metering.LoanKey
}

// lockBoots keeps lenders from lending to boots that end here.
func (c *commit) lockBoots(segments []metering.Segment) error {
	var boots []string
	for i := range segments {
		if segments[i].Place.Final {
			boots = append(boots, segments[i].Place.Boot)
		}
	}
	slices.Sort(boots)
	for _, b := range slices.Compact(boots) {
		if err := c.q.LockBoot(c.ctx, b); err != nil {
			return fmt.Errorf("lock boot %s: %w", b, err)
		}
	}
	return nil
}

// take moves a boot's head to a segment, and writes its decisions. Usage and loans are written at the end.
func (c *commit) take(s *metering.Segment) (metering.Answer, error) {
	if why, blocked := c.blocked[signerOf(&s.Place)]; blocked {
		return metering.Answer{Admission: metering.Blocked, Reason: why}, nil
	}
	moved, err := c.move(&s.Place)
	if err != nil {
		return metering.Answer{}, fmt.Errorf("move the head: %w", err)
	}
	if !moved {
		return c.refuse(&s.Place)
	}
	if err := c.insert(s.Entries.Rows); err != nil {
		return metering.Answer{}, err
	}
	c.add(s.Place.Boot, s.Entries.Movement)
	if err := c.settle(s); err != nil {
		return metering.Answer{}, err
	}
	if s.Place.Final {
		c.ended = append(c.ended, s.Place.Boot)
	}
	return metering.Answer{Admission: metering.Committed, Head: metering.Head{Number: s.Place.Number, Hash: s.Place.Hash}}, nil
}

func (c *commit) move(p *metering.Place) (bool, error) {
	var n int64
	var err error
	if p.Number == 1 {
		n, err = c.q.BeginHead(c.ctx, query.BeginHeadParams{
			Boot: p.Boot, Node: p.Node, Number: 1, Hash: p.Hash, Closed: p.Final, SealedAt: p.SealedAt,
		})
	} else {
		n, err = c.q.MoveHead(c.ctx, query.MoveHeadParams{
			Boot: p.Boot, Node: p.Node, Number: int64(p.Number), Hash: p.Hash, Previous: p.Previous,
			Closed: p.Final, SealedAt: p.SealedAt,
		})
	}
	return n == 1, err
}

// refuse says why a head could not be moved.
func (c *commit) refuse(p *metering.Place) (metering.Answer, error) {
	h, err := c.q.BootHead(c.ctx, p.Boot)
	if errors.Is(err, pgx.ErrNoRows) {
		return metering.Answer{Admission: metering.Gap}, nil
	}
	if err != nil {
		return metering.Answer{}, fmt.Errorf("read the head: %w", err)
	}
	head := metering.Head{Number: uint64(h.Number), Hash: h.Hash}
	admission := metering.Fork
	switch {
	case h.Node != p.Node:
	case p.Number < head.Number, p.Number == head.Number && bytes.Equal(p.Hash, head.Hash):
		admission = metering.Duplicate
	case p.Number > head.Number+1 && !h.Closed:
		admission = metering.Gap
	}
	return metering.Answer{Admission: admission, Head: head}, nil
}

// add notes what is to be moved.
func (c *commit) add(boot string, m metering.Movement) {
	for k, v := range m.Usage {
		c.usage[k] += v
	}
	for k, v := range m.Free {
		c.free[k] += v
	}
	for k, v := range m.Loans {
		c.loans[bootLoan{boot, k}] += v
	}
}

// settle writes the ends of requests that began in earlier segments.
func (c *commit) settle(s *metering.Segment) error {
	if len(s.Entries.Late) == 0 {
		return nil
	}
	ids := make([]string, len(s.Entries.Late))
	for i := range s.Entries.Late {
		ids[i] = s.Entries.Late[i].Decision
	}
	rows, err := c.q.KnownDecisions(c.ctx, ids)
	if err != nil {
		return fmt.Errorf("look up decisions: %w", err)
	}
	known := make(map[string]metering.Known, len(rows))
	for _, r := range rows {
		known[r.ID] = metering.Known{Settled: r.Settled, Counted: r.Counted}
	}
	apply, m := s.Entries.Settle(known)
	c.add(s.Place.Boot, m)
	if err := c.q.SettleDecisions(c.ctx, fromSettlements(apply)); err != nil {
		return fmt.Errorf("settle decisions: %w", err)
	}
	return nil
}

// finish writes what all segments together move, and closes the boots that ended.
func (c *commit) finish() error {
	if p := fromUsage(c.usage); len(p.Units) > 0 {
		if err := c.q.AddUsage(c.ctx, p); err != nil {
			return fmt.Errorf("add usage: %w", err)
		}
	}
	slices.Sort(c.ended)
	if len(c.ended) > 0 {
		if err := c.q.LockCountersOfBoots(c.ctx, c.ended); err != nil {
			return fmt.Errorf("lock counters: %w", err)
		}
	}
	if p := fromFree(c.free); len(p.Units) > 0 {
		if err := c.q.ChargePools(c.ctx, p); err != nil {
			return fmt.Errorf("charge pools: %w", err)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(c.loans), compareLoans) {
		if c.loans[k] == 0 {
			continue
		}
		if err := c.q.SettleLoan(c.ctx, query.SettleLoanParams{
			Units: c.loans[k], Boot: k.boot, License: k.key.License, Meter: k.key.Meter,
			PeriodStart: k.key.PeriodStart, PeriodEnd: periodEnd(k.key.PeriodEnd), Generation: int64(k.key.Generation),
		}); err != nil {
			return fmt.Errorf("settle the loan of %s to boot %s: %w", k.key.License, k.boot, err)
		}
	}
	for _, b := range c.ended {
		if err := c.q.CloseBoot(c.ctx, b); err != nil {
			return fmt.Errorf("close boot %s: %w", b, err)
		}
	}
	return nil
}
