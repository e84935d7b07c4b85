package licensing

import "time"

// LicenseStatus is what a licence is, as of some moment.
type LicenseStatus string

// The statuses. Active, Suspended, Canceled and Revoked are what people decide, and that a licence is past due; the others
// follow from the dates.
const (
	Scheduled LicenseStatus = "scheduled"
	Trialing  LicenseStatus = "trialing"
	Active    LicenseStatus = "active"
	PastDue   LicenseStatus = "past_due"
	Suspended LicenseStatus = "suspended"
	Expired   LicenseStatus = "expired"
	Canceled  LicenseStatus = "canceled"
	Revoked   LicenseStatus = "revoked"
)

// Statuses are all there are.
func Statuses() []LicenseStatus {
	return []LicenseStatus{Scheduled, Trialing, Active, PastDue, Suspended, Expired, Canceled, Revoked}
}

// License is the enforceable agreement: a customer on a plan version.
type License struct {
	ID          string // lic_ + ULID.
	ExternalID  string // The seller's own id. Unique where set; set when issuing.
	Customer    string // The customer's id.
	Plan        string // The plan's key. When changed: as of the answer.
	PlanVersion uint32 // When issuing, 0 means the newest that is in effect.
	// CounterGeneration is part of each counter's key: counters start anew where it differs. Output only.
	CounterGeneration uint64
	// Phases is empty where there is one only, or holds the current one and those to come, in order of time. In the store,
	// the first is that which was current when the licence was written. Output only.
	Phases []Phase
	// Overrides are in order of their start; those that have ended stay until the next write. Output only.
	Overrides []Override
	// AddOns are in order of their start; those that have ended stay until the next write. Output only.
	AddOns []Attachment
	// Grants are in the order in which they were made; those that have expired stay until the next write. Output only.
	Grants []Grant
	// Status is as of the answer. Output only.
	Status LicenseStatus
	// Decided is what people decided: Active, Suspended, Canceled or Revoked. Output only.
	Decided     LicenseStatus
	StartsAt    time.Time // Zero when issuing: now.
	EndsAt      time.Time // Exclusive; zero: open-ended.
	TrialEndsAt time.Time // Exclusive; zero: no trial.
	CancelsAt   time.Time // Canceled from then on; zero: no. Output only.
	// GraceUntil is set where a payment is missing: until then requests are forwarded all the same. Output only.
	GraceUntil time.Time
	Anchor     time.Time // Of billing periods. Zero when issuing: StartsAt.
	// DueAt is the next instant at which time changes something; zero: never. Set by the service.
	DueAt time.Time
	Meta
}

// StatusAt is the status at now, in the order in which a node looks.
func (l *License) StatusAt(now time.Time) LicenseStatus {
	switch {
	case l.Decided == Revoked || l.Decided == Canceled:
		return l.Decided
	case begun(l.CancelsAt, now):
		return Canceled
	case begun(l.EndsAt, now):
		return Expired
	case now.Before(l.StartsAt):
		return Scheduled
	case l.Decided == Suspended:
		return Suspended
	case !l.GraceUntil.IsZero():
		return PastDue
	case now.Before(l.TrialEndsAt):
		return Trialing
	default:
		return Active
	}
}

// begun reports whether an instant that may be unset has come.
func begun(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// ended reports whether nothing but a renewal brings the licence back.
func (l *License) ended(now time.Time) bool {
	switch l.StatusAt(now) {
	case Revoked, Canceled, Expired:
		return true
	default:
		return false
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
	if err := checkText("external_id", l.ExternalID, maxExternalID); err != nil {
		return err
	}
	for field, t := range map[string]time.Time{"starts_at": l.StartsAt, "ends_at": l.EndsAt, "trial_ends_at": l.TrialEndsAt, "anchor": l.Anchor} {
		if err := checkTime(field, t); err != nil {
			return err
		}
	}
	if !l.EndsAt.IsZero() && !l.StartsAt.IsZero() && !l.EndsAt.After(l.StartsAt) {
		return invalid("ends_at", "is not after starts_at")
	}
	if !l.TrialEndsAt.IsZero() && !l.StartsAt.IsZero() && !l.TrialEndsAt.After(l.StartsAt) {
		return invalid("trial_ends_at", "is not after starts_at")
	}
	if !l.EndsAt.IsZero() && l.TrialEndsAt.After(l.EndsAt) {
		return invalid("trial_ends_at", "is after ends_at")
	}
	return nil
}
