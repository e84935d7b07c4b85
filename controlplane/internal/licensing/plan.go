package licensing

import (
	"slices"
	"time"

	"tollgate/dataplane/decision"
)

// Plan is what customers buy. What it grants stands in its versions.
type Plan struct {
	Key              string
	DisplayName      string
	PublishedVersion uint32 // Newest published; 0: none. Output only.
	DraftVersion     uint32 // The open draft; 0: none. Output only.
	Meta
}

// Validate checks what callers set.
func (p *Plan) Validate() error {
	if err := checkKey("key", p.Key); err != nil {
		return err
	}
	return checkText("display_name", p.DisplayName, 200)
}

// VersionState is where a plan version is in its life.
type VersionState string

// The states.
const (
	Draft           VersionState = "draft"
	Published       VersionState = "published"
	VersionArchived VersionState = "archived"
)

// PlanVersion is what a plan grants. Once published it never changes.
type PlanVersion struct {
	Plan         string
	Version      uint32
	State        VersionState // Output only.
	Entitlements []Entitlement
	RateLimits   []RateLimit
	RateCards    []RateCard
	TrialDays    int // How long a new licence is free. 0: no trial.
	Etag         string
	CreateTime   time.Time
	PublishTime  time.Time // Zero: never.
	// EffectiveAt is from when on new licences are issued on it. Output only.
	EffectiveAt time.Time
}

// Entitlement is what a version or an add-on grants for one feature.
type Entitlement struct {
	Feature string
	Enabled bool   // Of a boolean feature.
	Value   Value  // Of a static feature.
	Quota   *Quota // Of a metered feature; nil: unlimited, and counted.
	// Off: it was said that the feature is not enabled. Boolean features alone can be; of the others that is refused, for naming them grants
	// them. Input only.
	Off bool `json:"-"`
}

// Period is the length of a quota's periods.
type Period string

// The periods.
const (
	Minute   Period = "minute"
	Hour     Period = "hour"
	Day      Period = "day"
	Week     Period = "week"
	Month    Period = "month"
	Year     Period = "year"
	Billing  Period = "billing"
	Lifetime Period = "lifetime"
)

// Periods are all periods, shortest first.
func Periods() []Period {
	return []Period{Minute, Hour, Day, Week, Month, Year, Billing, Lifetime}
}

// QuotaMode says what happens beyond a quota.
type QuotaMode string

// The modes.
const (
	Hard QuotaMode = "hard"
	Soft QuotaMode = "soft"
)

// Quota is units per period.
type Quota struct {
	Limit  int64
	Period Period
	Mode   QuotaMode // Empty: hard.
	// Rollover is how many unused units of a period are carried to the next at most. 0: none.
	Rollover int64
}

// Scope is what a rate limit counts for.
type Scope string

// ScopeLicense counts all requests of a licence together.
const ScopeLicense Scope = "license"

// RateLimit admits at most Burst + Limit/Per·t requests in any window t.
type RateLimit struct {
	Key   string
	Limit int64
	Per   time.Duration
	Burst int64 // 0: as Limit.
	Scope Scope // Empty: license.
}

// Bounds that keep every sum of units far from the end of int64.
const (
	MaxQuota = 1_000_000_000_000_000
	MaxRate  = 1_000_000_000
	MaxCost  = 1_000_000_000
	minPer   = time.Millisecond
	maxPer   = 366 * 24 * time.Hour
	maxTrial = 366 // Days.
)

// Validate checks what callers set, but not that the features exist and have the right type.
func (v *PlanVersion) Validate() error {
	if err := checkKey("plan", v.Plan); err != nil {
		return err
	}
	if v.TrialDays < 0 || v.TrialDays > maxTrial {
		return invalid("trial_days", "is %d: has to be from 0 to %d", v.TrialDays, maxTrial)
	}
	if len(v.Entitlements) > 500 {
		return invalid("entitlements", "has more than 500 items")
	}
	if len(v.RateLimits) > decision.MaxLimits-1 {
		return invalid("rate_limits", "has more than %d items", decision.MaxLimits-1)
	}
	if len(v.RateCards) > 500 {
		return invalid("rate_cards", "has more than 500 items")
	}
	if err := each("entitlements", v.Entitlements, "feature", func(e *Entitlement) string { return e.Feature }); err != nil {
		return err
	}
	if err := each("rate_limits", v.RateLimits, "key", func(r *RateLimit) string { return r.Key }); err != nil {
		return err
	}
	return each("rate_cards", v.RateCards, "key", func(r *RateCard) string { return r.Key })
}

// Validate checks the entitlement for itself.
func (e *Entitlement) Validate() error {
	if err := checkKey("feature", e.Feature); err != nil {
		return err
	}
	if err := e.Value.validate("value"); err != nil || e.Quota == nil {
		return err
	}
	return at("quota", e.Quota.Validate())
}

// Validate checks the quota.
func (q *Quota) Validate() error {
	if q.Limit < 0 || q.Limit > MaxQuota {
		return invalid("limit", "is %d: has to be from 0 to %d", q.Limit, int64(MaxQuota))
	}
	if !slices.Contains(Periods(), q.Period) {
		return invalid("period", "%q is not a period: use minute, hour, day, week, month, year, billing or lifetime", q.Period)
	}
	if q.Mode != Hard && q.Mode != Soft && q.Mode != "" {
		return invalid("mode", "%q is not a mode: use hard or soft", q.Mode)
	}
	switch {
	case q.Rollover < 0 || q.Rollover > MaxQuota:
		return invalid("rollover", "is %d: has to be from 0 to %d", q.Rollover, int64(MaxQuota))
	case q.Rollover > 0 && q.Mode == Soft:
		return invalid("rollover", "a soft quota has no units to carry over: only a hard one has")
	case q.Rollover > 0 && q.Period == Lifetime:
		return invalid("rollover", "a lifetime has no next period")
	}
	return nil
}

// Validate checks the rate limit.
func (r *RateLimit) Validate() error {
	if err := checkKey("key", r.Key); err != nil {
		return err
	}
	if r.Limit < 1 || r.Limit > MaxRate {
		return invalid("limit", "is %d: has to be from 1 to %d", r.Limit, MaxRate)
	}
	if r.Per < minPer || r.Per > maxPer {
		return invalid("per", "is %s: has to be from %s to 366 days", r.Per, minPer)
	}
	if r.Burst < 0 || r.Burst > MaxRate {
		return invalid("burst", "is %d: has to be from 0 (as limit) to %d", r.Burst, MaxRate)
	}
	if r.Scope != ScopeLicense && r.Scope != "" {
		return invalid("scope", "%q is not supported yet: use license", r.Scope)
	}
	return nil
}

// normalize makes what was left open explicit, so that what is stored is what is enforced.
func (v *PlanVersion) normalize() {
	v.Entitlements = slices.Clone(v.Entitlements)
	for i := range v.Entitlements {
		if q := v.Entitlements[i].Quota; q != nil && q.Mode == "" {
			hard := *q
			hard.Mode = Hard
			v.Entitlements[i].Quota = &hard
		}
	}
	v.RateLimits = slices.Clone(v.RateLimits)
	for i := range v.RateLimits {
		if v.RateLimits[i].Burst == 0 {
			v.RateLimits[i].Burst = v.RateLimits[i].Limit
		}
		v.RateLimits[i].Scope = ScopeLicense
	}
	v.RateCards = slices.Clone(v.RateCards)
	for i := range v.RateCards {
		if r := &v.RateCards[i]; r.Kind == PerUnit && r.UnitSize == 0 {
			r.UnitSize = 1
		}
	}
}
