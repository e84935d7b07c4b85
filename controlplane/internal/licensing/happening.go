package licensing

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// EventKind says what happened to a licence.
type EventKind string

// The kinds. Those in the second group are brought about by time alone.
const (
	EventIssued             EventKind = "issued"
	EventSuspended          EventKind = "suspended"
	EventResumed            EventKind = "resumed"
	EventRevoked            EventKind = "revoked"
	EventCanceled           EventKind = "canceled" // By time, too, where that was scheduled.
	EventCancelScheduled    EventKind = "cancel_scheduled"
	EventRenewed            EventKind = "renewed"
	EventPastDue            EventKind = "past_due"
	EventPlanChanged        EventKind = "plan_changed" // By time, too, where that was scheduled.
	EventPlanChangePlanned  EventKind = "plan_change_scheduled"
	EventOverrideCreated    EventKind = "override_created"
	EventOverrideDeleted    EventKind = "override_deleted"
	EventGrantCreated       EventKind = "grant_created"
	EventAddOnAttached      EventKind = "add_on_attached"
	EventAddOnDetached      EventKind = "add_on_detached"
	EventAddOnDetachPlanned EventKind = "add_on_detach_scheduled"

	EventStarted         EventKind = "started"
	EventTrialEnded      EventKind = "trial_ended"
	EventGraceEnded      EventKind = "grace_ended"
	EventExpired         EventKind = "expired"
	EventOverrideStarted EventKind = "override_started"
	EventOverrideEnded   EventKind = "override_ended"
	EventGrantStarted    EventKind = "grant_started"
	EventGrantExpired    EventKind = "grant_expired"
	EventAddOnStarted    EventKind = "add_on_started"
	EventAddOnEnded      EventKind = "add_on_ended"
)

// LicenseEvent is one change of a licence's state.
type LicenseEvent struct {
	// Number orders all events of a fleet: whoever goes on from the last one seen misses none.
	Number  int64
	License string
	Time    time.Time // When it happened; of what time brings about, the instant that was set.
	Kind    EventKind
	// Status is what the licence is then.
	Status LicenseStatus
	// Detail are more facts, by name: "plan", "version", "override", "add_on", "reason", "by" ("time" where nobody did it).
	Detail map[string]string
}

// happenings are what time brings about in (from, to], in order. A licence that has ended has none.
func (l *License) happenings(from, to time.Time) []LicenseEvent {
	var out []LicenseEvent
	add := func(at time.Time, kind EventKind, detail map[string]string) {
		if at.IsZero() || !at.After(from) || at.After(to) {
			return
		}
		if over := l.StatusAt(at.Add(-time.Microsecond)); over == Revoked || over == Canceled || over == Expired {
			return
		}
		if detail == nil {
			detail = map[string]string{}
		}
		detail["by"] = "time"
		out = append(out, LicenseEvent{License: l.ID, Time: at, Kind: kind, Status: l.StatusAt(at), Detail: detail})
	}
	add(l.StartsAt, EventStarted, nil)
	add(l.TrialEndsAt, EventTrialEnded, nil)
	add(l.GraceUntil, EventGraceEnded, nil)
	for _, p := range l.phases()[1:] {
		add(p.At, EventPlanChanged, map[string]string{"plan": p.Plan, "version": fmt.Sprint(p.Version)})
	}
	for i := range l.Overrides {
		o := &l.Overrides[i]
		add(o.StartsAt, EventOverrideStarted, map[string]string{"override": o.ID})
		add(o.EndsAt, EventOverrideEnded, map[string]string{"override": o.ID})
	}
	for _, a := range l.AddOns {
		add(a.StartsAt, EventAddOnStarted, map[string]string{"add_on": a.AddOn})
		add(a.EndsAt, EventAddOnEnded, map[string]string{"add_on": a.AddOn})
	}
	for i := range l.Grants {
		g := &l.Grants[i]
		add(g.StartsAt, EventGrantStarted, map[string]string{"grant": g.ID})
		add(g.ExpiresAt, EventGrantExpired, map[string]string{"grant": g.ID})
	}
	add(l.CancelsAt, EventCanceled, nil)
	add(l.EndsAt, EventExpired, nil)
	slices.SortStableFunc(out, func(a, b LicenseEvent) int { return a.Time.Compare(b.Time) })
	return out
}

// due is the first instant after now at which time brings something about; zero: never.
func (l *License) due(now time.Time) time.Time {
	if all := l.happenings(now, endOfTime); len(all) > 0 {
		return slices.MinFunc(all, func(a, b LicenseEvent) int { return cmp.Compare(a.Time.UnixMicro(), b.Time.UnixMicro()) }).Time
	}
	return time.Time{}
}

var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
