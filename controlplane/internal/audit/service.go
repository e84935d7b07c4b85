package audit

import "context"

// Store reads the log. It blocks on the database and ends with its context.
type Store interface {
	// Events are those that l asks for, newest first, and the head of the same moment.
	Events(ctx context.Context, l List) ([]Event, Head, error)
}

// List says which part of the log to read. Empty fields don't narrow it.
type List struct {
	Below           uint64 // Only older ones than this sequence; 0: from the newest on.
	Actor, Kind, ID string
	Limit           int
}

// Service reads and checks the log. Safe for concurrent use.
type Service struct{ store Store }

// NewService makes a Service.
func NewService(s Store) *Service { return &Service{s} }

// Events lists events, newest first. Next is the Below of the next page; 0 on the last.
func (s *Service) Events(ctx context.Context, l List) (events []Event, next uint64, head Head, err error) {
	limit := l.Limit
	l.Limit++
	events, head, err = s.store.Events(ctx, l)
	if len(events) > limit {
		events = events[:limit]
		next = events[limit-1].Sequence
	}
	return events, next, head, err
}

// verifyPage is how many events are held in memory at once.
const verifyPage = 500

// Verify checks the whole chain, and returns its head as it was at the start.
func (s *Service) Verify(ctx context.Context) (Result, Head, error) {
	l := List{Limit: verifyPage}
	events, next, head, err := s.Events(ctx, l)
	v := Verify(head)
	for {
		if err != nil {
			return Result{}, Head{}, err
		}
		for i := range events {
			v.Event(&events[i])
		}
		if next == 0 {
			return v.End(), head, nil
		}
		l.Below = next
		events, next, _, err = s.Events(ctx, l)
	}
}
