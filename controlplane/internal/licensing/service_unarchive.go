package licensing

import (
	"context"
	"time"
)

// UnarchiveMeter takes a meter into use again.
func (s *Service) UnarchiveMeter(ctx context.Context, key string) (Meter, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Meter{}, Epoch{}, err
	}
	var out Meter
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.Meter(ctx, key); err != nil {
			return err
		}
		if err := w.holds(KindMeter, key, out.Etag); err != nil || !out.Archived() {
			return err
		}
		out, err = w.unarchiveMeter(ctx, out)
		return err
	})
	return out, epoch, err
}

func (w *write) unarchiveMeter(ctx context.Context, m Meter) (Meter, error) {
	m.ArchiveTime, m.UpdateTime = time.Time{}, w.now
	w.rule(&m)
	return w.UpdateMeter(ctx, m)
}

// UnarchiveFeature takes a feature into use again. Refused where its meter is archived.
func (s *Service) UnarchiveFeature(ctx context.Context, key string) (Feature, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Feature{}, Epoch{}, err
	}
	var out Feature
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.Feature(ctx, key); err != nil {
			return err
		}
		if err := w.holds(KindFeature, key, out.Etag); err != nil || !out.Archived() {
			return err
		}
		out, err = w.unarchiveFeature(ctx, out)
		return err
	})
	return out, epoch, err
}

func (w *write) unarchiveFeature(ctx context.Context, f Feature) (Feature, error) {
	if f.Meter != "" {
		m, err := w.Meter(ctx, f.Meter)
		if err := usable("meter", KindMeter, f.Meter, &m.Meta, err); err != nil {
			return f, err
		}
	}
	f.ArchiveTime, f.UpdateTime = time.Time{}, w.now
	w.rule(&f)
	return w.UpdateFeature(ctx, f)
}

// UnarchivePlan takes a plan into use again, with the versions that were published. Refused where the newest of them grants
// what is archived; the older ones have no licences that could need it.
func (s *Service) UnarchivePlan(ctx context.Context, key string) (Plan, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Plan{}, Epoch{}, err
	}
	var out Plan
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.Plan(ctx, key); err != nil {
			return err
		}
		if err := w.holds(KindPlan, key, out.Etag); err != nil || !out.Archived() {
			return err
		}
		var newest PlanVersion
		if out, newest, err = w.unarchivePlan(ctx, out); err != nil || newest.Version == 0 {
			return err
		}
		return w.checkVersion(ctx, &newest)
	})
	return out, epoch, err
}

// unarchivePlan also returns the newest version that came back; the zero one where there is none.
func (w *write) unarchivePlan(ctx context.Context, p Plan) (Plan, PlanVersion, error) {
	var newest PlanVersion
	versions, err := w.RestorePlanVersions(ctx, p.Key)
	if err != nil {
		return p, newest, err
	}
	for i := range versions {
		w.rule(&versions[i])
		newest = versions[i]
	}
	p.ArchiveTime, p.UpdateTime = time.Time{}, w.now
	p, err = w.UpdatePlan(ctx, p)
	return p, newest, err
}

func (w *write) unarchiveUpstream(ctx context.Context, u Upstream) (Upstream, error) {
	u.ArchiveTime, u.UpdateTime = time.Time{}, w.now
	w.rule(&u)
	return w.UpdateUpstream(ctx, u)
}

// unarchiveRoute leaves it to the caller to look for ties and at what the route refers to.
func (w *write) unarchiveRoute(ctx context.Context, r Route) (Route, error) {
	r.ArchiveTime, r.UpdateTime = time.Time{}, w.now
	w.rule(&r)
	return w.UpdateRoute(ctx, r)
}
