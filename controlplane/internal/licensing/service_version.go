package licensing

import (
	"context"
	"strconv"
)

// DiffPlanVersions says what makes one version of a plan of another. from 0 is the newest published one, to 0 the open
// draft.
func (s *Service) DiffPlanVersions(ctx context.Context, plan string, from, to uint32) ([]VersionChange, error) {
	if err := checkKey("plan", plan); err != nil {
		return nil, err
	}
	p, err := s.store.Plan(ctx, plan)
	if err != nil {
		return nil, err
	}
	if from == 0 {
		from = p.PublishedVersion
	}
	if to == 0 {
		to = p.DraftVersion
	}
	var versions [2]PlanVersion
	for i, x := range []struct {
		number     uint32
		field, has string
	}{{from, "from_version", "no published version"}, {to, "to_version", "no draft"}} {
		if x.number == 0 {
			return nil, &Error{Code: NotFound, Field: x.field, Message: "the plan " + strconv.Quote(plan) + " has " + x.has}
		}
		if versions[i], err = s.store.PlanVersion(ctx, plan, x.number); err != nil {
			return nil, at(x.field, err)
		}
	}
	return versions[1].diff(&versions[0]), nil
}

// DiscardPlanDraft gives a draft up. It stays, archived: its number is not used again, so that an etag of it fits no other
// draft.
func (s *Service) DiscardPlanDraft(ctx context.Context, plan string, version uint32, etag string) (PlanVersion, Epoch, error) {
	if err := checkVersionID(plan, version); err != nil {
		return PlanVersion{}, Epoch{}, err
	}
	var out PlanVersion
	epoch, err := s.write(ctx, &out, func(w *write) error {
		v, err := w.draft(ctx, plan, version)
		if err != nil {
			return err
		}
		if err := fresh(KindPlanVersion, VersionID(plan, version), etag, v.Etag); err != nil {
			return err
		}
		v.State = VersionArchived
		out, err = w.UpdatePlanVersion(ctx, v)
		return err
	})
	return out, epoch, err
}

// RollbackPlan publishes, as a new version, what the version before the newest granted. It moves licences as
// PublishPlanVersion does; an open draft stays open, behind the new version.
func (s *Service) RollbackPlan(ctx context.Context, plan string, how Publication) (PlanVersion, int64, Epoch, error) {
	if err := checkKey("plan", plan); err != nil {
		return PlanVersion{}, 0, Epoch{}, err
	}
	if err := how.check(MigrationNewOnly); err != nil {
		return PlanVersion{}, 0, Epoch{}, err
	}
	var out struct {
		Version PlanVersion
		Moved   int64
	}
	epoch, err := s.write(ctx, &out, func(w *write) error {
		a := &apply{write: w, how: how}
		p, err := w.livePlan(ctx, plan)
		if err != nil {
			return err
		}
		before, err := w.PublishedBefore(ctx, plan, p.PublishedVersion)
		if err != nil {
			return err
		}
		if before == 0 {
			return refused("the plan %q has no version to go back to", plan)
		}
		newest, err := w.PlanVersion(ctx, plan, p.PublishedVersion)
		if err != nil {
			return err
		}
		next, err := w.PlanVersion(ctx, plan, before)
		if err != nil {
			return err
		}
		// What it grants may have been archived since.
		if err := w.checkVersion(ctx, &next); err != nil {
			return err
		}
		next.State, next.CreateTime, next.PublishTime, next.EffectiveAt = Published, w.now, w.now, w.now
		if err := a.publishNext(ctx, p, newest, next); err != nil {
			return err
		}
		out.Version, out.Moved = a.version, a.moved
		return w.confirmed(ctx, how.Affected)
	})
	return out.Version, out.Moved, epoch, err
}
