package metering

import (
	"time"

	"tollgate/dataplane/decision"
)

// Decision is one request's outcome, its reason, and what it was based on.
type Decision struct {
	ID          string
	Time        time.Time
	Node        string
	Boot        string
	Sequence    uint64
	Epoch       decision.Epoch
	Outcome     decision.Outcome
	Code        decision.Code
	Customer    string
	License     string
	Plan        string
	PlanVersion uint32
	Credential  string
	Route       string
	Method      string
	Path        string
	ClientIP    string
	// Policy is the limit that stopped the request.
	Policy string
	// Cost is the units charged.
	Cost           int64
	Status         int
	UpstreamStatus int
	Duration       time.Duration
	Overhead       time.Duration
	BytesIn        int64
	BytesOut       int64
	TraceID        string
	// Settled is false while a forwarded request has not ended.
	Settled bool
}

// Cursor is a place in the decisions, newest first.
type Cursor struct {
	Time time.Time
	ID   string
}

// CursorOf is the place right after a decision.
func CursorOf(d *Decision) Cursor { return Cursor{Time: d.Time, ID: d.ID} }

// Filter says which decisions are searched. Empty fields match any.
type Filter struct {
	License, Customer, Credential, Route, Node string
	Code                                       decision.Code
	Outcome                                    decision.Outcome
	// From is inclusive, To exclusive; zero: no bound.
	From, To time.Time
}
