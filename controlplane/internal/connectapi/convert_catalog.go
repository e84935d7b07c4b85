package connectapi

import (
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toFeature(f *licensing.Feature) *adminv1.Feature {
	return &adminv1.Feature{
		Key: f.Key, DisplayName: f.DisplayName, Type: toEnum[adminv1.FeatureType](f.Type), Meter: f.Meter, Etag: f.Etag,
		CreateTime: toTime(f.CreateTime), UpdateTime: toTime(f.UpdateTime), ArchiveTime: toTime(f.ArchiveTime),
	}
}

func fromFeature(f *adminv1.Feature) licensing.Feature {
	return licensing.Feature{
		Key: f.GetKey(), DisplayName: f.GetDisplayName(), Type: toWord[licensing.FeatureType](f.GetType()), Meter: f.GetMeter(),
		Meta: licensing.Meta{Etag: f.GetEtag()},
	}
}

func toMeter(m *licensing.Meter) *adminv1.Meter {
	return &adminv1.Meter{
		Key: m.Key, DisplayName: m.DisplayName, Aggregation: toEnum[adminv1.Aggregation](m.Aggregation), Etag: m.Etag,
		CreateTime: toTime(m.CreateTime), UpdateTime: toTime(m.UpdateTime), ArchiveTime: toTime(m.ArchiveTime),
	}
}

func fromMeter(m *adminv1.Meter) licensing.Meter {
	return licensing.Meter{
		Key: m.GetKey(), DisplayName: m.GetDisplayName(), Aggregation: toWord[licensing.Aggregation](m.GetAggregation()),
		Meta: licensing.Meta{Etag: m.GetEtag()},
	}
}

func toPlan(p *licensing.Plan) *adminv1.Plan {
	return &adminv1.Plan{
		Key: p.Key, DisplayName: p.DisplayName, PublishedVersion: p.PublishedVersion, DraftVersion: p.DraftVersion, Etag: p.Etag,
		CreateTime: toTime(p.CreateTime), UpdateTime: toTime(p.UpdateTime), ArchiveTime: toTime(p.ArchiveTime),
	}
}

func fromPlan(p *adminv1.Plan) licensing.Plan {
	return licensing.Plan{Key: p.GetKey(), DisplayName: p.GetDisplayName(), Meta: licensing.Meta{Etag: p.GetEtag()}}
}

func toPlanVersion(v *licensing.PlanVersion) *adminv1.PlanVersion {
	return &adminv1.PlanVersion{
		Plan: v.Plan, Version: v.Version, State: toEnum[adminv1.PlanVersionState](v.State),
		Entitlements: each(v.Entitlements, toEntitlement), RateLimits: each(v.RateLimits, toRateLimit), RateCards: each(v.RateCards, toRateCard),
		TrialDays: int32(v.TrialDays), Etag: v.Etag, CreateTime: toTime(v.CreateTime), PublishTime: toTime(v.PublishTime), EffectiveAt: toTime(v.EffectiveAt),
	}
}

func fromPlanVersion(v *adminv1.PlanVersion) licensing.PlanVersion {
	return licensing.PlanVersion{
		Plan: v.GetPlan(), Version: v.GetVersion(), Etag: v.GetEtag(),
		Entitlements: eachMessage(v.GetEntitlements(), fromEntitlement), RateLimits: eachMessage(v.GetRateLimits(), fromRateLimit),
		RateCards: eachMessage(v.GetRateCards(), fromRateCard), TrialDays: int(v.GetTrialDays()),
	}
}

func toEntitlement(e *licensing.Entitlement) *adminv1.Entitlement {
	return &adminv1.Entitlement{Feature: e.Feature, Enabled: e.Enabled, Value: toValue(&e.Value), Quota: toQuota(e.Quota)}
}

func toQuota(q *licensing.Quota) *adminv1.Quota {
	if q == nil {
		return nil
	}
	return &adminv1.Quota{
		Limit: q.Limit, Period: toEnum[adminv1.Period](q.Period), Mode: toEnum[adminv1.QuotaMode](q.Mode), Rollover: q.Rollover,
	}
}

func fromEntitlement(e *adminv1.Entitlement) licensing.Entitlement {
	to := licensing.Entitlement{Feature: e.GetFeature(), Enabled: e.GetEnabled(), Value: fromValue(e.GetValue())}
	if q := e.GetQuota(); q != nil {
		to.Quota = &licensing.Quota{
			Limit: q.GetLimit(), Period: toWord[licensing.Period](q.GetPeriod()), Mode: toWord[licensing.QuotaMode](q.GetMode()), Rollover: q.GetRollover(),
		}
	}
	return to
}

func toRateLimit(r *licensing.RateLimit) *adminv1.RateLimit {
	return &adminv1.RateLimit{
		Key: r.Key, Limit: r.Limit, Per: toDuration(r.Per), Burst: r.Burst, Scope: toEnum[adminv1.RateLimitScope](r.Scope),
	}
}

func fromRateLimit(r *adminv1.RateLimit) licensing.RateLimit {
	return licensing.RateLimit{
		Key: r.GetKey(), Limit: r.GetLimit(), Per: r.GetPer().AsDuration(), Burst: r.GetBurst(), Scope: toWord[licensing.Scope](r.GetScope()),
	}
}

func toRateCard(r *licensing.RateCard) *adminv1.RateCard {
	return &adminv1.RateCard{
		Key: r.Key, Kind: string(r.Kind), Feature: r.Feature, Amount: r.Amount, Currency: r.Currency,
		UnitSize: r.UnitSize, Included: r.Included, Tiers: each(r.Tiers, toTier),
	}
}

func fromRateCard(r *adminv1.RateCard) licensing.RateCard {
	return licensing.RateCard{
		Key: r.GetKey(), Kind: licensing.CardKind(r.GetKind()), Feature: r.GetFeature(), Amount: r.GetAmount(), Currency: r.GetCurrency(),
		UnitSize: r.GetUnitSize(), Included: r.GetIncluded(), Tiers: eachMessage(r.GetTiers(), fromTier),
	}
}

func toCatalogChange(c *licensing.CatalogChange) *adminv1.CatalogChange {
	return &adminv1.CatalogChange{Action: c.Action, Kind: string(c.Kind), Key: c.Key, Detail: c.Detail}
}
