package licensing

import (
	"cmp"
	"slices"
)

// grantsAs reports whether two versions grant and cost the same. The order of their lists means nothing.
func (v *PlanVersion) grantsAs(o *PlanVersion) bool {
	return sameMembers(v.Entitlements, o.Entitlements, func(x, y Entitlement) int { return cmp.Compare(x.Feature, y.Feature) }, sameEntitlement) &&
		sameMembers(v.RateLimits, o.RateLimits, func(x, y RateLimit) int { return cmp.Compare(x.Key, y.Key) }, equal) &&
		sameMembers(v.RateCards, o.RateCards, func(x, y RateCard) int { return cmp.Compare(x.Key, y.Key) }, equal)
}

func sameEntitlement(x, y Entitlement) bool {
	if x.Feature != y.Feature || x.Enabled != y.Enabled || (x.Quota == nil) != (y.Quota == nil) {
		return false
	}
	return x.Quota == nil || *x.Quota == *y.Quota
}

func equal[T comparable](x, y T) bool { return x == y }

// sameMembers reports whether two lists hold the same items in any order. order sorts by what is unique in a list.
func sameMembers[T any](a, b []T, order func(x, y T) int, same func(x, y T) bool) bool {
	if len(a) != len(b) {
		return false
	}
	return slices.EqualFunc(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order), same)
}
