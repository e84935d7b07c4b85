package licensing

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// CardKind is how a rate card makes a price of units.
type CardKind string

// The kinds.
const (
	Flat      CardKind = "flat"      // Amount, once a billing period.
	PerUnit   CardKind = "per_unit"  // Amount for each UnitSize units, in proportion.
	Package   CardKind = "package"   // Amount for each begun UnitSize units.
	Graduated CardKind = "graduated" // Each tier's price for the units in it.
	Volume    CardKind = "volume"    // The price of the tier that all units together reach, for all of them.
)

// RateCard is a price. Decimals are kept as they came, and compared by value.
type RateCard struct {
	Key      string
	Kind     CardKind
	Feature  string // Of all but Flat: the metered feature that is priced.
	Amount   string // Of Flat, PerUnit and Package: decimal, like "49.00".
	Currency string // ISO 4217.
	UnitSize int64  // Of PerUnit (0: 1) and Package.
	Included int64  // Of all but Flat: units of a period that cost nothing.
	Tiers    []Tier // Of Graduated and Volume, lowest first.
}

// Tier is a range of units, from the one before it on.
type Tier struct {
	UpTo      int64  // Inclusive. 0: open, which the last tier is.
	UnitPrice string // Decimal, for each unit; empty: nothing.
	FlatPrice string // Decimal, once where the tier is reached; empty: nothing.
}

const maxTiers = 100

// Validate checks the rate card for itself.
func (r *RateCard) Validate() error {
	if err := checkKey("key", r.Key); err != nil {
		return err
	}
	switch r.Kind {
	case Flat, PerUnit, Package, Graduated, Volume:
	default:
		return invalid("kind", "%q is not a kind: use flat, per_unit, package, graduated or volume", r.Kind)
	}
	if _, ok := MinorUnits(r.Currency); !ok {
		return invalid("currency", "%q is not a currency code like USD (ISO 4217)", r.Currency)
	}
	if err := r.checkUnits(); err != nil {
		return err
	}
	if r.Kind == Graduated || r.Kind == Volume {
		if r.Amount != "" {
			return invalid("amount", "a %s rate card has tiers, and no amount", r.Kind)
		}
		return r.checkTiers()
	}
	if len(r.Tiers) > 0 {
		return invalid("tiers", "a %s rate card has an amount, and no tiers", r.Kind)
	}
	if !isDecimal(r.Amount) {
		return invalid("amount", `%q is not an amount like "49.00"`, r.Amount)
	}
	return nil
}

// checkUnits checks what says which units are priced.
func (r *RateCard) checkUnits() error {
	if r.Kind == Flat {
		switch {
		case r.Feature != "":
			return invalid("feature", "a flat rate card prices no feature")
		case r.Included != 0:
			return invalid("included", "a flat rate card includes no units")
		}
	} else if err := checkKey("feature", r.Feature); err != nil {
		return err
	}
	if r.Included < 0 || r.Included > MaxQuota {
		return invalid("included", "is %d: has to be from 0 to %d", r.Included, int64(MaxQuota))
	}
	switch r.Kind {
	case PerUnit:
		if r.UnitSize < 0 || r.UnitSize > MaxQuota {
			return invalid("unit_size", "is %d: has to be from 0 (as 1) to %d", r.UnitSize, int64(MaxQuota))
		}
	case Package:
		if r.UnitSize < 1 || r.UnitSize > MaxQuota {
			return invalid("unit_size", "is %d: the size of a package has to be from 1 to %d", r.UnitSize, int64(MaxQuota))
		}
	default:
		if r.UnitSize != 0 {
			return invalid("unit_size", "a %s rate card has none", r.Kind)
		}
	}
	return nil
}

func (r *RateCard) checkTiers() error {
	if len(r.Tiers) == 0 {
		return invalid("tiers", "a %s rate card needs at least one tier", r.Kind)
	}
	if len(r.Tiers) > maxTiers {
		return invalid("tiers", "has more than %d items", maxTiers)
	}
	var before int64
	for i, t := range r.Tiers {
		path := "tiers[" + strconv.Itoa(i) + "]"
		last := i == len(r.Tiers)-1
		switch {
		case last && t.UpTo != 0:
			return invalid(path+".up_to", "is %d: the last tier is open", t.UpTo)
		case !last && (t.UpTo <= before || t.UpTo > MaxQuota):
			return invalid(path+".up_to", "is %d: has to be more than %d, the tier before, and at most %d", t.UpTo, before, int64(MaxQuota))
		case t.UnitPrice == "" && t.FlatPrice == "":
			return invalid(path+".unit_price", "is required, or flat_price")
		case t.UnitPrice != "" && !isDecimal(t.UnitPrice):
			return invalid(path+".unit_price", `%q is not an amount like "0.002"`, t.UnitPrice)
		case t.FlatPrice != "" && !isDecimal(t.FlatPrice):
			return invalid(path+".flat_price", `%q is not an amount like "49.00"`, t.FlatPrice)
		}
		before = t.UpTo
	}
	return nil
}

// checkCards checks a version's rate cards against each other and against what the version grants.
func (v *PlanVersion) checkCards(features map[string]*Feature) error {
	for i := range v.RateCards {
		r := &v.RateCards[i]
		path := "rate_cards[" + strconv.Itoa(i) + "]"
		if first := v.RateCards[0].Currency; r.Currency != first {
			return invalid(path+".currency", "is %s, and that of the first rate card %s: all rate cards have one currency", r.Currency, first)
		}
		if r.Feature == "" {
			continue
		}
		// Granted, so that a feature that has a price cannot be archived either.
		if !slices.ContainsFunc(v.Entitlements, func(e Entitlement) bool { return e.Feature == r.Feature }) {
			return invalid(path+".feature", "has a price, and %q is not granted", r.Feature)
		}
		if f := features[r.Feature]; f.Type != Metered {
			return invalid(path+".feature", "the feature %q is %s: only units of a metered feature have a price", r.Feature, f.Type)
		}
	}
	return nil
}

// isDecimal: up to 15 digits, then up to 12 after a point.
func isDecimal(s string) bool {
	whole, part, point := strings.Cut(s, ".")
	if len(whole) < 1 || len(whole) > 15 || !allIn(whole, '0', '9') {
		return false
	}
	return !point || len(part) >= 1 && len(part) <= 12 && allIn(part, '0', '9')
}

// sameAmount compares by value: 49.0 is 49.00. No amount is only itself.
func sameAmount(a, b string) bool {
	if a == b {
		return true
	}
	x, _, err := apd.NewFromString(a)
	if err != nil {
		return false
	}
	y, _, err := apd.NewFromString(b)
	return err == nil && x.Cmp(y) == 0
}
