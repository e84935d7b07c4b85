package licensing

import (
	"context"
	"time"

	"tollgate/controlplane/internal/audit"
	"tollgate/dataplane/decision"
)

// Store keeps the domain's objects. Its methods block on the database and end with their context. What is not there
// is Missing, a key or id that is taken is Taken; other errors are not for callers.
type Store interface {
	Reader
	// Update runs f in one transaction, which is committed where f returns nil and leaves nothing behind
	// otherwise. f is run again where the database asks for it, so it must not have effects of its own.
	Update(ctx context.Context, f func(Tx) error) error
}

// Reader reads the newest committed state; inside Update, the transaction's own. Lists are ordered by key or id
// and hold at most l.PageSize items from after l.After on.
type Reader interface {
	Fleet(ctx context.Context) (Fleet, error) // FailedPrecondition before Bootstrap.
	Head(ctx context.Context) (Head, error)

	Customer(ctx context.Context, id string) (Customer, error)
	Customers(ctx context.Context, l List) ([]Customer, error)
	// CustomersNamed are those that bear one of the ids or external ids, archived ones too.
	CustomersNamed(ctx context.Context, ids, externalIDs []string) ([]Customer, error)
	Meter(ctx context.Context, key string) (Meter, error)
	Meters(ctx context.Context, l List) ([]Meter, error)
	// MetersNamed are those of keys that are there, archived ones too.
	MetersNamed(ctx context.Context, keys []string) ([]Meter, error)
	Feature(ctx context.Context, key string) (Feature, error)
	Features(ctx context.Context, l List) ([]Feature, error)
	// FeaturesNamed are those of keys that are there, archived ones too.
	FeaturesNamed(ctx context.Context, keys []string) ([]Feature, error)
	Plan(ctx context.Context, key string) (Plan, error)
	Plans(ctx context.Context, l List) ([]Plan, error)
	PlanVersion(ctx context.Context, plan string, version uint32) (PlanVersion, error)
	PlanVersions(ctx context.Context, plan string, l List) ([]PlanVersion, error)
	// PublishedBefore is the newest published version of a plan before a version; 0 where there is none.
	PublishedBefore(ctx context.Context, plan string, version uint32) (uint32, error)
	// HeavyLicenses are those of them that used more units of a meter than h.Above since h.Since. It looks at h.Looked
	// licences and returns h.Limit at most.
	HeavyLicenses(ctx context.Context, plan string, version uint32, now time.Time, h Heavy) ([]HeavyLicense, error)
	// LicensesAbove are the ids of those that used more units of a meter than above since their own start.
	LicensesAbove(ctx context.Context, meter string, above int64, of []LicenseSince) ([]string, error)
	AddOn(ctx context.Context, key string) (AddOn, error)
	AddOns(ctx context.Context, l List) ([]AddOn, error)
	// AddOnsNamed are those of keys that are there, archived ones too.
	AddOnsNamed(ctx context.Context, keys []string) ([]AddOn, error)
	Upstream(ctx context.Context, key string) (Upstream, error)
	Upstreams(ctx context.Context, l List) ([]Upstream, error)
	Route(ctx context.Context, key string) (Route, error)
	Routes(ctx context.Context, l List) ([]Route, error)
	// LiveRoutes are all that are not archived.
	LiveRoutes(ctx context.Context) ([]Route, error)
	Term(ctx context.Context, key string) (Term, error)
	Terms(ctx context.Context, l List) ([]Term, error)
	Issuer(ctx context.Context, key string) (Issuer, error)
	Issuers(ctx context.Context, l List) ([]Issuer, error)
	License(ctx context.Context, id string) (License, error)
	// LicensesNamed are those that bear one of the ids or external ids.
	LicensesNamed(ctx context.Context, ids, externalIDs []string) ([]License, error)
	// Licenses computes "status" as of now.
	Licenses(ctx context.Context, l List, now time.Time) ([]License, error)
	// Used is what is counted of a meter in whole minutes from one instant to another, and up to when that is complete.
	Used(ctx context.Context, license, meter string, generation uint64, from, to time.Time) (units int64, asOf time.Time, err error)
	// Drawn is how many units of grants are lent or used.
	Drawn(ctx context.Context, grants []string) (map[string]int64, error)
	// DrawnIn is how many of them were so in one period of a hard quota.
	DrawnIn(ctx context.Context, grants []string, p Pool) (map[string]int64, error)
	// Rolled is how many units of the period before a pool has, as of its last loan.
	Rolled(ctx context.Context, p Pool) (int64, error)
	// Carried is what a hard quota of q.Limit leaves of a pool's period for the next one, up to q.Rollover. What nodes still hold of it may come yet.
	Carried(ctx context.Context, p Pool, q Quota) (int64, error)
	// Loans are what boots hold of a licence's hard quotas, after a place.
	Loans(ctx context.Context, license string, after LoanPlace, limit int) ([]Loan, error)
	// LicenseEvents are those after a number, oldest first; license may be empty.
	LicenseEvents(ctx context.Context, license string, after int64, limit int) ([]LicenseEvent, error)
	Migration(ctx context.Context, plan string, version uint32) (PlanMigration, error)
	// OpenMigration is the oldest that is not done; NotFound where there is none.
	OpenMigration(ctx context.Context) (PlanMigration, error)
	// CountMoving counts the licences that LockMoving would return.
	CountMoving(ctx context.Context, m PlanMigration, now time.Time) (int64, error)
	// CountingLicenses are those of ids that are there, and when their counters started anew, in order of time.
	CountingLicenses(ctx context.Context, ids []string) ([]License, []CounterStart, error)
	// UsageEvents are those of keys that are there.
	UsageEvents(ctx context.Context, keys []EventKey) ([]CountedEvent, error)
	UsageCorrections(ctx context.Context, l List) ([]UsageCorrection, error)
	// CountLive counts the licences that have not ended.
	CountLive(ctx context.Context, now time.Time) (int64, error)
	APIKey(ctx context.Context, id string) (APIKey, error)
	APIKeys(ctx context.Context, l List) ([]APIKey, error)
	// ImportedAPIKeys are the imported ones that have one of the hashes.
	ImportedAPIKeys(ctx context.Context, hashes [][]byte) ([]APIKey, error)
	Token(ctx context.Context, id string) (Token, error)
	TokenByHash(ctx context.Context, hash [32]byte) (Token, error)
	Tokens(ctx context.Context, l List) ([]Token, error)
	JoinToken(ctx context.Context, id string) (JoinToken, error)
	JoinTokens(ctx context.Context, l List) ([]JoinToken, error)
	// NodeIdentity is who holds a node's name.
	NodeIdentity(ctx context.Context, node string) (NodeIdentity, error)
	// NodeReported says whether a node of that name ever reported itself.
	NodeReported(ctx context.Context, node string) (bool, error)
	// NodeKeysShared says whether a node of another name has one of these keys.
	NodeKeysShared(ctx context.Context, node string, publicKey []byte, natsUser string) (bool, error)
	// NodeBlock is that of the key that holds a node's name, and KeysBlock that of either key under any name; NotFound where there is none.
	NodeBlock(ctx context.Context, node string) (NodeBlock, error)
	KeysBlock(ctx context.Context, publicKey []byte, natsUser string) (NodeBlock, error)
	// SignedKeySet is the one that was inserted last; nil where none was.
	SignedKeySet(ctx context.Context) ([]byte, error)
}

// Tx is a transaction. Updates replace what may change of the object with that key or id, and raise its etag.
type Tx interface {
	Reader
	// LockHead makes this the only transaction that changes rules until it ends. It comes before anything else that is
	// read, so that what is read is what the former writer left.
	LockHead(ctx context.Context) (Head, error)
	// AppendEnvelope stores the change set that leads from the head to e, and makes e the head.
	AppendEnvelope(ctx context.Context, e Envelope) error
	// ReplaceDigests notes the digests of records by their keys, and forgets the keys that have none. It returns the sum of those that it
	// replaces.
	ReplaceDigests(ctx context.Context, digests map[string]*decision.Digest) (decision.Digest, error)
	// Digests calls yield for all that are noted.
	Digests(ctx context.Context, yield func(key string, d decision.Digest) error) error
	SetStateHash(ctx context.Context, sum decision.Digest) error
	// RuleState calls yield for every object of the rules.
	RuleState(ctx context.Context, yield func(Change) error) error
	// OpenGeneration makes at the head, which bears no change set yet; its generation is above the head's.
	OpenGeneration(ctx context.Context, at Epoch) error
	// Node is a node of the fleet, and DrainNode says when it was drained.
	Node(ctx context.Context, name string) (Node, error)
	DrainNode(ctx context.Context, n Node) (Node, error)
	// CreateFleet makes the fleet and its head (generation 1, number 0). False where there is one already.
	CreateFleet(ctx context.Context, f Fleet) (bool, error)
	UpdateFleet(ctx context.Context, f Fleet) error

	InsertCustomer(ctx context.Context, c Customer) (Customer, error)
	UpdateCustomer(ctx context.Context, c Customer) (Customer, error)
	InsertCustomers(ctx context.Context, c []Customer) ([]Customer, error)
	// UpdateCustomers leaves external ids as they are, and archives none.
	UpdateCustomers(ctx context.Context, c []Customer) ([]Customer, error)
	InsertMeter(ctx context.Context, m Meter) (Meter, error)
	UpdateMeter(ctx context.Context, m Meter) (Meter, error)
	InsertFeature(ctx context.Context, f Feature) (Feature, error)
	UpdateFeature(ctx context.Context, f Feature) (Feature, error)
	InsertPlan(ctx context.Context, p Plan) (Plan, error)
	UpdatePlan(ctx context.Context, p Plan) (Plan, error)
	InsertPlanVersion(ctx context.Context, v PlanVersion) (PlanVersion, error)
	UpdatePlanVersion(ctx context.Context, v PlanVersion) (PlanVersion, error)
	InsertAddOn(ctx context.Context, a AddOn) (AddOn, error)
	// UpdateAddOn keeps what the versions before a.Version said.
	UpdateAddOn(ctx context.Context, a AddOn) (AddOn, error)
	// NewestVersion is the highest number of a plan's versions, drafts included; 0 where there is none.
	NewestVersion(ctx context.Context, plan string) (uint32, error)
	// RenumberDraft gives the plan's open draft another number. Nothing refers to a draft.
	RenumberDraft(ctx context.Context, plan string, to uint32) error
	// ArchivePlanVersions archives all versions of a plan, and returns the numbers of those that were published.
	ArchivePlanVersions(ctx context.Context, plan string) ([]uint32, error)
	// RestorePlanVersions publishes again what ArchivePlanVersions archived and was published, and returns it, oldest first.
	RestorePlanVersions(ctx context.Context, plan string) ([]PlanVersion, error)
	InsertUpstream(ctx context.Context, u Upstream) (Upstream, error)
	UpdateUpstream(ctx context.Context, u Upstream) (Upstream, error)
	InsertRoute(ctx context.Context, r Route) (Route, error)
	UpdateRoute(ctx context.Context, r Route) (Route, error)
	InsertTerm(ctx context.Context, t Term) (Term, error)
	UpdateTerm(ctx context.Context, t Term) (Term, error)
	// InsertIssuer and UpdateIssuer answer Taken, too, where another issuer in use has the same URL.
	InsertIssuer(ctx context.Context, i Issuer) (Issuer, error)
	UpdateIssuer(ctx context.Context, i Issuer) (Issuer, error)
	// Offer reads at once what a licence needs that is to be issued; version 0 is the newest published one that is in effect. False where something
	// is not there.
	Offer(ctx context.Context, customer, plan string, version uint32, now time.Time) (Offer, bool, error)
	InsertLicenses(ctx context.Context, l []License) ([]License, error)
	// LockLicense reads a licence that is about to be changed.
	LockLicense(ctx context.Context, id string) (License, error)
	UpdateLicenses(ctx context.Context, l []License) ([]License, error)
	// LockMoving reads licences that m may move: those on its plan, now or later, that its filter takes in and that have not ended at now, in
	// order of id, after m.Progress.
	LockMoving(ctx context.Context, m PlanMigration, now time.Time, limit int) ([]ZonedLicense, error)
	InsertMigration(ctx context.Context, m PlanMigration, now time.Time) error
	UpdateMigration(ctx context.Context, m PlanMigration, now time.Time) error
	// LockDue reads licences whose DueAt has come, and skips those that others work on.
	LockDue(ctx context.Context, now time.Time, limit int) ([]License, error)
	// SetDue keeps of licences what time has made of them: Plan, PlanVersion, CounterGeneration and DueAt.
	SetDue(ctx context.Context, l []License) error
	// AppendLicenseEvents numbers events. Other transactions that append wait until this one ends.
	AppendLicenseEvents(ctx context.Context, e []LicenseEvent, now time.Time) error
	InsertAPIKeys(ctx context.Context, k []APIKey) ([]APIKey, error)
	UpdateAPIKey(ctx context.Context, k APIKey) (APIKey, error)
	InsertToken(ctx context.Context, t Token) (Token, error)
	RevokeToken(ctx context.Context, id string, at time.Time) (Token, error)
	InsertJoinToken(ctx context.Context, t JoinToken) (JoinToken, error)
	RevokeJoinToken(ctx context.Context, id string, at time.Time) (JoinToken, error)
	// UseJoinToken takes one of a token's uses. FailedPrecondition where none is left, or the token has ended.
	UseJoinToken(ctx context.Context, id string, now time.Time) (JoinToken, error)
	// SaveNodeIdentity replaces whoever held the name.
	SaveNodeIdentity(ctx context.Context, n NodeIdentity) error
	// InsertNodeBlock and DeleteNodeBlock wait until the segments that are being committed are, and hold for all that come after.
	InsertNodeBlock(ctx context.Context, b NodeBlock) error
	DeleteNodeBlock(ctx context.Context, b NodeBlock) error
	InsertKeySet(ctx context.Context, k KeySet) error

	// InsertUsageEvents stores events, which come in order of source and id, and returns which are new. Another transaction that stores one of
	// them is waited for.
	InsertUsageEvents(ctx context.Context, e []CountedEvent, now time.Time) ([]EventKey, error)
	InsertUsageCorrection(ctx context.Context, c UsageCorrection) error
	// CountUnits moves what is counted, and pools of hard quotas that the minutes fall into, under the counters' locks: whoever lends sees all
	// of it or nothing. It returns what is counted in each of the minutes then. FailedPrecondition where that is more than fits.
	CountUnits(ctx context.Context, moved []Units) ([]Units, error)

	// LockCall makes this the only transaction with that call until it ends.
	LockCall(ctx context.Context, k CallKey) error
	// Answer is what a call got that began after a time. False where there is none.
	Answer(ctx context.Context, k CallKey, after time.Time) (Answer, bool, error)
	// InsertAnswer replaces one that Answer no longer finds.
	InsertAnswer(ctx context.Context, a Answer) error
	// ExpireAnswers drops the oldest answers from before a time, at most limit.
	ExpireAnswers(ctx context.Context, before time.Time, limit int) error
	// LockAudit makes this the only transaction that appends to the audit until it ends. It comes after LockHead.
	LockAudit(ctx context.Context) (audit.Head, error)
	// AppendAudit stores the event that follows on the head, and makes it the head.
	AppendAudit(ctx context.Context, e audit.Event) error

	// References names what refers to an object and is in use at now: not archived and, of licences, not
	// ended. Plan versions count while they are a draft, the newest published one, or on a licence that has not ended. At
	// most limit are named.
	References(ctx context.Context, kind Kind, id string, now time.Time, limit int) ([]Reference, error)
}

// Reference is something that refers to an object.
type Reference struct {
	Kind Kind
	ID   string // Of a plan version: plan@version.
}

// Encoder writes change sets in the form that is signed and sent. It must be deterministic.
type Encoder interface {
	// Record is one change.
	Record(c Change) ([]byte, error)
	// Envelope is a change set of such records.
	Envelope(s ChangeSet) ([]byte, error)
}

// ChangeSet is what leads from a head to the next number.
type ChangeSet struct {
	Fleet   string
	Head    Head
	Time    time.Time
	Records [][]byte // Encoded.
	// StateHash is that of the state that it leads to; nil: it is not known.
	StateHash *decision.Digest
	// Confirmed is how many licences at most it is meant to take something from; 0: nobody had to confirm.
	Confirmed int64
}

// Head is the newest rule state.
type Head struct {
	Epoch Epoch
	Hash  []byte // SHA-256 of the last envelope's payload; empty at number 0.
	// StateHash is the sum of the digests of all records; nil: not known, until Resync.
	StateHash *decision.Digest
}

// Envelope is a stored change set.
type Envelope struct {
	Epoch      Epoch
	Payload    []byte
	Hash       []byte // SHA-256 of Payload.
	CreateTime time.Time
	StateHash  *decision.Digest // As Head has it.
}

// Change sets or removes one object of the rules. It is one of *Fleet, *Upstream, *Route, *Meter, *Feature,
// *PlanVersion, *AddOn, *Customer, *License, *APIKey, *Term and *Removal.
type Change interface{ change() (Kind, string) }

// Removal takes an object out of the rules.
type Removal struct {
	Kind Kind
	ID   string // The object's key or id; of a plan version, plan@version.
}

func (*Fleet) change() (Kind, string)         { return kindFleet, "" }
func (u *Upstream) change() (Kind, string)    { return KindService, u.Key }
func (r *Route) change() (Kind, string)       { return KindRoute, r.Key }
func (m *Meter) change() (Kind, string)       { return KindMeter, m.Key }
func (f *Feature) change() (Kind, string)     { return KindFeature, f.Key }
func (v *PlanVersion) change() (Kind, string) { return KindPlanVersion, VersionID(v.Plan, v.Version) }
func (a *AddOn) change() (Kind, string)       { return KindAddOn, a.Key }
func (c *Customer) change() (Kind, string)    { return KindCustomer, c.ID }
func (l *License) change() (Kind, string)     { return KindLicense, l.ID }
func (k *APIKey) change() (Kind, string)      { return KindAPIKey, k.ID }
func (t *Term) change() (Kind, string)        { return KindTerm, t.Key }
func (r *Removal) change() (Kind, string)     { return r.Kind, r.ID }
