package licensing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Bounds of a fleet's settings.
const (
	minAge     = time.Second // A heartbeat comes each second.
	maxAge     = 30 * 24 * time.Hour
	maxHorizon = time.Hour
)

// Etag changes with what may be changed of the settings.
func (f *Fleet) Etag() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %t", f.StaleAfter, f.GraceAfter, f.BlockAfter, f.LoanHorizon, f.OfflineStart))
	return hex.EncodeToString(sum[:8])
}

// Validate checks what may be changed of the settings.
func (f *Fleet) Validate() error {
	for _, d := range []struct {
		field   string
		is, max time.Duration
	}{
		{"stale_after", f.StaleAfter, maxAge}, {"grace_after", f.GraceAfter, maxAge}, {"block_after", f.BlockAfter, maxAge},
		{"loan_horizon", f.LoanHorizon, maxHorizon},
	} {
		if d.is < minAge || d.is > d.max {
			return invalid(d.field, "is %s: has to be from %s to %s", d.is, minAge, d.max)
		}
	}
	switch {
	case f.GraceAfter <= f.StaleAfter:
		return invalid("grace_after", "is not longer than stale_after, %s", f.StaleAfter)
	case f.BlockAfter <= f.GraceAfter:
		return invalid("block_after", "is not longer than grace_after, %s", f.GraceAfter)
	}
	return nil
}

// UpdateFleet changes stale_after, grace_after, block_after, loan_horizon and offline_start: those in mask, or all. etag may be empty.
func (s *Service) UpdateFleet(ctx context.Context, f Fleet, etag string, mask []string) (Fleet, Epoch, error) {
	has, err := masked(mask, "stale_after", "grace_after", "block_after", "loan_horizon", "offline_start")
	if err != nil {
		return Fleet{}, Epoch{}, err
	}
	var out Fleet
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Fleet(ctx)
		if err != nil {
			return err
		}
		if err := fresh(kindFleet, old.ID, etag, old.Etag()); err != nil {
			return err
		}
		out = old
		for _, d := range []struct {
			field    string
			to, from *time.Duration
		}{
			{"stale_after", &out.StaleAfter, &f.StaleAfter}, {"grace_after", &out.GraceAfter, &f.GraceAfter},
			{"block_after", &out.BlockAfter, &f.BlockAfter}, {"loan_horizon", &out.LoanHorizon, &f.LoanHorizon},
		} {
			if has(d.field) {
				*d.to = d.from.Truncate(time.Microsecond)
			}
		}
		if has("offline_start") {
			out.OfflineStart = f.OfflineStart
		}
		if err := out.Validate(); err != nil || out.Etag() == old.Etag() {
			return err
		}
		w.rule(&out)
		return w.UpdateFleet(ctx, out)
	})
	return out, epoch, err
}
