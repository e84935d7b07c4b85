package connectapi

import (
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toCustomer(c *licensing.Customer) *adminv1.Customer {
	return &adminv1.Customer{
		Id: c.ID, ExternalId: c.ExternalID, DisplayName: c.DisplayName, TimeZone: c.TimeZone, Metadata: c.Metadata, Etag: c.Etag,
		CreateTime: toTime(c.CreateTime), UpdateTime: toTime(c.UpdateTime), ArchiveTime: toTime(c.ArchiveTime),
	}
}

func fromCustomer(c *adminv1.Customer) licensing.Customer {
	return licensing.Customer{
		ID: c.GetId(), ExternalID: c.GetExternalId(), DisplayName: c.GetDisplayName(), TimeZone: c.GetTimeZone(), Metadata: c.GetMetadata(),
		Meta: licensing.Meta{Etag: c.GetEtag()},
	}
}

func toAPIKey(k *licensing.APIKey) *adminv1.ApiKey {
	return &adminv1.ApiKey{
		Id: k.ID, License: k.License, DisplayName: k.DisplayName, Prefix: k.Prefix,
		ExpiresAt: toTime(k.ExpiresAt), RevokeTime: toTime(k.RevokeTime), CreateTime: toTime(k.CreateTime),
		Etag: k.Etag, Imported: k.Imported,
	}
}

func toToken(t *licensing.Token) *adminv1.Token {
	return &adminv1.Token{
		Id: t.ID, DisplayName: t.DisplayName, Role: toEnum[adminv1.Role](t.Role),
		CreateTime: toTime(t.CreateTime), RevokeTime: toTime(t.RevokeTime), Etag: t.Etag,
	}
}
