package licensing

import (
	"strings"
	"time"
)

// UsageEvent is usage that was measured elsewhere. Its fields are attributes of CloudEvents 1.0.
type UsageEvent struct {
	// Source and ID name the event.
	Source, ID  string
	SpecVersion string // Empty, or "1.0".
	Type        string // The meter's key.
	Subject     string // The licence's id.
	Time        time.Time
	// Units of a meter that sums, as they came: a whole number. Empty where there are none.
	Units string
}

// How far an event's time may lie from now.
const (
	eventsLate  = 35 * 24 * time.Hour
	eventsAhead = 5 * time.Minute
)

// maxEventUnits bounds one event and one correction, so that sums stay far from what an int64 holds.
const maxEventUnits = 1_000_000_000_000

// MaxEvents is how many events a call takes.
const MaxEvents = 1000

// EventKey names an event.
type EventKey struct{ Source, ID string }

// CountedEvent is an event, and what it counted.
type CountedEvent struct {
	EventKey
	License, Meter string
	Generation     uint64
	Time           time.Time
	Units          int64
}

// same reports whether an event is one that was counted before. Under which generation is not the event's to say.
func (c *CountedEvent) same(o *CountedEvent) bool {
	return c.License == o.License && c.Meter == o.Meter && c.Units == o.Units && c.Time.Equal(o.Time)
}

// IngestOutcome is what became of an event.
type IngestOutcome string

// The outcomes.
const (
	Accepted  IngestOutcome = "accepted"  // Counted by this call.
	Duplicate IngestOutcome = "duplicate" // Counted before.
	Rejected  IngestOutcome = "rejected"
)

// IngestedEvent is what became of one event. Code, Message and Field are those of an Error, where it was rejected.
type IngestedEvent struct {
	EventKey
	Outcome        IngestOutcome
	Code           Code
	Message, Field string
}

// UsageCorrection is by how many units what was counted in one minute was moved.
type UsageCorrection struct {
	ID             string // cor_ + ULID.
	License, Meter string
	Generation     uint64
	Minute         time.Time
	Units          int64
	Reason         string
	Actor          string // The token's id.
	CreateTime     time.Time
}

// Units are units of a meter in one minute, by which what is counted there moves.
type Units struct {
	License, Meter string
	Generation     uint64
	Minute         time.Time
	Units          int64
}

// CounterStart is when a licence's counters started anew.
type CounterStart struct {
	License  string
	StartsAt time.Time
	Before   uint64 // The generation that ended then.
}

// Validate checks what callers set, but not that licence and meter exist.
func (c *UsageCorrection) Validate() error {
	if err := checkText("license", c.License, maxKey); err != nil {
		return err
	}
	if err := checkKey("meter", c.Meter); err != nil {
		return err
	}
	switch {
	case c.Units == 0:
		return invalid("units", "is required: by how many, below zero to take units back")
	case c.Units > maxEventUnits || c.Units < -maxEventUnits:
		return invalid("units", "is more than %d at once", int64(maxEventUnits))
	case c.Minute.IsZero():
		return invalid("time", "is required: the minute to which the units belong")
	}
	if err := checkTime("time", c.Minute); err != nil {
		return err
	}
	if strings.TrimSpace(c.Reason) == "" {
		return invalid("reason", "is required: who reads it later has to know why")
	}
	return checkText("reason", c.Reason, 500)
}

// validate checks what can be said of an event without looking anything up.
func (e *UsageEvent) validate() error {
	for _, name := range []struct {
		field, text string
		longest     int
	}{{"id", e.ID, 256}, {"source", e.Source, 512}, {"subject", e.Subject, maxKey}} {
		if name.text == "" {
			return invalid(name.field, "is required")
		}
		if err := checkText(name.field, name.text, name.longest); err != nil {
			return err
		}
	}
	if e.SpecVersion != "" && e.SpecVersion != "1.0" {
		return invalid("specversion", "is %q: events are those of CloudEvents 1.0", e.SpecVersion)
	}
	if err := checkKey("type", e.Type); err != nil {
		return err
	}
	if e.Time.IsZero() {
		return invalid("time", "is required: when it happened")
	}
	return checkTime("time", e.Time)
}

// adds refuses meters whose units don't add up: of these a minute's number is not enough to know the period's.
func (m *Meter) adds(field string) error {
	if !m.Aggregation.Adds() {
		e := refused("the meter %q takes the %s of values, which cannot be counted by events yet: only meters of counts and sums are", m.Key, m.Aggregation)
		e.Field = field
		return e
	}
	return nil
}

// unitsFor is how many units an event is.
func (e *UsageEvent) unitsFor(m *Meter) (int64, error) {
	if err := m.adds("type"); err != nil {
		return 0, err
	}
	if m.Aggregation == Count {
		if e.Units != "" {
			return 0, invalid("data.units", "the meter %q counts events, and each is one", m.Key)
		}
		return 1, nil
	}
	if e.Units == "" {
		return 0, invalid("data.units", "is required: the meter %q sums units", m.Key)
	}
	var n int64
	for _, c := range []byte(e.Units) {
		if c < '0' || c > '9' || n > maxEventUnits {
			n = 0
			break
		}
		n = n*10 + int64(c-'0')
	}
	if n < 1 || n > maxEventUnits {
		return 0, invalid("data.units", "is %.40q: has to be a whole number from 1 to %d", e.Units, int64(maxEventUnits))
	}
	return n, nil
}

// generationAt is the generation under which a licence counted at t. starts are its own, in order of time: what is over is no longer in its
// phases.
func (l *License) generationAt(t time.Time, starts []CounterStart) uint64 {
	for _, s := range starts {
		if t.Before(s.StartsAt) {
			return s.Before
		}
	}
	return l.PhaseAt(t).CounterGeneration
}

// counts refuses a time at which a licence had not begun.
func (l *License) counts(t time.Time) error {
	if t.Before(l.StartsAt) {
		return invalid("time", "is before the licence starts, at %s", l.StartsAt.Format(time.RFC3339))
	}
	return nil
}
