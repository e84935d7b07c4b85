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
		out.ArchiveTime, out.UpdateTime = time.Time{}, w.now
		w.rule(&out)
		out, err = w.UpdateMeter(ctx, out)
		return err
	})
	return out, epoch, err
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
		if out.Meter != "" {
			m, err := w.Meter(ctx, out.Meter)
			if err := usable("meter", KindMeter, out.Meter, &m.Meta, err); err != nil {
				return err
			}
		}
		out.ArchiveTime, out.UpdateTime = time.Time{}, w.now
		w.rule(&out)
		out, err = w.UpdateFeature(ctx, out)
		return err
	})
	return out, epoch, err
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
		versions, err := w.RestorePlanVersions(ctx, key)
		if err != nil {
			return err
		}
		for i := range versions {
			w.rule(&versions[i])
		}
		if n := len(versions); n > 0 {
			newest := versions[n-1]
			if err := w.checkVersion(ctx, &newest); err != nil {
				return err
			}
		}
		out.ArchiveTime, out.UpdateTime = time.Time{}, w.now
		out, err = w.UpdatePlan(ctx, out)
		return err
	})
	return out, epoch, err
}
