package licensing

import "strconv"

// Catalog is the desired state of what a catalog file can hold. What it doesn't name stays as it is, unless Prune says
// otherwise.
type Catalog struct {
	Meters   []Meter
	Features []Feature
	Plans    []CatalogPlan
	AddOns   []AddOn
	Services []Upstream
	Routes   []Route
	Terms    []Term
	Issuers  []Issuer
	// Prune archives what the catalog does not name.
	Prune bool
	// Affected is how many licences the caller knows to lose a feature; 0: he has not said.
	Affected int64
}

// CatalogPlan is a plan and what its newest published version should grant.
type CatalogPlan struct {
	Key          string
	DisplayName  string
	Entitlements []Entitlement
	RateLimits   []RateLimit
	RateCards    []RateCard
	TrialDays    int
}

// CatalogChange is one difference between a catalog and what is stored.
type CatalogChange struct {
	Action string // "create", "update", "publish", "archive".
	Kind   Kind
	Key    string
	Detail string // What differs, in words.
}

// Migration says which existing licences a published version takes over.
type Migration string

// The migrations.
const (
	// MigrationDefault is NewOnly where a version is published, and Now where a catalog is applied.
	MigrationDefault Migration = ""
	MigrationNewOnly Migration = "new_only"
	MigrationNow     Migration = "now"
	// MigrationNextPeriod moves each licence when its own billing period ends.
	MigrationNextPeriod Migration = "next_period"
	// MigrationFilter moves those that a filter takes in.
	MigrationFilter Migration = "filter"
)

// Validate checks each object by itself, and that no key is there twice. What objects refer to may be stored already,
// so that is checked when the catalog is applied.
func (c *Catalog) Validate() error {
	if err := keyed("meters", c.Meters, func(m *Meter) (string, error) { return m.Key, m.Validate() }); err != nil {
		return err
	}
	if err := keyed("features", c.Features, func(f *Feature) (string, error) { return f.Key, f.Validate() }); err != nil {
		return err
	}
	if err := keyed("plans", c.Plans, func(p *CatalogPlan) (string, error) { return p.Key, p.validate() }); err != nil {
		return err
	}
	if err := keyed("addons", c.AddOns, func(a *AddOn) (string, error) { return a.Key, a.Validate() }); err != nil {
		return err
	}
	if err := keyed("services", c.Services, func(u *Upstream) (string, error) { return u.Key, u.Validate() }); err != nil {
		return err
	}
	if err := keyed("routes", c.Routes, func(r *Route) (string, error) { return r.Key, r.Validate() }); err != nil {
		return err
	}
	if err := keyed("terms", c.Terms, func(t *Term) (string, error) { return t.Key, t.Validate() }); err != nil {
		return err
	}
	return keyed("issuers", c.Issuers, func(i *Issuer) (string, error) { return i.Key, i.Validate() })
}

func (p *CatalogPlan) validate() error {
	if err := checkText("display_name", p.DisplayName, 200); err != nil {
		return err
	}
	v := p.version()
	return v.Validate()
}

func (p *CatalogPlan) version() PlanVersion {
	return PlanVersion{Plan: p.Key, Entitlements: p.Entitlements, RateLimits: p.RateLimits, RateCards: p.RateCards, TrialDays: p.TrialDays}
}

// keyed validates a section's objects. Errors name them by key, as the file's reader knows them.
func keyed[T any](section string, items []T, validate func(*T) (key string, err error)) error {
	seen := map[string]bool{}
	for i := range items {
		key, err := validate(&items[i])
		if checkKey("key", key) != nil {
			return at(section+"["+strconv.Itoa(i)+"]", checkKey("key", key))
		}
		if err != nil {
			return at(section+"["+key+"]", err)
		}
		if seen[key] {
			return invalid(section+"["+key+"]", "is there twice")
		}
		seen[key] = true
	}
	return nil
}
