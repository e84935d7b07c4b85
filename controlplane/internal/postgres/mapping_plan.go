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
	Feature string          `json:"feature"`
	Enabled bool            `json:"enabled,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Quota   *quotaJSON      `json:"quota,omitempty"`
}

type quotaJSON struct {
	Limit    int64               `json:"limit"`
	Period   licensing.Period    `json:"period"`
	Mode     licensing.QuotaMode `json:"mode"`
	Rollover int64               `json:"rollover,omitempty"`
}

type rateLimitJSON struct {
	Key   string          `json:"key"`
	Limit int64           `json:"limit"`
	PerNS int64           `json:"per_ns"`
	Burst int64           `json:"burst"`
	Scope licensing.Scope `json:"scope"`
}

type rateCardJSON struct {
	Key      string             `json:"key"`
	Kind     licensing.CardKind `json:"kind"`
	Feature  string             `json:"feature,omitempty"`
	Amount   string             `json:"amount,omitempty"`
	Currency string             `json:"currency"`
	UnitSize int64              `json:"unit_size,omitempty"`
	Included int64              `json:"included,omitempty"`
	Tiers    []tierJSON         `json:"tiers,omitempty"`
}

type tierJSON struct {
	UpTo      int64  `json:"up_to,omitempty"`
	UnitPrice string `json:"unit_price,omitempty"`
	FlatPrice string `json:"flat_price,omitempty"`
}

func (q *quotaJSON) quota() *licensing.Quota {
	if q == nil {
		return nil
	}
	return new(licensing.Quota(*q))
}

func fromQuota(q *licensing.Quota) *quotaJSON {
	if q == nil {
		return nil
	}
	return new(quotaJSON(*q))
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
		TrialDays: int(r.TrialDays), Etag: strconv.FormatInt(r.Revision, 10), CreateTime: r.CreatedAt.UTC(), PublishTime: instant(r.PublishedAt),
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
		next := licensing.Entitlement{Feature: e.Feature, Enabled: e.Enabled, Quota: e.Quota.quota()}
		var err error
		if next.Value, err = licensing.ParseValue(string(e.Value)); err != nil {
			return v, fmt.Errorf("feature %s of plan %s version %d: %w", e.Feature, r.Plan, r.Version, err)
		}
		v.Entitlements = append(v.Entitlements, next)
	}
	for _, l := range limits {
		v.RateLimits = append(v.RateLimits, *l.rateLimit())
	}
	for _, c := range cards {
		v.RateCards = append(v.RateCards, toRateCard(c))
	}
	return v, nil
}

// grantsOf are the three jsonb columns of a version.
func grantsOf(v *licensing.PlanVersion) (entitlements, limits, cards []byte, err error) {
	e := make([]entitlementJSON, len(v.Entitlements))
	for i, x := range v.Entitlements {
		e[i] = entitlementJSON{Feature: x.Feature, Enabled: x.Enabled, Value: json.RawMessage(x.Value.JSON()), Quota: fromQuota(x.Quota)}
	}
	l := make([]rateLimitJSON, len(v.RateLimits))
	for i, x := range v.RateLimits {
		l[i] = *fromRateLimit(&x)
	}
	c := make([]rateCardJSON, len(v.RateCards))
	for i, x := range v.RateCards {
		c[i] = fromRateCard(x)
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

func toRateCard(c rateCardJSON) licensing.RateCard {
	out := licensing.RateCard{
		Key: c.Key, Kind: c.Kind, Feature: c.Feature, Amount: c.Amount, Currency: c.Currency, UnitSize: c.UnitSize, Included: c.Included,
	}
	for _, t := range c.Tiers {
		out.Tiers = append(out.Tiers, licensing.Tier(t))
	}
	return out
}

func fromRateCard(c licensing.RateCard) rateCardJSON {
	out := rateCardJSON{
		Key: c.Key, Kind: c.Kind, Feature: c.Feature, Amount: c.Amount, Currency: c.Currency, UnitSize: c.UnitSize, Included: c.Included,
	}
	for _, t := range c.Tiers {
		out.Tiers = append(out.Tiers, tierJSON(t))
	}
	return out
}
