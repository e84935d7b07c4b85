package licensing

import (
	"context"
	"time"
)

// ListLicenseEvents lists events after a number, oldest first, at most size (0: 50; clamped at 1,000). Whoever asks again from the last
// number that came follows all changes, and misses none. license may be empty: all licences'.
func (s *Service) ListLicenseEvents(ctx context.Context, license string, after int64, size int) ([]LicenseEvent, error) {
	if err := checkText("license", license, maxKey); err != nil {
		return nil, err
	}
	if after < 0 {
		return nil, invalid("after", "is negative")
	}
	if size < 0 {
		return nil, invalid("page_size", "is negative")
	}
	if size == 0 {
		size = defaultPage
	}
	if license != "" {
		if _, err := s.store.License(ctx, license); err != nil {
			return nil, at("license", err)
		}
	}
	return s.store.LicenseEvents(ctx, license, after, min(size, maxPage))
}

// dueBatch bounds a transaction of Elapse.
const dueBatch = 500

// Elapse records what time has brought about: it takes no part in enforcing it, which nodes do by themselves. It returns how many licences
// it looked at; where that is a full batch, more may be due.
func (s *Service) Elapse(ctx context.Context) (n int, more bool, err error) {
	err = s.store.Update(ctx, func(tx Tx) error {
		now := s.now()
		due, err := tx.LockDue(ctx, now, dueBatch)
		if err != nil || len(due) == 0 {
			n, more = 0, false
			return err
		}
		n, more = len(due), len(due) == dueBatch
		var events []LicenseEvent
		for i := range due {
			l := &due[i]
			events = append(events, l.happenings(l.DueAt.Add(-time.Microsecond), now)...)
			l.turn(now)
			l.DueAt = l.due(now)
		}
		if err := tx.SetDue(ctx, due); err != nil || len(events) == 0 {
			return err
		}
		return tx.AppendLicenseEvents(ctx, events, now)
	})
	return n, more, err
}
