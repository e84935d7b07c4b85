package connectapi

import (
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toJoinToken(t *licensing.JoinToken) *adminv1.JoinToken {
	return &adminv1.JoinToken{
		Id: t.ID, Node: t.Node, Replace: t.Replace, Uses: t.Uses, Used: t.Used, ExpireTime: toTime(t.ExpireTime), CreatedBy: t.CreatedBy,
		CreateTime: toTime(t.CreateTime), RevokeTime: toTime(t.RevokeTime), Etag: t.Etag,
	}
}
