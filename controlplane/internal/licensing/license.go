package licensing

import "time"

// LicenseStatus is what a licence is, as of some moment.
type LicenseStatus string

// The statuses. Active, Suspended, Canceled and Revoked are what people decide; Scheduled and Expired follow from
// the dates.
const (
	Scheduled LicenseStatus = "scheduled"
	Active    LicenseStatus = "active"
	Suspended LicenseStatus = "suspended"
	Expired   LicenseStatus = "expired"
	Canceled  LicenseStatus = "canceled"
	Revoked   LicenseStatus = "revoked"
)

// License is the enforceable agreement: a customer on a plan version.
type License struct {
	ID          string // lic_ + ULID.
	Customer    string // The customer's id.
	Plan        string // The plan's key.
	PlanVersion uint32 // When issuing, 0 means the newest published.
	// Status is as of the answer. Output only.
	Status LicenseStatus
	// Decided is what people decided: Active, Suspended, Canceled or Revoked. Output only.
	Decided  LicenseStatus
	StartsAt time.Time // Zero when issuing: now.
	EndsAt   time.Time // Exclusive; zero: open-ended.
	Anchor   time.Time // Of billing periods. Zero when issuing: StartsAt.
	// CounterGeneration is part of each counter's key. Output only.
	CounterGeneration uint64
	Meta
}

// StatusAt is the status at now, in the order in which a node looks.
func (l *License) StatusAt(now time.Time) LicenseStatus {
	switch {
	case l.Decided == Revoked || l.Decided == Canceled:
		return l.Decided
	case !l.EndsAt.IsZero() && !now.Before(l.EndsAt):
		return Expired
	case now.Before(l.StartsAt):
		return Scheduled
	default:
		return l.Decided
	}
}

// Validate checks what callers set, but not that customer and plan exist.
func (l *License) Validate() error {
	if l.Customer == "" {
		return invalid("customer", "is required: the customer's id")
	}
	if err := checkText("customer", l.Customer, 64); err != nil {
		return err
	}
	if err := checkKey("plan", l.Plan); err != nil {
		return err
	}
	for field, t := range map[string]time.Time{"starts_at": l.StartsAt, "ends_at": l.EndsAt, "anchor": l.Anchor} {
		if err := checkTime(field, t); err != nil {
			return err
		}
	}
	if !l.EndsAt.IsZero() && !l.StartsAt.IsZero() && !l.EndsAt.After(l.StartsAt) {
		return invalid("ends_at", "is not after starts_at")
	}
	return nil
}
