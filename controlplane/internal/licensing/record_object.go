package licensing

import "context"

// The recorder's writes of objects that have a key or id, one as the other.

func (r *recorder) InsertCustomer(ctx context.Context, c Customer) (Customer, error) {
	out, err := r.Tx.InsertCustomer(ctx, c)
	return inserted(r, KindCustomer, out.ID, out, err)
}

func (r *recorder) UpdateCustomer(ctx context.Context, c Customer) (Customer, error) {
	return updated(r, KindCustomer, c.ID,
		func() (Customer, error) { return r.Customer(ctx, c.ID) }, func() (Customer, error) { return r.Tx.UpdateCustomer(ctx, c) })
}

func (r *recorder) InsertMeter(ctx context.Context, m Meter) (Meter, error) {
	out, err := r.Tx.InsertMeter(ctx, m)
	return inserted(r, KindMeter, out.Key, out, err)
}

func (r *recorder) UpdateMeter(ctx context.Context, m Meter) (Meter, error) {
	return updated(r, KindMeter, m.Key,
		func() (Meter, error) { return r.Meter(ctx, m.Key) }, func() (Meter, error) { return r.Tx.UpdateMeter(ctx, m) })
}

func (r *recorder) InsertFeature(ctx context.Context, f Feature) (Feature, error) {
	out, err := r.Tx.InsertFeature(ctx, f)
	return inserted(r, KindFeature, out.Key, out, err)
}

func (r *recorder) UpdateFeature(ctx context.Context, f Feature) (Feature, error) {
	return updated(r, KindFeature, f.Key,
		func() (Feature, error) { return r.Feature(ctx, f.Key) }, func() (Feature, error) { return r.Tx.UpdateFeature(ctx, f) })
}

func (r *recorder) InsertPlan(ctx context.Context, p Plan) (Plan, error) {
	out, err := r.Tx.InsertPlan(ctx, p)
	return inserted(r, KindPlan, out.Key, out, err)
}

func (r *recorder) UpdatePlan(ctx context.Context, p Plan) (Plan, error) {
	return updated(r, KindPlan, p.Key,
		func() (Plan, error) { return r.Plan(ctx, p.Key) }, func() (Plan, error) { return r.Tx.UpdatePlan(ctx, p) })
}

func (r *recorder) InsertAddOn(ctx context.Context, a AddOn) (AddOn, error) {
	out, err := r.Tx.InsertAddOn(ctx, a)
	return inserted(r, KindAddOn, out.Key, out, err)
}

func (r *recorder) UpdateAddOn(ctx context.Context, a AddOn) (AddOn, error) {
	return updated(r, KindAddOn, a.Key,
		func() (AddOn, error) { return r.AddOn(ctx, a.Key) }, func() (AddOn, error) { return r.Tx.UpdateAddOn(ctx, a) })
}

func (r *recorder) InsertUpstream(ctx context.Context, u Upstream) (Upstream, error) {
	out, err := r.Tx.InsertUpstream(ctx, u)
	return inserted(r, KindService, out.Key, out, err)
}

func (r *recorder) UpdateUpstream(ctx context.Context, u Upstream) (Upstream, error) {
	return updated(r, KindService, u.Key,
		func() (Upstream, error) { return r.Upstream(ctx, u.Key) }, func() (Upstream, error) { return r.Tx.UpdateUpstream(ctx, u) })
}

func (r *recorder) InsertRoute(ctx context.Context, o Route) (Route, error) {
	out, err := r.Tx.InsertRoute(ctx, o)
	return inserted(r, KindRoute, out.Key, out, err)
}

func (r *recorder) UpdateRoute(ctx context.Context, o Route) (Route, error) {
	return updated(r, KindRoute, o.Key,
		func() (Route, error) { return r.Route(ctx, o.Key) }, func() (Route, error) { return r.Tx.UpdateRoute(ctx, o) })
}

func (r *recorder) InsertLicenses(ctx context.Context, all []License) ([]License, error) {
	if len(all) == 0 {
		return nil, nil
	}
	out, err := r.Tx.InsertLicenses(ctx, all)
	return insertedAll(r, KindLicense, out, func(l *License) string { return l.ID }, err)
}

func (r *recorder) InsertCustomers(ctx context.Context, all []Customer) ([]Customer, error) {
	if len(all) == 0 {
		return nil, nil
	}
	out, err := r.Tx.InsertCustomers(ctx, all)
	return insertedAll(r, KindCustomer, out, func(c *Customer) string { return c.ID }, err)
}

func (r *recorder) UpdateCustomers(ctx context.Context, all []Customer) ([]Customer, error) {
	if len(all) == 0 {
		return nil, nil
	}
	id := func(c *Customer) string { return c.ID }
	before, err := r.CustomersNamed(ctx, idsOf(all, id), nil)
	if err != nil {
		return nil, err
	}
	old := make(map[string]Customer, len(before))
	for i := range before {
		old[before[i].ID] = before[i]
	}
	out, err := r.Tx.UpdateCustomers(ctx, all)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	// What a customer was stands nowhere else, so it is told of as many as fit.
	size, told := 0, 0
	for told < len(out) && (len(out) < manyObjects || size < maxNoted) {
		c := &out[told]
		r.note(KindCustomer, c.ID, old[c.ID], *c)
		size += r.size(KindCustomer, c.ID)
		told++
	}
	if rest := out[told:]; len(rest) > 0 {
		r.note(KindCustomer, rest[0].ID, nil, map[string]any{"Changed": len(rest), "IDs": idsOf(rest, id)})
	}
	return out, nil
}

// maxNoted is how many bytes of differences an event tells of objects that were changed together.
const maxNoted = 64 << 10

// manyObjects is from how many on an event says which objects were written together, and not what became of each: an event
// has to stay a size that can be listed. Of licences, each has a licence event of its own; of customers, see maxNoted.
const manyObjects = 10

// LockLicense implements Tx. Who locks a licence is about to change it: it is kept as it was, so that it need not be read again.
func (r *recorder) LockLicense(ctx context.Context, id string) (License, error) {
	l, err := r.Tx.LockLicense(ctx, id)
	if err != nil {
		return l, err
	}
	if r.locked == nil {
		r.locked = map[string]map[string]any{}
	}
	r.locked[id], err = plain(l)
	return l, err
}

// wasLicense is a licence as it was before it is changed.
func (r *recorder) wasLicense(ctx context.Context, id string) (map[string]any, error) {
	if was, ok := r.locked[id]; ok {
		delete(r.locked, id) // It is another now.
		return was, nil
	}
	l, err := r.License(ctx, id)
	if err != nil {
		return nil, err
	}
	return plain(l)
}

func (r *recorder) UpdateLicenses(ctx context.Context, all []License) ([]License, error) {
	old := make([]map[string]any, len(all))
	for i := range all {
		if len(all) >= manyObjects {
			break
		}
		var err error
		if old[i], err = r.wasLicense(ctx, all[i].ID); err != nil {
			return nil, err
		}
	}
	out, err := r.Tx.UpdateLicenses(ctx, all)
	if err != nil {
		return nil, err
	}
	if n := len(out); n >= manyObjects {
		r.note(KindLicense, out[0].ID, nil, map[string]any{"Changed": n, "First": out[0].ID, "Last": out[n-1].ID})
		return out, nil
	}
	for i := range out {
		r.differs(KindLicense, out[i].ID, old[i], out[i])
	}
	return out, nil
}

// RestorePlanVersions implements Tx. That the plan is in use again is noted of the plan.
func (r *recorder) RestorePlanVersions(ctx context.Context, plan string) ([]PlanVersion, error) {
	out, err := r.Tx.RestorePlanVersions(ctx, plan)
	if err == nil {
		var versions []uint32
		for i := range out {
			versions = append(versions, out[i].Version)
		}
		r.note(KindPlan, plan, nil, map[string][]uint32{"RestoredVersions": versions})
	}
	return out, err
}

func (r *recorder) InsertPlanVersion(ctx context.Context, v PlanVersion) (PlanVersion, error) {
	out, err := r.Tx.InsertPlanVersion(ctx, v)
	return inserted(r, KindPlanVersion, VersionID(v.Plan, v.Version), out, err)
}

func (r *recorder) UpdatePlanVersion(ctx context.Context, v PlanVersion) (PlanVersion, error) {
	return updated(r, KindPlanVersion, VersionID(v.Plan, v.Version),
		func() (PlanVersion, error) { return r.PlanVersion(ctx, v.Plan, v.Version) },
		func() (PlanVersion, error) { return r.Tx.UpdatePlanVersion(ctx, v) })
}
