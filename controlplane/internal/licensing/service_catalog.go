package licensing

import "context"

// CreateMeter makes a meter.
func (s *Service) CreateMeter(ctx context.Context, m Meter) (Meter, Epoch, error) {
	var out Meter
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.createMeter(ctx, m)
		return err
	})
	return out, epoch, err
}

func (w *write) createMeter(ctx context.Context, m Meter) (Meter, error) {
	if err := m.Validate(); err != nil {
		return m, err
	}
	m.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	m, err := w.InsertMeter(ctx, m)
	if err == nil {
		w.rule(&m)
	}
	return m, err
}

// GetMeter finds a meter by key.
func (s *Service) GetMeter(ctx context.Context, key string) (Meter, error) {
	if err := checkKey("key", key); err != nil {
		return Meter{}, err
	}
	return s.store.Meter(ctx, key)
}

// ListMeters filters by aggregation, archived.
func (s *Service) ListMeters(ctx context.Context, l List) (Page[Meter], error) {
	return page(l, []string{"aggregation", "archived"},
		func(l List) ([]Meter, error) { return s.store.Meters(ctx, l) },
		func(m *Meter) string { return m.Key })
}

// UpdateMeter changes display_name.
func (s *Service) UpdateMeter(ctx context.Context, m Meter, mask []string) (Meter, Epoch, error) {
	if _, err := masked(mask, "display_name"); err != nil {
		return Meter{}, Epoch{}, err
	}
	if err := checkKey("key", m.Key); err != nil {
		return Meter{}, Epoch{}, err
	}
	var out Meter
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Meter(ctx, m.Key)
		if err != nil {
			return err
		}
		if err := current(KindMeter, m.Key, m.Etag, &old.Meta); err != nil {
			return err
		}
		if len(mask) == 0 {
			if err := fixed("aggregation", m.Aggregation, old.Aggregation); err != nil {
				return err
			}
		}
		out = old
		out.DisplayName = m.DisplayName
		if err := out.Validate(); err != nil || out.DisplayName == old.DisplayName {
			return err
		}
		out.UpdateTime = w.now
		out, err = w.UpdateMeter(ctx, out)
		return err
	})
	return out, epoch, err
}

// ArchiveMeter takes a meter out of use. Refused while features or routes count on it.
func (s *Service) ArchiveMeter(ctx context.Context, key string) (Meter, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Meter{}, Epoch{}, err
	}
	var out Meter
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archiveMeter(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archiveMeter(ctx context.Context, key string) (Meter, error) {
	out, err := w.Meter(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindMeter, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	if err := w.unreferenced(ctx, KindMeter, key); err != nil {
		return out, err
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	w.rule(&Removal{Kind: KindMeter, ID: key})
	return w.UpdateMeter(ctx, out)
}

// CreateFeature makes a feature.
func (s *Service) CreateFeature(ctx context.Context, f Feature) (Feature, Epoch, error) {
	var out Feature
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.createFeature(ctx, f)
		return err
	})
	return out, epoch, err
}

func (w *write) createFeature(ctx context.Context, f Feature) (Feature, error) {
	if err := f.Validate(); err != nil {
		return f, err
	}
	if f.Meter != "" {
		m, err := w.Meter(ctx, f.Meter)
		if err := usable("meter", KindMeter, f.Meter, &m.Meta, err); err != nil {
			return f, err
		}
	}
	f.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	f, err := w.InsertFeature(ctx, f)
	if err == nil {
		w.rule(&f)
	}
	return f, err
}

// GetFeature finds a feature by key.
func (s *Service) GetFeature(ctx context.Context, key string) (Feature, error) {
	if err := checkKey("key", key); err != nil {
		return Feature{}, err
	}
	return s.store.Feature(ctx, key)
}

// ListFeatures filters by type, meter, archived.
func (s *Service) ListFeatures(ctx context.Context, l List) (Page[Feature], error) {
	return page(l, []string{"type", "meter", "archived"},
		func(l List) ([]Feature, error) { return s.store.Features(ctx, l) },
		func(f *Feature) string { return f.Key })
}

// UpdateFeature changes display_name.
func (s *Service) UpdateFeature(ctx context.Context, f Feature, mask []string) (Feature, Epoch, error) {
	if _, err := masked(mask, "display_name"); err != nil {
		return Feature{}, Epoch{}, err
	}
	if err := checkKey("key", f.Key); err != nil {
		return Feature{}, Epoch{}, err
	}
	var out Feature
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Feature(ctx, f.Key)
		if err != nil {
			return err
		}
		if err := current(KindFeature, f.Key, f.Etag, &old.Meta); err != nil {
			return err
		}
		if len(mask) == 0 {
			if err := fixed("type", f.Type, old.Type); err != nil {
				return err
			}
			if err := fixed("meter", f.Meter, old.Meter); err != nil {
				return err
			}
		}
		out = old
		out.DisplayName = f.DisplayName
		if err := out.Validate(); err != nil || out.DisplayName == old.DisplayName {
			return err
		}
		out.UpdateTime = w.now
		out, err = w.UpdateFeature(ctx, out)
		return err
	})
	return out, epoch, err
}

// ArchiveFeature takes a feature out of use. Refused while plan versions in use grant it or routes require it.
func (s *Service) ArchiveFeature(ctx context.Context, key string) (Feature, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Feature{}, Epoch{}, err
	}
	var out Feature
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archiveFeature(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archiveFeature(ctx context.Context, key string) (Feature, error) {
	out, err := w.Feature(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindFeature, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	if err := w.unreferenced(ctx, KindFeature, key); err != nil {
		return out, err
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	w.rule(&Removal{Kind: KindFeature, ID: key})
	return w.UpdateFeature(ctx, out)
}
