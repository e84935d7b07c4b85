package connectapi

import (
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toService(u *licensing.Upstream) *adminv1.Service {
	return &adminv1.Service{
		Key: u.Key, DisplayName: u.DisplayName, Endpoints: u.Endpoints, Etag: u.Etag,
		CreateTime: toTime(u.CreateTime), UpdateTime: toTime(u.UpdateTime), ArchiveTime: toTime(u.ArchiveTime),
	}
}

func fromService(s *adminv1.Service) licensing.Upstream {
	return licensing.Upstream{
		Key: s.GetKey(), DisplayName: s.GetDisplayName(), Endpoints: s.GetEndpoints(), Meta: licensing.Meta{Etag: s.GetEtag()},
	}
}

func toRoute(r *licensing.Route) *adminv1.Route {
	to := &adminv1.Route{
		Key: r.Key, DisplayName: r.DisplayName, Service: r.Service,
		Match:    &adminv1.RouteMatch{Host: r.Match.Host, Path: r.Match.Path, Methods: r.Match.Methods},
		Requires: r.Requires, Meter: r.Meter, BillOpenIntents: r.BillOpenIntents, OnStale: toEnum[adminv1.OnStale](r.StalePolicy()), Etag: r.Etag,
		CreateTime: toTime(r.CreateTime), UpdateTime: toTime(r.UpdateTime), ArchiveTime: toTime(r.ArchiveTime),
	}
	if r.Cost != nil {
		to.Cost = &adminv1.RouteCost{Fixed: r.Cost.Fixed}
	}
	return to
}

func fromRoute(r *adminv1.Route) licensing.Route {
	to := licensing.Route{
		Key: r.GetKey(), DisplayName: r.GetDisplayName(), Service: r.GetService(),
		Match:    licensing.RouteMatch{Host: r.GetMatch().GetHost(), Path: r.GetMatch().GetPath(), Methods: r.GetMatch().GetMethods()},
		Requires: r.GetRequires(), Meter: r.GetMeter(), BillOpenIntents: r.BillOpenIntents, OnStale: toWord[licensing.OnStale](r.GetOnStale()), Meta: licensing.Meta{Etag: r.GetEtag()},
	}
	if c := r.GetCost(); c != nil {
		to.Cost = &licensing.RouteCost{Fixed: c.GetFixed()}
	}
	return to
}
