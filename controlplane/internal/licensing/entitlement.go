package licensing

// fits checks an entitlement against its feature and, of a metered one, the meter. It makes explicit what the feature's type
// leaves open.
func (e *Entitlement) fits(f *Feature, m *Meter) error {
	if f.Type != Static && e.Value.Kind != NoValue {
		return invalid("value", "the feature %q is %s: it takes no value", e.Feature, f.Type)
	}
	if f.Type != Metered && e.Quota != nil {
		return invalid("quota", "the feature %q is %s: it takes no quota", e.Feature, f.Type)
	}
	if f.Type != Boolean && e.Off {
		return invalid("enabled", "the feature %q is %s, and to name it is to grant it: leave it out instead", e.Feature, f.Type)
	}
	e.Off = false
	if f.Type == Boolean {
		return nil
	}
	e.Enabled = false // Of boolean features only.
	switch {
	case f.Type == Static:
		if e.Value.Kind == NoValue {
			return invalid("value", "is required: the feature %q is static", e.Feature)
		}
	case e.Quota != nil && m != nil:
		return at("quota", e.Quota.fits(m))
	}
	return nil
}

// fits checks a quota against the meter that its feature counts on.
func (q *Quota) fits(m *Meter) error {
	switch {
	case m.Aggregation == Unique:
		return invalid("", "the meter %q counts different values: no quota can be put on it", m.Key)
	case q.Mode == Hard && !m.Aggregation.Adds():
		return invalid("mode", "the meter %q is of aggregation %s: a hard quota needs count or sum", m.Key, m.Aggregation)
	default:
		return nil
	}
}

// granted are the features that a version grants, as nodes see it.
func (v *PlanVersion) granted(types map[string]FeatureType) map[string]bool {
	all := map[string]bool{}
	for _, e := range v.Entitlements {
		if t := types[e.Feature]; t == Boolean && e.Enabled || t == Static || t == Metered {
			all[e.Feature] = true
		}
	}
	return all
}
