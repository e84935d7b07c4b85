package licensing

import (
	"strings"
	"time"

	"tollgate/dataplane/decision"
)

// Epoch names one rule state.
type Epoch = decision.Epoch

// Meta is what every changeable object bears. All of it is set by the store.
type Meta struct {
	// Etag changes with each write. Given to an update, it refuses to overwrite a newer state.
	Etag                   string
	CreateTime, UpdateTime time.Time
	ArchiveTime            time.Time // Zero: not archived.
}

// Archived reports whether the object was archived.
func (m *Meta) Archived() bool { return !m.ArchiveTime.IsZero() }

// Kind is a kind of object, as the API names it.
type Kind string

// The kinds.
const (
	KindCustomer    Kind = "customer"
	KindMeter       Kind = "meter"
	KindFeature     Kind = "feature"
	KindPlan        Kind = "plan"
	KindPlanVersion Kind = "plan_version"
	KindAddOn       Kind = "add_on"
	KindService     Kind = "service"
	KindRoute       Kind = "route"
	KindTerm        Kind = "term"
	KindIssuer      Kind = "issuer"
	KindLicense     Kind = "license"
	KindAPIKey      Kind = "api_key"
	KindToken       Kind = "token"
	KindJoinToken   Kind = "join_token"
	KindKeySet      Kind = "key_set"
	KindNode        Kind = "node"
	// In the audit alone.
	kindFleet           Kind = "fleet"
	kindNode            Kind = "node"
	kindUsageEvents     Kind = "usage_events"
	kindUsageCorrection Kind = "usage_correction"
)

func (k Kind) words() string {
	switch k {
	case KindLicense:
		return "licence"
	case KindAPIKey:
		return "API key"
	case KindAddOn:
		return "add-on"
	default:
		return strings.ReplaceAll(string(k), "_", " ")
	}
}

// List says which part of a list to read.
type List struct {
	// PageSize 0 is 50; more than 1,000 is 1,000.
	PageSize int
	// After is a Page's Next; empty for the first page.
	After string
	// Filter holds field values that objects must equal. Which fields a list takes is said at its method;
	// another one is refused. Archived objects are listed only with "archived" = "true".
	Filter map[string]string
}

// Page is a part of a list, ordered by key or id.
type Page[T any] struct {
	Items []T
	// Next is the After of the next page; empty on the last.
	Next string
}
