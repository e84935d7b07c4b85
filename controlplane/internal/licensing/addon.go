package licensing

import (
	"slices"
	"strconv"
	"time"
)

// AddOn is what licences can have beside their plan. It only gives. It is changed in place: a change reaches every licence that has it at
// once, and what held before stays known.
type AddOn struct {
	Key         string
	DisplayName string
	// Version counts changes of what follows. Output only.
	Version      uint32
	Entitlements []Entitlement
	RateCards    []RateCard
	EffectiveAt  time.Time // Since when Version holds. Output only.
	Meta
}

// Validate checks what callers set, but not that the features exist and have the right type.
func (a *AddOn) Validate() error {
	if err := checkKey("key", a.Key); err != nil {
		return err
	}
	if err := checkText("display_name", a.DisplayName, 200); err != nil {
		return err
	}
	for i := range a.Entitlements {
		if a.Entitlements[i].Off {
			return a.refuseOff(i)
		}
	}
	v := a.terms()
	return v.Validate()
}

// refuseOff: what is off is not given.
func (a *AddOn) refuseOff(i int) error {
	return invalid("entitlements["+strconv.Itoa(i)+"].enabled", "an add-on only gives: has to be true, or leave the feature %q out", a.Entitlements[i].Feature)
}

// terms are what the add-on grants and costs, in the form in which plans do.
func (a *AddOn) terms() PlanVersion {
	return PlanVersion{Plan: a.Key, Entitlements: a.Entitlements, RateCards: a.RateCards}
}

// diff is what makes a of o, in the catalog file's words.
func (a *AddOn) diff(o *AddOn) []VersionChange {
	v, was := a.terms(), o.terms()
	return v.diff(&was)
}

// Attachment is an add-on that a licence has while it lasts.
type Attachment struct {
	AddOn    string    // The add-on's key.
	StartsAt time.Time // Zero when attached: now.
	EndsAt   time.Time // Exclusive; zero: for good.
}

// maxAttachments bounds what a licence's record carries.
const maxAttachments = 32

// Validate checks what callers set, but not that the add-on exists.
func (a *Attachment) Validate() error {
	if err := checkKey("add_on", a.AddOn); err != nil {
		return err
	}
	if err := checkTime("starts_at", a.StartsAt); err != nil {
		return err
	}
	if err := checkTime("ends_at", a.EndsAt); err != nil {
		return err
	}
	if !a.EndsAt.IsZero() && !a.EndsAt.After(a.StartsAt) {
		return invalid("ends_at", "is not after starts_at")
	}
	return nil
}

// HoldsAt reports whether the licence has the add-on at now.
func (a *Attachment) HoldsAt(now time.Time) bool {
	return !now.Before(a.StartsAt) && !begun(a.EndsAt, now)
}

func (a *Attachment) overlaps(b *Attachment) bool {
	return (b.EndsAt.IsZero() || a.StartsAt.Before(b.EndsAt)) && (a.EndsAt.IsZero() || b.StartsAt.Before(a.EndsAt))
}

func (a *Attachment) detail() map[string]string {
	d := map[string]string{"add_on": a.AddOn, "starts_at": a.StartsAt.Format(time.RFC3339)}
	if !a.EndsAt.IsZero() {
		d["ends_at"] = a.EndsAt.Format(time.RFC3339)
	}
	return d
}

// attach puts an add-on among the others, in order of their start. Of two that start at once the one that came later is the later one.
func (l *License) attach(a Attachment) {
	l.AddOns = append(slices.Clone(l.AddOns), a)
	slices.SortStableFunc(l.AddOns, func(a, b Attachment) int { return a.StartsAt.Compare(b.StartsAt) })
}

// detach takes an add-on away from an instant on: what it begins later is void. False for changed where it ends by then anyway.
func (l *License) detach(addOn string, from, now time.Time) (had, changed bool) {
	var kept []Attachment
	for _, a := range l.AddOns {
		if a.AddOn == addOn {
			had = true
			if !a.StartsAt.Before(from) {
				changed = true
				continue
			}
			if a.EndsAt.IsZero() || a.EndsAt.After(from) {
				a.EndsAt, changed = from, true
			}
			if begun(a.EndsAt, now) {
				continue
			}
		}
		kept = append(kept, a)
	}
	l.AddOns = kept
	return had, changed
}
