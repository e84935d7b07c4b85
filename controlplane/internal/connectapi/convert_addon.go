package connectapi

import (
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toAddOn(a *licensing.AddOn) *adminv1.AddOn {
	return &adminv1.AddOn{
		Key: a.Key, DisplayName: a.DisplayName, Version: a.Version, Entitlements: each(a.Entitlements, toEntitlement),
		RateCards: each(a.RateCards, toRateCard), EffectiveAt: toTime(a.EffectiveAt), Etag: a.Etag,
		CreateTime: toTime(a.CreateTime), UpdateTime: toTime(a.UpdateTime), ArchiveTime: toTime(a.ArchiveTime),
	}
}

func fromAddOn(a *adminv1.AddOn) licensing.AddOn {
	return licensing.AddOn{
		Key: a.GetKey(), DisplayName: a.GetDisplayName(), Entitlements: eachMessage(a.GetEntitlements(), fromEntitlement),
		RateCards: eachMessage(a.GetRateCards(), fromRateCard), Meta: licensing.Meta{Etag: a.GetEtag()},
	}
}

func toAttachment(a *licensing.Attachment) *adminv1.Attachment {
	return &adminv1.Attachment{AddOn: a.AddOn, StartsAt: toTime(a.StartsAt), EndsAt: toTime(a.EndsAt)}
}
