// Package metering answers what was used and what was decided.
package metering

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The service's errors wrap one of these where the caller is at fault.
var (
	ErrInvalid  = errors.New("invalid query")
	ErrNotFound = errors.New("no such decision")
)

// MaxPage bounds a page of decisions; DefaultPage is taken for 0.
const (
	MaxPage     = 1000
	DefaultPage = 50
)

// Store is what the service reads. Its methods read committed data and block on the database.
type Store interface {
	// Usage reads whole minutes from q.From to q.To; both and q.Window are aligned already.
	Usage(ctx context.Context, q UsageQuery) (Usage, error)
	// Decisions are newest first, at most limit, after the cursor if there is one.
	Decisions(ctx context.Context, f Filter, after *Cursor, limit int) ([]Decision, error)
	// Decision fails with ErrNotFound where there is none.
	Decision(ctx context.Context, id string) (Decision, error)
}

// Service answers questions about usage and decisions. Safe for concurrent use.
type Service struct{ store Store }

// NewService reads from store.
func NewService(store Store) *Service { return &Service{store: store} }

// QueryUsage adds up what a licence used of a meter.
func (s *Service) QueryUsage(ctx context.Context, q UsageQuery) (Usage, error) {
	if !q.To.After(q.From) {
		return Usage{}, fmt.Errorf("%w: to must be after from", ErrInvalid)
	}
	q.From = q.From.Truncate(time.Minute)
	if to := q.To.Truncate(time.Minute); to.Before(q.To) {
		q.To = to.Add(time.Minute)
	}
	if q.Window < 0 || q.Window%time.Minute != 0 {
		return Usage{}, fmt.Errorf("%w: window must be whole minutes", ErrInvalid)
	}
	if q.Window > 0 && q.To.Sub(q.From)/q.Window > MaxRows {
		return Usage{}, fmt.Errorf("%w: more than %d rows; take a wider window", ErrInvalid, MaxRows)
	}
	u, err := s.store.Usage(ctx, q)
	if err != nil {
		return Usage{}, fmt.Errorf("query usage: %w", err)
	}
	return u, nil
}

// SearchDecisions lists decisions, newest first, at most size (0: DefaultPage; clamped at MaxPage). next is the place to
// go on from, nil on the last page.
func (s *Service) SearchDecisions(ctx context.Context, f Filter, after *Cursor, size int) (page []Decision, next *Cursor, err error) {
	switch {
	case size <= 0:
		size = DefaultPage
	case size > MaxPage:
		size = MaxPage
	}
	page, err = s.store.Decisions(ctx, f, after, size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("search decisions: %w", err)
	}
	if len(page) > size {
		page = page[:size]
		c := CursorOf(&page[size-1])
		next = &c
	}
	return page, next, nil
}

// GetDecision finds a decision and explains it. ErrNotFound where there is none.
func (s *Service) GetDecision(ctx context.Context, id string) (Decision, []Step, error) {
	d, err := s.store.Decision(ctx, id)
	if err != nil {
		return Decision{}, nil, fmt.Errorf("get decision %s: %w", id, err)
	}
	return d, Trace(&d), nil
}
