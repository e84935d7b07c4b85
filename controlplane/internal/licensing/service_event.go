package licensing

import (
	"context"
	"strconv"
	"time"
)

// ListLicenseEvents lists events after a number, oldest first. Whoever asks again from the last number that came follows all
// changes, and misses none. license may be empty: all licences'. It takes no filter.
func (s *Service) ListLicenseEvents(ctx context.Context, license string, after int64, l List) (Page[LicenseEvent], error) {
	if err := checkText("license", license, maxKey); err != nil {
		return Page[LicenseEvent]{}, err
	}
	if after < 0 {
		return Page[LicenseEvent]{}, invalid("after", "is negative")
	}
	if l.After != "" {
		n, err := strconv.ParseInt(l.After, 10, 64)
		if err != nil {
			return Page[LicenseEvent]{}, invalid("page_token", "is not one of this list")
		}
		after = n
	}
	if license != "" {
		if _, err := s.store.License(ctx, license); err != nil {
			return Page[LicenseEvent]{}, at("license", err)
		}
	}
	return page(l, nil,
		func(l List) ([]LicenseEvent, error) { return s.store.LicenseEvents(ctx, license, after, l.PageSize) },
		func(e *LicenseEvent) string { return strconv.FormatInt(e.Number, 10) })
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
