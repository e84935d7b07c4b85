package licensing

import (
	"context"
	"slices"
	"time"

	"tollgate/dataplane/decision"
)

// PlanMigration is the move of existing licences to a published version.
type PlanMigration struct {
	Plan        string
	Version     uint32
	Kind        Migration         // MigrationNow, MigrationNextPeriod or MigrationFilter.
	Filter      map[string]string // Of MigrationFilter: as in ListLicenses; customer, plan_version.
	EffectiveAt time.Time
	Progress    string // Id of the last licence that was looked at.
	Moved       int64
	Total       int64 // -1: not counted yet.
	Done        bool
	Epoch       Epoch // Of the last batch.
}

// ZonedLicense is a licence and its customer's time zone.
type ZonedLicense struct {
	License
	Zone string
}

// migrationBatch is how many licences move in one transaction, so that a revocation need not wait for long.
const migrationBatch = 1000

// migrate begins a migration, and moves its first batch: where that is all, everything is done when the write is.
func (w *write) migrate(ctx context.Context, m PlanMigration) (int64, error) {
	m.Total = -1
	if err := w.InsertMigration(ctx, m, w.now); err != nil {
		return 0, err
	}
	m, err := w.moveBatch(ctx, m)
	if err != nil {
		return 0, err
	}
	if m.Done {
		m.Total = m.Moved
	}
	w.moving = append(w.moving, m)
	return m.Moved, nil
}

// keepMoving stores how far migrations came, once it is known which epoch says so.
func (w *write) keepMoving(ctx context.Context) error {
	for _, m := range w.moving {
		m.Epoch = w.head.Epoch
		if err := w.UpdateMigration(ctx, m, w.now); err != nil {
			return err
		}
	}
	return nil
}

// moveBatch moves the next licences, and returns how far it came.
func (w *write) moveBatch(ctx context.Context, m PlanMigration) (PlanMigration, error) {
	found, err := w.LockMoving(ctx, m, w.now, migrationBatch)
	if err != nil {
		return m, err
	}
	zones := map[string]*time.Location{}
	var changed []License
	for i := range found {
		z, ok := zones[found[i].Zone]
		if !ok {
			if z, err = time.LoadLocation(found[i].Zone); err != nil {
				return m, err
			}
			zones[found[i].Zone] = z
		}
		l := found[i].License
		w.elapse(&l)
		if l.move(m.Plan, m.Version, m.at(&l, z, w.now), w.now) {
			changed = append(changed, l)
		}
		m.Progress = found[i].ID
	}
	kept, err := w.keep(ctx, changed, EventPlanChangePlanned, func(*License) map[string]string { return planDetail(m.Plan, m.Version) })
	if err != nil {
		return m, err
	}
	// What has taken effect already was not planned: it happened.
	for i := range w.events[len(w.events)-len(kept):] {
		e := &w.events[len(w.events)-len(kept)+i]
		if kept[i].PlanVersion == m.Version && kept[i].Plan == m.Plan {
			e.Kind = EventPlanChanged
		}
	}
	m.Moved += int64(len(kept))
	m.Done = len(found) < migrationBatch
	return m, nil
}

// at is when a licence moves.
func (m *PlanMigration) at(l *License, zone *time.Location, now time.Time) time.Time {
	from := now
	if m.EffectiveAt.After(now) {
		from = m.EffectiveAt
	}
	if m.Kind == MigrationNextPeriod {
		return decision.SpanAt(decision.Billing, zone, l.Anchor, from).End.UTC()
	}
	return from
}

// Migrate moves the next batch of the oldest migration that is not done. False where there is none.
func (s *Service) Migrate(ctx context.Context) (bool, error) {
	open, err := s.store.OpenMigration(ctx)
	if CodeOf(err) == NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	total := open.Total
	if total < 0 {
		// Counted outside of the write, which others wait for.
		left, err := s.store.CountMoving(ctx, open, s.now())
		if err != nil {
			return false, err
		}
		total = open.Moved + left
	}
	_, err = s.write(ctx, &open, func(w *write) error {
		m, err := w.Migration(ctx, open.Plan, open.Version)
		if err != nil || m.Done {
			return err
		}
		if m, err = w.moveBatch(ctx, m); err != nil {
			return err
		}
		m.Total = max(total, m.Moved)
		if m.Done {
			m.Total = m.Moved
		}
		w.moving = append(w.moving, m)
		return nil
	})
	return err == nil, err
}

// GetMigration says how far the move to a version is.
func (s *Service) GetMigration(ctx context.Context, plan string, version uint32) (PlanMigration, error) {
	if err := checkVersionID(plan, version); err != nil {
		return PlanMigration{}, err
	}
	if _, err := s.store.PlanVersion(ctx, plan, version); err != nil {
		return PlanMigration{}, err
	}
	m, err := s.store.Migration(ctx, plan, version)
	if CodeOf(err) == NotFound {
		// Published for new licences only: nothing moves.
		return PlanMigration{Plan: plan, Version: version, Kind: MigrationNewOnly, Done: true}, nil
	}
	return m, err
}

// checkMigration reads what a caller wants moved.
func checkMigration(m Migration, filter map[string]string) error {
	switch m {
	case MigrationNewOnly, MigrationNow, MigrationNextPeriod:
		if len(filter) > 0 {
			return invalid("filter", "is for a migration by filter: this one is %s", m)
		}
		return nil
	case MigrationFilter:
		if len(filter) == 0 {
			return invalid("filter", "is required: which licences move")
		}
		for f := range filter {
			if !slices.Contains([]string{"customer", "plan_version"}, f) {
				return invalid("filter", "%q is not a field to filter by: use customer, plan_version", f)
			}
		}
		return nil
	default:
		return invalid("migration", "%q is not a migration: use new_only, next_period, now or filter", m)
	}
}
