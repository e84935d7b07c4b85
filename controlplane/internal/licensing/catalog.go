package licensing

// Catalog is the desired state of what a catalog file can hold. What it doesn't name stays as it is.
type Catalog struct {
	Meters   []Meter
	Features []Feature
	Plans    []CatalogPlan
	Services []Upstream
	Routes   []Route
}

// CatalogPlan is a plan and what its newest published version should grant.
type CatalogPlan struct {
	Key          string
	DisplayName  string
	Entitlements []Entitlement
	RateLimits   []RateLimit
	RateCards    []RateCard
}

// CatalogChange is one difference between a catalog and what is stored.
type CatalogChange struct {
	Action string // "create", "update", "publish".
	Kind   Kind
	Key    string
	Detail string // What differs, in words.
}

// Migration says which existing licences a published version takes over.
type Migration string

// The migrations.
const (
	// MigrationDefault is NewOnly where a version is published, and Now where a catalog is applied.
	MigrationDefault    Migration = ""
	MigrationNewOnly    Migration = "new_only"
	MigrationNow        Migration = "now"
	MigrationNextPeriod Migration = "next_period" // Refused for now.
	MigrationFilter     Migration = "filter"      // Refused for now.
)
