package licensing

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"
)

// A write that takes a feature from more licences than these, and from more than this part of all, wants its caller to say how many: a wrong
// condition must not lock out a fleet's customers.
const (
	guardedLicenses = 100
	guardedPart     = 10 // A tenth.
)

// losing counts the licences that a migration would move and that lose a feature by it. What they have beside their plan is not looked at.
func losing(ctx context.Context, r Reader, to *PlanVersion, m PlanMigration, now time.Time) (int64, error) {
	var all int64
	for n := to.Version - 1; n > 0; n-- {
		number := strconv.FormatUint(uint64(n), 10)
		if only, ok := m.Filter["plan_version"]; ok && only != number {
			continue
		}
		from, err := r.PlanVersion(ctx, to.Plan, n)
		if CodeOf(err) == NotFound || err == nil && from.State != Published {
			continue
		}
		if err != nil {
			return 0, err
		}
		features, err := featuresOf(ctx, r, to, &from)
		if err != nil {
			return 0, err
		}
		if _, lost := gainedAndLost(&from, to, features); len(lost) == 0 {
			continue
		}
		one := m
		if one.Filter = maps.Clone(m.Filter); one.Filter == nil {
			one.Filter = map[string]string{}
		}
		one.Filter["plan_version"] = number
		count, err := r.CountMoving(ctx, one, now)
		if err != nil {
			return 0, err
		}
		all += count
	}
	return all, nil
}

// confirmed refuses a write that takes a feature from many licences, unless its caller knows from how many.
func (w *write) confirmed(ctx context.Context, affected int64) error {
	if affected > 0 && affected != w.losers {
		return w.unconfirmed("is %d, and %d licences lose a feature by this: look at what changes again", affected, w.losers)
	}
	if w.losers <= guardedLicenses || affected == w.losers {
		return nil
	}
	live, err := w.CountLive(ctx, w.now)
	if err != nil || w.losers*guardedPart <= live {
		return err
	}
	return w.unconfirmed("is needed: %d of %d licences lose a feature by this; give that number if it is meant", w.losers, live)
}

// confirmedIn is how many licences a change set may take a feature from: those that it moves. Of a migration that takes from many its caller has said so,
// or it would not have begun, and each of its batches carries that; nodes refuse as much without.
func (w *write) confirmedIn(records []record) (n int64) {
	if len(w.moving) == 0 {
		return 0
	}
	for _, r := range records {
		if _, ok := r.change.(*License); ok {
			n++
		}
	}
	return n
}

func (w *write) unconfirmed(format string, args ...any) *Error {
	e := refused(format, args...)
	e.Field, e.Details = "confirm_affected", map[string]string{"affected": strconv.FormatInt(w.losers, 10)}
	return e
}

// featuresOf are the features that versions name, by key.
func featuresOf(ctx context.Context, r Reader, versions ...*PlanVersion) (map[string]*Feature, error) {
	keys := map[string]bool{}
	for _, v := range versions {
		for _, e := range v.Entitlements {
			keys[e.Feature] = true
		}
	}
	found, err := r.FeaturesNamed(ctx, slices.Sorted(maps.Keys(keys)))
	byKey := make(map[string]*Feature, len(found))
	for i := range found {
		byKey[found[i].Key] = &found[i]
	}
	return byKey, err
}
