package licensing

import (
	"strconv"
	"strings"
	"time"
)

// Override is one dated custom term on a licence. It replaces one entitlement or one rate limit of the plan while it lasts.
type Override struct {
	ID      string // ovr_ + ULID.
	License string // The licence's id.
	// Feature is what the entitlement is for; empty where RateLimit is set.
	Feature string
	// Value is what callers give: true or false, or the value of a static feature, or the units of a quota whose period and mode stay those of
	// what it replaces. Once created, it is a static feature's value.
	Value Value
	// Enabled grants the feature. A metered one has Quota, or is unlimited. False withholds it. Output only, but for Quota.
	Enabled bool
	Quota   *Quota
	// RateLimit replaces the plan's limit of the same key.
	RateLimit  *RateLimit
	StartsAt   time.Time // Zero when created: now.
	EndsAt     time.Time // Exclusive; zero: for good.
	Reason     string
	CreateTime time.Time
}

// Validate checks what callers set, but not that licence and feature exist.
func (o *Override) Validate() error {
	if o.License == "" {
		return invalid("license", "is required: the licence's id")
	}
	if err := checkText("license", o.License, maxKey); err != nil {
		return err
	}
	if strings.TrimSpace(o.Reason) == "" {
		return invalid("reason", "is required: who reads it later has to know why")
	}
	if err := checkText("reason", o.Reason, 500); err != nil {
		return err
	}
	for field, t := range map[string]time.Time{"starts_at": o.StartsAt, "ends_at": o.EndsAt} {
		if err := checkTime(field, t); err != nil {
			return err
		}
	}
	if !o.EndsAt.IsZero() && !o.EndsAt.After(o.StartsAt) {
		return invalid("ends_at", "is not after starts_at")
	}
	switch {
	case o.RateLimit != nil && o.Feature != "":
		return invalid("rate_limit", "an override replaces an entitlement or a rate limit, not both")
	case o.RateLimit != nil:
		return at("rate_limit", o.RateLimit.Validate())
	}
	if err := checkKey("feature", o.Feature); err != nil {
		return err
	}
	if o.Quota != nil {
		return at("value", o.Quota.Validate())
	}
	if o.Value.Kind == NoValue {
		return invalid("value", "is required: true or false, a static feature's value, a number of units, or {limit, period, mode}")
	}
	return o.Value.validate("value")
}

// subject is what two overrides must not both replace at once.
func (o *Override) subject() string {
	if o.RateLimit != nil {
		return "rate_limit " + o.RateLimit.Key
	}
	return "feature " + o.Feature
}

// HoldsAt reports whether the override is in force at now.
func (o *Override) HoldsAt(now time.Time) bool {
	return !now.Before(o.StartsAt) && !begun(o.EndsAt, now)
}

func (o *Override) overlaps(p *Override) bool {
	return (p.EndsAt.IsZero() || o.StartsAt.Before(p.EndsAt)) && (o.EndsAt.IsZero() || p.StartsAt.Before(o.EndsAt))
}

// words say what an override grants.
func (o *Override) words() string {
	switch {
	case o.RateLimit != nil:
		return strconv.FormatInt(o.RateLimit.Limit, 10) + " per " + o.RateLimit.Per.String()
	case o.Quota != nil:
		return strconv.FormatInt(o.Quota.Limit, 10) + " per " + string(o.Quota.Period) + ", " + string(o.Quota.Mode)
	case o.Value.Kind != NoValue:
		return o.Value.JSON()
	case o.Enabled:
		return "granted"
	default:
		return "withheld"
	}
}
