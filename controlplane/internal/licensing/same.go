package licensing

// grantsAs reports whether two versions grant and cost the same. The order of their lists means nothing, and amounts count
// by value.
func (v *PlanVersion) grantsAs(o *PlanVersion) bool { return len(v.diff(o)) == 0 }
