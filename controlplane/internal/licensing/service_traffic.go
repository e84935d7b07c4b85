package licensing

import (
	"context"
	"strconv"

	"tollgate/dataplane/decision"
)

// CreateService makes an upstream.
func (s *Service) CreateService(ctx context.Context, u Upstream) (Upstream, Epoch, error) {
	var out Upstream
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.createUpstream(ctx, u)
		return err
	})
	return out, epoch, err
}

func (w *write) createUpstream(ctx context.Context, u Upstream) (Upstream, error) {
	u.normalize()
	if err := u.Validate(); err != nil {
		return u, err
	}
	u.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	u, err := w.InsertUpstream(ctx, u)
	if err == nil {
		w.rule(&u)
	}
	return u, err
}

// GetService finds an upstream by key.
func (s *Service) GetService(ctx context.Context, key string) (Upstream, error) {
	if err := checkKey("key", key); err != nil {
		return Upstream{}, err
	}
	return s.store.Upstream(ctx, key)
}

// ListServices filters by archived.
func (s *Service) ListServices(ctx context.Context, l List) (Page[Upstream], error) {
	return page(l, []string{"archived"},
		func(l List) ([]Upstream, error) { return s.store.Upstreams(ctx, l) },
		func(u *Upstream) string { return u.Key })
}

// UpdateService changes display_name, endpoints: those in mask, or both.
func (s *Service) UpdateService(ctx context.Context, u Upstream, mask []string) (Upstream, Epoch, error) {
	has, err := masked(mask, "display_name", "endpoints")
	if err != nil {
		return Upstream{}, Epoch{}, err
	}
	if err := checkKey("key", u.Key); err != nil {
		return Upstream{}, Epoch{}, err
	}
	var out Upstream
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Upstream(ctx, u.Key)
		if err != nil {
			return err
		}
		if err := current(KindService, u.Key, u.Etag, &old.Meta); err != nil {
			return err
		}
		next := old
		if has("display_name") {
			next.DisplayName = u.DisplayName
		}
		if has("endpoints") {
			next.Endpoints = u.Endpoints
		}
		out, _, err = w.updateUpstream(ctx, old, next)
		return err
	})
	return out, epoch, err
}

// updateUpstream reports whether anything changed.
func (w *write) updateUpstream(ctx context.Context, old, next Upstream) (Upstream, bool, error) {
	next.normalize()
	if err := next.Validate(); err != nil || next.sameAs(&old) {
		return old, false, err
	}
	next.UpdateTime = w.now
	next, err := w.UpdateUpstream(ctx, next)
	if err == nil && !next.sameRule(&old) {
		w.rule(&next)
	}
	return next, true, err
}

// ArchiveService takes an upstream out of use. Refused while routes lead to it.
func (s *Service) ArchiveService(ctx context.Context, key string) (Upstream, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Upstream{}, Epoch{}, err
	}
	var out Upstream
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archiveUpstream(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archiveUpstream(ctx context.Context, key string) (Upstream, error) {
	out, err := w.Upstream(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindService, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	if err := w.unreferenced(ctx, KindService, key); err != nil {
		return out, err
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	w.rule(&Removal{Kind: KindService, ID: key})
	return w.UpdateUpstream(ctx, out)
}

// CreateRoute makes a route. Refused where it ties with another.
func (s *Service) CreateRoute(ctx context.Context, r Route) (Route, Epoch, error) {
	var out Route
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.createRoute(ctx, r); err != nil {
			return err
		}
		return w.checkTies(ctx)
	})
	return out, epoch, err
}

func (w *write) createRoute(ctx context.Context, r Route) (Route, error) {
	if err := w.checkRoute(ctx, &r); err != nil {
		return r, err
	}
	r.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	r, err := w.InsertRoute(ctx, r)
	if err == nil {
		w.rule(&r)
	}
	return r, err
}

// checkRoute validates and normalizes a route, and checks what it refers to.
func (w *write) checkRoute(ctx context.Context, r *Route) error {
	if err := r.Validate(); err != nil {
		return err
	}
	r.normalize()
	u, err := w.Upstream(ctx, r.Service)
	if err := usable("service", KindService, r.Service, &u.Meta, err); err != nil {
		return err
	}
	if r.Meter != "" {
		m, err := w.Meter(ctx, r.Meter)
		if err := usable("meter", KindMeter, r.Meter, &m.Meta, err); err != nil {
			return err
		}
		if !m.Aggregation.Adds() {
			return invalid("meter", "the meter %q is of aggregation %s: a route needs count or sum", m.Key, m.Aggregation)
		}
	}
	_, err = w.features(ctx, r.Requires, func(i int) string { return "requires[" + strconv.Itoa(i) + "]" })
	return err
}

// checkTies refuses routes that nodes could not choose between.
func (w *write) checkTies(ctx context.Context) error {
	routes, err := w.LiveRoutes(ctx)
	if err != nil {
		return err
	}
	rules := make([]*decision.Route, len(routes))
	for i := range routes {
		rules[i] = routes[i].rule()
	}
	if err := decision.CheckRoutes(rules); err != nil {
		return &Error{Code: FailedPrecondition, Field: "match", Message: err.Error()}
	}
	return nil
}

// GetRoute finds a route by key.
func (s *Service) GetRoute(ctx context.Context, key string) (Route, error) {
	if err := checkKey("key", key); err != nil {
		return Route{}, err
	}
	return s.store.Route(ctx, key)
}

// ListRoutes filters by service, meter, archived.
func (s *Service) ListRoutes(ctx context.Context, l List) (Page[Route], error) {
	return page(l, []string{"service", "meter", "archived"},
		func(l List) ([]Route, error) { return s.store.Routes(ctx, l) },
		func(r *Route) string { return r.Key })
}

// UpdateRoute changes display_name, service, match (or match.host, match.path, match.methods), requires, meter, cost,
// bill_open_intents, on_stale: those in mask, or all.
func (s *Service) UpdateRoute(ctx context.Context, r Route, mask []string) (Route, Epoch, error) {
	has, err := masked(mask, "display_name", "service", "match", "match.host", "match.path", "match.methods",
		"requires", "meter", "cost", "cost.fixed", "bill_open_intents", "on_stale")
	if err != nil {
		return Route{}, Epoch{}, err
	}
	if err := checkKey("key", r.Key); err != nil {
		return Route{}, Epoch{}, err
	}
	var out Route
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Route(ctx, r.Key)
		if err != nil {
			return err
		}
		if err := current(KindRoute, r.Key, r.Etag, &old.Meta); err != nil {
			return err
		}
		var changed bool
		if out, changed, err = w.updateRoute(ctx, old, r.onto(old, has)); err != nil || !changed {
			return err
		}
		return w.checkTies(ctx)
	})
	return out, epoch, err
}

// onto puts the masked fields of r onto old.
func (r *Route) onto(old Route, has func(string) bool) Route {
	next := old
	if has("display_name") {
		next.DisplayName = r.DisplayName
	}
	if has("service") {
		next.Service = r.Service
	}
	if has("match") || has("match.host") {
		next.Match.Host = r.Match.Host
	}
	if has("match") || has("match.path") {
		next.Match.Path = r.Match.Path
	}
	if has("match") || has("match.methods") {
		next.Match.Methods = r.Match.Methods
	}
	if has("requires") {
		next.Requires = r.Requires
	}
	if has("meter") {
		next.Meter = r.Meter
		if next.Meter == "" {
			next.Cost = nil
		}
	}
	if has("cost") || has("cost.fixed") {
		next.Cost = r.Cost
	}
	if has("bill_open_intents") {
		next.BillOpenIntents = r.BillOpenIntents
	}
	if has("on_stale") {
		next.OnStale = r.OnStale
	}
	return next
}

// updateRoute reports whether anything changed.
func (w *write) updateRoute(ctx context.Context, old, next Route) (Route, bool, error) {
	if err := w.checkRoute(ctx, &next); err != nil || next.sameAs(&old) {
		return old, false, err
	}
	next.UpdateTime = w.now
	next, err := w.UpdateRoute(ctx, next)
	if err == nil && !next.sameRule(&old) {
		w.rule(&next)
	}
	return next, true, err
}

// ArchiveRoute takes a route out of use. Refused while terms are on it.
func (s *Service) ArchiveRoute(ctx context.Context, key string) (Route, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Route{}, Epoch{}, err
	}
	var out Route
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archiveRoute(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archiveRoute(ctx context.Context, key string) (Route, error) {
	out, err := w.Route(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindRoute, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	if err := w.unreferenced(ctx, KindRoute, key); err != nil {
		return out, err
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	w.rule(&Removal{Kind: KindRoute, ID: key})
	return w.UpdateRoute(ctx, out)
}
