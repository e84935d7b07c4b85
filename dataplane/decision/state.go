package decision

import (
	"cmp"
	"strconv"
	"time"
)

// Epoch names one rule state. Epochs are ordered by generation, then number.
type Epoch struct{ Generation, Number uint64 }

// Compare is negative where e is older than o, 0 where they are the same.
func (e Epoch) Compare(o Epoch) int {
	return cmp.Or(cmp.Compare(e.Generation, o.Generation), cmp.Compare(e.Number, o.Number))
}

// Settings hold for the whole fleet.
type Settings struct {
	Env          string // Label in API keys.
	Pepper       []byte // Key of the HMAC of API keys.
	ErrorBaseURL string
	// Ages of the last fresh heartbeat at which a node turns stale, grace, block.
	StaleAfter, GraceAfter, BlockAfter time.Duration
	// OfflineStart lets a node serve by the rules on its disk after an unclean end, before it has heard that they are current.
	OfflineStart bool
	// LoanHorizon is the outage of the lender that hard quotas should ride out.
	LoanHorizon time.Duration
}

// Service is an upstream.
type Service struct {
	Key             string
	Endpoints       []string
	ResponseTimeout time.Duration // 0: the proxy's default.
}

// Route is a match with what it requires and costs.
type Route struct {
	Key     string
	Service string
	Host    string // Lower case, without port; empty matches any.
	// Path is the pattern: {x} is one segment, a final /* any rest or none.
	Path            string
	Methods         []string // Empty matches any.
	Requires        []string // Keys of features that the plan must grant.
	Meter           string   // Empty: free of charge.
	Cost            int64    // Units of Meter.
	StripCredential bool
	BillOpenIntents bool
}

// Meter says what is counted. How its units add up is the control plane's business.
type Meter struct{ Key string }

// FeatureType is the kind of a feature.
type FeatureType uint8

// The feature types.
const (
	Boolean FeatureType = iota + 1
	Metered
	Static // Carries a value.
)

// Feature is a capability that plans grant.
type Feature struct {
	Key   string
	Type  FeatureType
	Meter string // Of a metered feature.
}

// PlanVersion is what a plan grants.
type PlanVersion struct {
	Plan         string
	Version      uint32
	Entitlements []Entitlement
	RateLimits   []RateLimit
}

// AddOn is what licences may have beside their plan. It only grants.
type AddOn struct {
	Key          string
	Entitlements []Entitlement
}

// Entitlement is what a plan version or an add-on grants for one feature.
type Entitlement struct {
	Feature string
	Enabled bool   // Of a boolean feature.
	Value   string // Of a static feature: JSON; empty: not granted.
	Quota   *Quota // Of a metered feature; nil: unlimited, and counted.
}

// Quota is units per period.
type Quota struct {
	Limit  int64
	Period Period
	Hard   bool
	// Rollover is how many units of a period may be carried to the next. What was carried is the lender's to know.
	Rollover int64
}

// RateLimit admits at most Burst + Limit/Per·t requests in any window t.
type RateLimit struct {
	Key   string
	Limit int64
	Per   time.Duration
	Burst int64
}

// Customer is who pays.
type Customer struct {
	ID, ExternalID string
	Zone           *time.Location // In which calendar periods are counted; nil: UTC.
}

// Status is what people decided about a licence. What time brings about follows from its dates.
type Status uint8

// The statuses.
const (
	Active Status = iota + 1
	Suspended
	Canceled
	Revoked
)

// License is a customer on a plan version.
type License struct {
	ID, Customer string
	Phase        // What it is on until the first of Next begins; its At means nothing.
	// Next are phases to come when the record was made, in order of time. Time alone turns them on.
	Next      []Phase
	Overrides []Override
	AddOns    []Attachment // In order of their start.
	Grants    []Grant
	Status    Status
	StartsAt  time.Time
	EndsAt    time.Time // Exclusive; zero: open-ended.
	CancelsAt time.Time // Canceled from then on; zero: never.
	// PastDue: a payment is missing. Until GraceUntil requests are forwarded all the same.
	PastDue    bool
	GraceUntil time.Time
	Anchor     time.Time // Of billing periods.
}

// Phase is a plan version that a licence is on from At on.
type Phase struct {
	At          time.Time
	Plan        string
	PlanVersion uint32
	// CounterGeneration is part of each counter's key: counters start anew where it differs.
	CounterGeneration uint64
}

// PhaseAt is the phase at now.
func (l *License) PhaseAt(now time.Time) *Phase {
	for i := len(l.Next) - 1; i >= 0; i-- {
		if !now.Before(l.Next[i].At) {
			return &l.Next[i]
		}
	}
	return &l.Phase
}

// Grant is extra units of one metered feature while it lasts, beside those of its hard quota.
type Grant struct {
	ID, Feature string
	Units       int64
	From, To    time.Time // To exclusive; zero: never ends.
}

// HoldsAt reports whether units of the grant can be spent at now.
func (g *Grant) HoldsAt(now time.Time) bool {
	return !now.Before(g.From) && (g.To.IsZero() || now.Before(g.To))
}

// Attachment is an add-on of a licence while it lasts.
type Attachment struct {
	AddOn    string
	From, To time.Time // To exclusive; zero: for good.
}

// HoldsAt reports whether the licence has the add-on at now.
func (a *Attachment) HoldsAt(now time.Time) bool {
	return !now.Before(a.From) && (a.To.IsZero() || now.Before(a.To))
}

// Override replaces one entitlement or one rate limit of a licence's plan while it lasts. Either Feature or RateLimit is set.
type Override struct {
	ID       string
	From, To time.Time // To exclusive; zero: for good.
	// Feature is granted with Quota (metered; nil: unlimited), or, where it is Withheld, denied.
	Feature  string
	Withheld bool
	Quota    *Quota
	// RateLimit replaces the plan's limit of that key; where the plan has none, it does nothing.
	RateLimit *RateLimit
}

// HoldsAt reports whether the override is in force at now.
func (o *Override) HoldsAt(now time.Time) bool {
	return !now.Before(o.From) && (o.To.IsZero() || now.Before(o.To))
}

// Credential is an API key's keyed hash.
type Credential struct {
	ID, License string
	Hash        [32]byte  // HMAC-SHA-256 of the whole key, or of an imported key's SHA-256, under Settings.Pepper.
	Imported    bool      // Made elsewhere: found by its hash.
	ExpiresAt   time.Time // Zero: never.
	Revoked     bool
}

type planKey struct {
	plan    string
	version uint32
}

func (k planKey) String() string { return k.plan + "@" + strconv.FormatUint(uint64(k.version), 10) }

// plan is a PlanVersion made ready for deciding.
type plan struct {
	*PlanVersion
	*Granted
}

// State is one immutable rule state. The zero value decides nothing but route_unknown. What there are few of lies in maps, which are
// copied where one of it changes; what there are millions of lies in tables.
type State struct {
	epoch    Epoch
	settings Settings
	services map[string]*Service
	routes   map[string]*Route
	meters   map[string]*Meter
	features map[string]*Feature
	versions map[planKey]*PlanVersion
	addOns   map[string]*AddOn
	terms    map[string]*Term

	customers   table
	licenses    table
	credentials table
	// imported are the ids of the imported ones of credentials, by the credential's hash.
	imported table
	// zones are the customers'. None is ever taken away: there are a few hundred in the world.
	zones []*time.Location

	// digests are those of records that lie in maps.
	digests map[named]Digest
	sum     Digest

	table  router
	plans  map[planKey]*plan
	extra  map[string]*Granted // By add-on.
	termed termTable
}

// Epoch is the epoch that the state equals.
func (s *State) Epoch() Epoch { return s.epoch }

// Sum is the sum of the digests of all records, as little-endian integers modulo 2^128: states of the same records have the same one,
// however they came to be.
func (s *State) Sum() Digest { return s.sum }

// Settings are the fleet's.
func (s *State) Settings() *Settings { return &s.settings }

// Service finds a service by key; nil where there is none.
func (s *State) Service(key string) *Service { return s.services[key] }

// Services calls f for each service, in no order.
func (s *State) Services(f func(*Service)) {
	for _, v := range s.services {
		f(v)
	}
}

// Route finds a route by key; nil where there is none.
func (s *State) Route(key string) *Route { return s.routes[key] }

// License finds a licence by id; nil where there is none. It is made anew by each call, as credentials and customers are; its slices are the
// state's.
func (s *State) License(id string) *License {
	var l License
	customer, ok := s.license(&l, identOf(id))
	if !ok {
		return nil
	}
	l.Customer = customer.String()
	return &l
}

// license fills l, but for Customer, which it returns. It allocates nothing; texts are the state's.
func (s *State) license(l *License, id ident) (customer ident, ok bool) {
	for h := s.licenses.find(id.hash()); ; {
		record, ok := h.next()
		if !ok {
			return ident{}, false
		}
		if licenseID(record) == id {
			return readLicense(l, record, h.rare()), true
		}
	}
}

// Credential finds a credential by id; nil where there is none.
func (s *State) Credential(id string) *Credential {
	var c Credential
	license, ok := s.credential(&c, identOf(id))
	if !ok {
		return nil
	}
	c.ID, c.License = id, license.String()
	return &c
}

// credential fills c, but for ID and License, which it returns.
func (s *State) credential(c *Credential, id ident) (license ident, ok bool) {
	for h := s.credentials.find(id.hash()); ; {
		record, ok := h.next()
		if !ok {
			return ident{}, false
		}
		if credentialID(record) == id {
			_, license = readCredential(c, record)
			return license, true
		}
	}
}

// HoldsImported reports whether any credential is an imported one. Where none is, no secret needs to be hashed to look for it.
func (s *State) HoldsImported() bool { return s.imported.count > 0 }

// Imported finds an imported credential by its hash; nil where there is none. Of two it is the one with the greater id, however they came to be
// there.
func (s *State) Imported(hash [32]byte) *Credential {
	var found *Credential
	for h := s.imported.find(hashOf(hash[:])); ; {
		record, ok := h.next()
		if !ok {
			return found
		}
		r := reader(record)
		id := r.ident()
		var c Credential
		license, ok := s.credential(&c, id)
		if !ok || c.Hash != hash {
			continue
		}
		if c.ID = id.String(); found == nil || c.ID > found.ID {
			c.License = license.String()
			found = &c
		}
	}
}

// Customer finds a customer by id; nil where there is none.
func (s *State) Customer(id string) *Customer {
	var c Customer
	if !s.customer(&c, identOf(id)) {
		return nil
	}
	return &c
}

// customer fills c.
func (s *State) customer(c *Customer, id ident) bool {
	for h := s.customers.find(id.hash()); ; {
		record, ok := h.next()
		if !ok {
			return false
		}
		if customerID(record) == id {
			readCustomer(c, record, s.zones)
			return true
		}
	}
}

// PlanVersion finds a plan version; nil where there is none.
func (s *State) PlanVersion(plan string, version uint32) *PlanVersion {
	return s.versions[planKey{plan, version}]
}

// AddOn finds an add-on; nil where there is none.
func (s *State) AddOn(key string) *AddOn { return s.addOns[key] }

// Counts says how many licences and credentials the state holds.
func (s *State) Counts() (licenses, credentials int) { return s.licenses.count, s.credentials.count }
