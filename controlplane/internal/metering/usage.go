package metering

import "time"

// UsageQuery asks for the units of one meter that a licence used. From is rounded down to the minute
// and To up; To may lie in the future.
type UsageQuery struct {
	License, Meter string
	From, To       time.Time
	// Window is a row's width in whole minutes; 0: no rows.
	Window time.Duration
}

// Usage answers a UsageQuery.
type Usage struct {
	Total int64
	// Rows are the windows with usage, in order of time.
	Rows []UsageRow
	// AsOf: everything that live nodes sealed before this instant is counted. Zero where no live
	// node has a segment in yet.
	AsOf time.Time
}

// UsageRow is the units of one window.
type UsageRow struct {
	Start time.Time
	Units int64
}

// MaxRows bounds the rows of one query.
const MaxRows = 10_000
