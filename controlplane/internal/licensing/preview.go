package licensing

import (
	"context"
	"slices"
	"time"

	"tollgate/dataplane/decision"
)

// Preview is what publishing a draft would mean to those who are on its plan.
type Preview struct {
	// Gained and Lost are features, against the newest published version. What single licences have beside their plan (overrides, add-ons,
	// grants) is not looked at, neither here nor in OverQuota: these are the plan's own terms.
	Gained, Lost []string
	// Moved counts the licences that MigrationNow would move, Affected those of them that lose a feature by it.
	Moved, Affected int64
	// OverQuota counts those of them that have used more in the current period than one of the draft's hard quotas.
	OverQuota int64
	// Partial: not all licences were looked at, so OverQuota may be more.
	Partial bool
}

// Heavy says which licences may be over a quota.
type Heavy struct {
	Meter         string
	Since         time.Time
	Above         int64
	Looked, Limit int
}

// HeavyLicense is a licence that may be, and what its periods are cut by.
type HeavyLicense struct {
	ID, TimeZone string
	Anchor       time.Time
	Generation   uint64
}

// LicenseSince is a licence and the start of its current period.
type LicenseSince struct {
	ID         string
	Generation uint64
	Start      time.Time
}

// Bounds of a preview's reads: what a person waits for, whatever the number of licences.
const (
	previewLooked = 50_000
	previewHeavy  = 5_000
)

// PreviewPublish says what publishing a draft would mean. It reads without a lock: what it says is true of about now.
func (s *Service) PreviewPublish(ctx context.Context, plan string, version uint32) (Preview, error) {
	if err := checkVersionID(plan, version); err != nil {
		return Preview{}, err
	}
	p, err := s.store.Plan(ctx, plan)
	if err != nil {
		return Preview{}, err
	}
	draft, err := s.store.PlanVersion(ctx, plan, version)
	if err != nil {
		return Preview{}, err
	}
	if draft.State != Draft || p.Archived() {
		return Preview{}, refused("version %d of plan %q is %s: only a draft can be published", version, plan, draft.State)
	}
	var newest PlanVersion
	if p.PublishedVersion != 0 {
		if newest, err = s.store.PlanVersion(ctx, plan, p.PublishedVersion); err != nil {
			return Preview{}, err
		}
	}
	features, err := featuresOf(ctx, s.store, &draft, &newest)
	if err != nil {
		return Preview{}, err
	}
	var out Preview
	out.Gained, out.Lost = gainedAndLost(&newest, &draft, features)
	if out.Moved, err = s.store.CountMoving(ctx, PlanMigration{Plan: plan, Version: version}, s.now()); err != nil || out.Moved == 0 {
		return out, err
	}
	if out.Affected, err = losing(ctx, s.store, &draft, PlanMigration{Plan: plan, Version: version}, s.now()); err != nil {
		return out, err
	}
	out.OverQuota, out.Partial, err = s.overQuota(ctx, &draft, features)
	out.Partial = out.Partial || out.Moved > previewLooked
	return out, err
}

func gainedAndLost(before, after *PlanVersion, features map[string]*Feature) (gained, lost []string) {
	types := make(map[string]FeatureType, len(features))
	for k, f := range features {
		types[k] = f.Type
	}
	was, is := before.granted(types), after.granted(types)
	for k := range is {
		if !was[k] {
			gained = append(gained, k)
		}
	}
	for k := range was {
		if !is[k] {
			lost = append(lost, k)
		}
	}
	slices.Sort(gained)
	slices.Sort(lost)
	return gained, lost
}

// overQuota counts the licences that would move and are over any of a version's hard quotas, each once.
func (s *Service) overQuota(ctx context.Context, v *PlanVersion, features map[string]*Feature) (int64, bool, error) {
	now, partial := s.now(), false
	over := map[string]bool{}
	for _, e := range v.Entitlements {
		f := features[e.Feature]
		if f == nil || e.Quota == nil || e.Quota.Mode != Hard {
			continue
		}
		heavy, err := s.store.HeavyLicenses(ctx, v.Plan, v.Version, now, Heavy{
			Meter: f.Meter, Since: earliest(e.Quota.Period, now), Above: e.Quota.Limit, Looked: previewLooked, Limit: previewHeavy,
		})
		if err != nil {
			return 0, false, err
		}
		partial = partial || len(heavy) == previewHeavy
		since := make([]LicenseSince, len(heavy))
		for i, l := range heavy {
			zone, err := time.LoadLocation(l.TimeZone)
			if err != nil {
				return 0, false, err
			}
			since[i] = LicenseSince{l.ID, l.Generation, decision.SpanAt(spans[e.Quota.Period], zone, l.Anchor, now).Start}
		}
		ids, err := s.store.LicensesAbove(ctx, f.Meter, e.Quota.Limit, since)
		if err != nil {
			return 0, false, err
		}
		for _, id := range ids {
			over[id] = true
		}
	}
	return int64(len(over)), partial, nil
}

var spans = map[Period]decision.Period{
	Minute: decision.Minute, Hour: decision.Hour, Day: decision.Day, Week: decision.Week, Month: decision.Month,
	Year: decision.Year, Billing: decision.Billing, Lifetime: decision.Lifetime,
}

// earliest is no later than the start of any licence's period at now. Hours are cut at the zone's own full ones, and a
// period may be longer by the hours that clocks go back.
func earliest(p Period, now time.Time) time.Time {
	const margin = 24 * time.Hour
	switch p {
	case Minute, Hour, Day:
		return now.Add(-24*time.Hour - margin)
	case Week:
		return now.Add(-7*24*time.Hour - margin)
	case Month, Billing:
		return now.Add(-31*24*time.Hour - margin)
	case Year:
		return now.Add(-366*24*time.Hour - margin)
	default:
		return time.Time{}
	}
}
