package connectapi

import (
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toEntitled(e *licensing.Entitled) *adminv1.EffectiveEntitlement {
	to := &adminv1.EffectiveEntitlement{
		Feature: e.Feature.Key, Value: structpb.NewBoolValue(e.Granted), Source: e.Source, ExpiresAt: toTime(e.ExpiresAt),
		CarriedOver: e.CarriedOver, Used: e.Used, ResetsAt: toTime(e.ResetsAt), AsOf: toTime(e.AsOf), Quota: toQuota(e.Quota),
	}
	if e.Value.Kind != licensing.NoValue {
		to.Value = toValue(&e.Value)
	}
	if e.Quota != nil {
		to.Limit = &e.Limit
	}
	for i := range e.Grants {
		g := &e.Grants[i]
		to.Grants = append(to.Grants, &adminv1.EffectiveGrant{
			Id: g.ID, Units: g.Units, Drawn: g.Drawn, Priority: g.Priority, ExpiresAt: toTime(g.ExpiresAt),
		})
	}
	return to
}

func toEntitledRate(r *licensing.EntitledRate) *adminv1.EffectiveRateLimit {
	return &adminv1.EffectiveRateLimit{RateLimit: toRateLimit(&r.RateLimit), Source: r.Source, ExpiresAt: toTime(r.ExpiresAt)}
}
