package licensing

import (
	"context"
	"strconv"
	"time"
)

// CreatePlan makes a plan, without a version.
func (s *Service) CreatePlan(ctx context.Context, p Plan) (Plan, Epoch, error) {
	var out Plan
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.createPlan(ctx, p)
		return err
	})
	return out, epoch, err
}

func (w *write) createPlan(ctx context.Context, p Plan) (Plan, error) {
	if err := p.Validate(); err != nil {
		return p, err
	}
	p.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	p.PublishedVersion, p.DraftVersion = 0, 0
	return w.InsertPlan(ctx, p)
}

// GetPlan finds a plan by key.
func (s *Service) GetPlan(ctx context.Context, key string) (Plan, error) {
	if err := checkKey("key", key); err != nil {
		return Plan{}, err
	}
	return s.store.Plan(ctx, key)
}

// ListPlans filters by archived.
func (s *Service) ListPlans(ctx context.Context, l List) (Page[Plan], error) {
	return page(l, []string{"archived"},
		func(l List) ([]Plan, error) { return s.store.Plans(ctx, l) },
		func(p *Plan) string { return p.Key })
}

// UpdatePlan changes display_name.
func (s *Service) UpdatePlan(ctx context.Context, p Plan, mask []string) (Plan, Epoch, error) {
	if _, err := masked(mask, "display_name"); err != nil {
		return Plan{}, Epoch{}, err
	}
	if err := checkKey("key", p.Key); err != nil {
		return Plan{}, Epoch{}, err
	}
	var out Plan
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Plan(ctx, p.Key)
		if err != nil {
			return err
		}
		if err := current(KindPlan, p.Key, p.Etag, &old.Meta); err != nil {
			return err
		}
		out, _, err = w.renamePlan(ctx, old, p.DisplayName)
		return err
	})
	return out, epoch, err
}

// renamePlan reports whether anything changed.
func (w *write) renamePlan(ctx context.Context, p Plan, displayName string) (Plan, bool, error) {
	old := p.DisplayName
	p.DisplayName = displayName
	if err := p.Validate(); err != nil || displayName == old {
		return p, false, err
	}
	p.UpdateTime = w.now
	p, err := w.UpdatePlan(ctx, p)
	return p, true, err
}

// ArchivePlan takes a plan and all its versions out of use. Refused while licences that have not ended are on it.
func (s *Service) ArchivePlan(ctx context.Context, key string) (Plan, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Plan{}, Epoch{}, err
	}
	var out Plan
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archivePlan(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archivePlan(ctx context.Context, key string) (Plan, error) {
	out, err := w.Plan(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindPlan, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	if err := w.unreferenced(ctx, KindPlan, key); err != nil {
		return out, err
	}
	versions, err := w.ArchivePlanVersions(ctx, key)
	if err != nil {
		return out, err
	}
	for _, v := range versions {
		w.rule(&Removal{Kind: KindPlanVersion, ID: VersionID(key, v)})
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	return w.UpdatePlan(ctx, out)
}

// VersionID is the id of a plan version in rules and errors.
func VersionID(plan string, version uint32) string {
	return plan + "@" + strconv.FormatUint(uint64(version), 10)
}

// livePlan finds a plan that is not archived.
func (w *write) livePlan(ctx context.Context, key string) (Plan, error) {
	p, err := w.Plan(ctx, key)
	if err != nil {
		return p, err
	}
	return p, current(KindPlan, key, "", &p.Meta)
}

// CreatePlanDraft opens a draft that begins as a published version; from 0 is the newest, or nothing where there is
// none. A plan has one draft at a time.
func (s *Service) CreatePlanDraft(ctx context.Context, plan string, from uint32) (PlanVersion, Epoch, error) {
	if err := checkKey("plan", plan); err != nil {
		return PlanVersion{}, Epoch{}, err
	}
	var out PlanVersion
	epoch, err := s.write(ctx, &out, func(w *write) error {
		p, err := w.livePlan(ctx, plan)
		if err != nil {
			return err
		}
		if p.DraftVersion != 0 {
			return &Error{
				Code:    AlreadyExists,
				Message: "the plan " + strconv.Quote(plan) + " has a draft already: version " + strconv.FormatUint(uint64(p.DraftVersion), 10),
				Details: map[string]string{"kind": string(KindPlanVersion), "id": VersionID(plan, p.DraftVersion)},
			}
		}
		draft := PlanVersion{Plan: plan, State: Draft, CreateTime: w.now}
		if from == 0 {
			from = p.PublishedVersion
		}
		if from != 0 {
			base, err := w.PlanVersion(ctx, plan, from)
			if err != nil {
				return err
			}
			if base.State != Published {
				return refused("version %d of plan %q is not published", from, plan)
			}
			draft.Entitlements, draft.RateLimits, draft.RateCards, draft.TrialDays = base.Entitlements, base.RateLimits, base.RateCards, base.TrialDays
		}
		newest, err := w.NewestVersion(ctx, plan)
		if err != nil {
			return err
		}
		draft.Version = newest + 1
		out, err = w.InsertPlanVersion(ctx, draft)
		return err
	})
	return out, epoch, err
}

// UpdatePlanDraft changes a draft's entitlements, rate_limits, rate_cards, trial_days: those in mask, or all.
func (s *Service) UpdatePlanDraft(ctx context.Context, v PlanVersion, mask []string) (PlanVersion, Epoch, error) {
	has, err := masked(mask, "entitlements", "rate_limits", "rate_cards", "trial_days")
	if err != nil {
		return PlanVersion{}, Epoch{}, err
	}
	if err := checkVersionID(v.Plan, v.Version); err != nil {
		return PlanVersion{}, Epoch{}, err
	}
	var out PlanVersion
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.draft(ctx, v.Plan, v.Version)
		if err != nil {
			return err
		}
		if err := fresh(KindPlanVersion, VersionID(v.Plan, v.Version), v.Etag, old.Etag); err != nil {
			return err
		}
		out = old
		if has("entitlements") {
			out.Entitlements = v.Entitlements
		}
		if has("rate_limits") {
			out.RateLimits = v.RateLimits
		}
		if has("rate_cards") {
			out.RateCards = v.RateCards
		}
		if has("trial_days") {
			out.TrialDays = v.TrialDays
		}
		if err := w.checkVersion(ctx, &out); err != nil {
			return err
		}
		if out.grantsAs(&old) {
			out = old // The answer is what is stored, to the order and the letter.
			return nil
		}
		out, err = w.UpdatePlanVersion(ctx, out)
		return err
	})
	return out, epoch, err
}

func checkVersionID(plan string, version uint32) error {
	if err := checkKey("plan", plan); err != nil {
		return err
	}
	if version == 0 {
		return invalid("version", "is required")
	}
	return nil
}

// draft finds a draft of a plan that is not archived.
func (w *write) draft(ctx context.Context, plan string, version uint32) (PlanVersion, error) {
	if _, err := w.livePlan(ctx, plan); err != nil {
		return PlanVersion{}, err
	}
	v, err := w.PlanVersion(ctx, plan, version)
	if err == nil && v.State != Draft {
		return v, refused("version %d of plan %q is %s: only a draft can change", version, plan, v.State)
	}
	return v, err
}

// checkVersion validates and normalizes a version, and checks its entitlements against their features.
func (w *write) checkVersion(ctx context.Context, v *PlanVersion) error {
	_, err := w.checkTerms(ctx, v)
	return err
}

// checkTerms is checkVersion that answers the features, by key.
func (w *write) checkTerms(ctx context.Context, v *PlanVersion) (map[string]*Feature, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	v.normalize()
	keys := make([]string, len(v.Entitlements))
	for i := range v.Entitlements {
		keys[i] = v.Entitlements[i].Feature
	}
	features, err := w.features(ctx, keys, func(i int) string { return "entitlements[" + strconv.Itoa(i) + "].feature" })
	if err != nil {
		return nil, err
	}
	meters, err := w.meters(ctx, features)
	if err != nil {
		return nil, err
	}
	return features, v.fits(features, meters)
}

// fits checks a version's entitlements against their features, which are all there, and their meters.
func (v *PlanVersion) fits(features map[string]*Feature, meters map[string]*Meter) error {
	counted := map[string]string{}
	for i := range v.Entitlements {
		e := &v.Entitlements[i]
		f := features[e.Feature]
		path := "entitlements[" + strconv.Itoa(i) + "]"
		if err := e.fits(f, meters[f.Meter]); err != nil {
			return at(path, err)
		}
		if f.Type != Metered {
			continue
		}
		if other, twice := counted[f.Meter]; twice {
			return invalid(path+".feature", "the features %q and %q count on the same meter %q: grant one of them", other, e.Feature, f.Meter)
		}
		counted[f.Meter] = e.Feature
	}
	return v.checkCards(features)
}

// GetPlanVersion finds a version; 0 is the newest published one.
func (s *Service) GetPlanVersion(ctx context.Context, plan string, version uint32) (PlanVersion, error) {
	if err := checkKey("plan", plan); err != nil {
		return PlanVersion{}, err
	}
	if version == 0 {
		p, err := s.store.Plan(ctx, plan)
		if err != nil {
			return PlanVersion{}, err
		}
		if p.PublishedVersion == 0 {
			return PlanVersion{}, &Error{Code: NotFound, Message: "the plan " + strconv.Quote(plan) + " has no published version"}
		}
		version = p.PublishedVersion
	}
	return s.store.PlanVersion(ctx, plan, version)
}

// ListPlanVersions lists a plan's versions, oldest first, whatever their state. It takes no filter.
func (s *Service) ListPlanVersions(ctx context.Context, plan string, l List) (Page[PlanVersion], error) {
	if err := checkKey("plan", plan); err != nil {
		return Page[PlanVersion]{}, err
	}
	if l.After != "" {
		if _, err := strconv.ParseUint(l.After, 10, 31); err != nil {
			return Page[PlanVersion]{}, invalid("page_token", "is not one of this list")
		}
	}
	if _, err := s.store.Plan(ctx, plan); err != nil {
		return Page[PlanVersion]{}, err
	}
	return page(l, nil,
		func(l List) ([]PlanVersion, error) { return s.store.PlanVersions(ctx, plan, l) },
		func(v *PlanVersion) string { return strconv.FormatUint(uint64(v.Version), 10) })
}

// Publication says how a version is published.
type Publication struct {
	Migration   Migration         // Which existing licences move.
	Filter      map[string]string // Of MigrationFilter.
	EffectiveAt time.Time         // From when on; zero or past: at once.
	// Affected is how many licences the caller knows to lose a feature; 0: he has not said.
	Affected int64
}

func (p *Publication) check(otherwise Migration) error {
	if p.Migration == MigrationDefault {
		p.Migration = otherwise
	}
	if p.Affected < 0 {
		return invalid("confirm_affected", "is negative")
	}
	p.EffectiveAt = micros(p.EffectiveAt)
	if err := checkTime("effective_at", p.EffectiveAt); err != nil {
		return err
	}
	if p.Migration == MigrationNextPeriod && p.EffectiveAt.Year() >= endOfTime.Year() {
		return invalid("effective_at", "has no next period that could be written: use a year before %d", endOfTime.Year())
	}
	return checkMigration(p.Migration, p.Filter)
}

// PublishPlanVersion publishes a draft, and says how many licences have moved to it. Where that are more than a batch, the others follow:
// see GetMigration.
func (s *Service) PublishPlanVersion(ctx context.Context, plan string, version uint32, p Publication) (PlanVersion, int64, Epoch, error) {
	if err := checkVersionID(plan, version); err != nil {
		return PlanVersion{}, 0, Epoch{}, err
	}
	if err := p.check(MigrationNewOnly); err != nil {
		return PlanVersion{}, 0, Epoch{}, err
	}
	var out struct {
		Version PlanVersion
		Moved   int64
	}
	epoch, err := s.write(ctx, &out, func(w *write) error {
		v, err := w.draft(ctx, plan, version)
		if err != nil {
			return err
		}
		if err := w.holds(KindPlanVersion, VersionID(plan, version), v.Etag); err != nil {
			return err
		}
		if err := w.checkVersion(ctx, &v); err != nil {
			return err
		}
		v.State, v.PublishTime, v.EffectiveAt = Published, w.now, later(w.now, p.EffectiveAt)
		if out.Version, err = w.UpdatePlanVersion(ctx, v); err != nil {
			return err
		}
		if out.Moved, err = w.published(ctx, &out.Version, p); err != nil {
			return err
		}
		return w.confirmed(ctx, p.Affected)
	})
	return out.Version, out.Moved, epoch, err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// published tells nodes of a new version, and moves licences.
func (w *write) published(ctx context.Context, v *PlanVersion, p Publication) (int64, error) {
	w.rule(v)
	if p.Migration == MigrationNewOnly {
		return 0, nil
	}
	m := PlanMigration{Plan: v.Plan, Version: v.Version, Kind: p.Migration, Filter: p.Filter, EffectiveAt: v.EffectiveAt}
	// Before any of them moves.
	losers, err := losing(ctx, w.Tx, v, m, w.now)
	if err != nil {
		return 0, err
	}
	w.losers += losers
	return w.migrate(ctx, m)
}
