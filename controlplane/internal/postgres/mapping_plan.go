package postgres

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// What plan_version's jsonb columns hold. FeatureReferences looks for "feature" in them.
type entitlementJSON struct {
	Feature string     `json:"feature"`
	Enabled bool       `json:"enabled,omitempty"`
	Quota   *quotaJSON `json:"quota,omitempty"`
}

type quotaJSON struct {
	Limit  int64               `json:"limit"`
	Period licensing.Period    `json:"period"`
	Mode   licensing.QuotaMode `json:"mode"`
}

type rateLimitJSON struct {
	Key   string          `json:"key"`
	Limit int64           `json:"limit"`
	PerNS int64           `json:"per_ns"`
	Burst int64           `json:"burst"`
	Scope licensing.Scope `json:"scope"`
}

type rateCardJSON struct {
	Key      string `json:"key"`
	Kind     string `json:"kind"`
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

func (q *quotaJSON) quota() *licensing.Quota {
	if q == nil {
		return nil
	}
	return &licensing.Quota{Limit: q.Limit, Period: q.Period, Mode: q.Mode}
}

func fromQuota(q *licensing.Quota) *quotaJSON {
	if q == nil {
		return nil
	}
	return &quotaJSON{Limit: q.Limit, Period: q.Period, Mode: q.Mode}
}

func (r *rateLimitJSON) rateLimit() *licensing.RateLimit {
	if r == nil {
		return nil
	}
	return &licensing.RateLimit{Key: r.Key, Limit: r.Limit, Per: time.Duration(r.PerNS), Burst: r.Burst, Scope: r.Scope}
}

func fromRateLimit(r *licensing.RateLimit) *rateLimitJSON {
	if r == nil {
		return nil
	}
	return &rateLimitJSON{Key: r.Key, Limit: r.Limit, PerNS: int64(r.Per), Burst: r.Burst, Scope: r.Scope}
}

func toPlanVersion(r query.PlanVersion) (licensing.PlanVersion, error) {
	v := licensing.PlanVersion{
		Plan: r.Plan, Version: uint32(r.Version), State: licensing.VersionState(r.State),
		Etag: strconv.FormatInt(r.Revision, 10), CreateTime: r.CreatedAt.UTC(), PublishTime: instant(r.PublishedAt),
		EffectiveAt: instant(r.EffectiveAt),
	}
	if v.EffectiveAt.IsZero() {
		v.EffectiveAt = v.PublishTime
	}
	var entitlements []entitlementJSON
	var limits []rateLimitJSON
	var cards []rateCardJSON
	for column, into := range map[string]struct {
		raw []byte
		to  any
	}{
		"entitlements": {r.Entitlements, &entitlements},
		"rate_limits":  {r.RateLimits, &limits},
		"rate_cards":   {r.RateCards, &cards},
	} {
		if err := json.Unmarshal(into.raw, into.to); err != nil {
			return v, fmt.Errorf("%s of plan %s version %d: %w", column, r.Plan, r.Version, err)
		}
	}
	for _, e := range entitlements {
		v.Entitlements = append(v.Entitlements, licensing.Entitlement{Feature: e.Feature, Enabled: e.Enabled, Quota: e.Quota.quota()})
	}
	for _, l := range limits {
		v.RateLimits = append(v.RateLimits, *l.rateLimit())
	}
	for _, c := range cards {
		v.RateCards = append(v.RateCards, licensing.RateCard(c))
	}
	return v, nil
}

// grantsOf are the three jsonb columns of a version.
func grantsOf(v *licensing.PlanVersion) (entitlements, limits, cards []byte, err error) {
	e := make([]entitlementJSON, len(v.Entitlements))
	for i, x := range v.Entitlements {
		e[i] = entitlementJSON{Feature: x.Feature, Enabled: x.Enabled, Quota: fromQuota(x.Quota)}
	}
	l := make([]rateLimitJSON, len(v.RateLimits))
	for i, x := range v.RateLimits {
		l[i] = *fromRateLimit(&x)
	}
	c := make([]rateCardJSON, len(v.RateCards))
	for i, x := range v.RateCards {
		c[i] = rateCardJSON(x)
	}
	if entitlements, err = json.Marshal(e); err != nil {
		return nil, nil, nil, err
	}
	if limits, err = json.Marshal(l); err != nil {
		return nil, nil, nil, err
	}
	cards, err = json.Marshal(c)
	return entitlements, limits, cards, err
}
