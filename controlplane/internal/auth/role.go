// Package auth says what a caller may do: roles, and the permissions each role holds. It knows nothing of
// tokens, transports or storage.
package auth

import "slices"

// Permission is what a caller must hold to do one kind of thing, as `<what>.<read|write>`.
type Permission string

// The permissions. Authenticated is held by whoever presents a valid credential.
const (
	Authenticated Permission = "authenticated"
	CatalogRead   Permission = "catalog.read"
	CatalogWrite  Permission = "catalog.write"
	CustomerRead  Permission = "customer.read"
	CustomerWrite Permission = "customer.write"
	LicenseRead   Permission = "license.read"
	LicenseWrite  Permission = "license.write"
	// LicenseAdjust is to give one licence what ends soon. How much that is for which role, licensing says.
	LicenseAdjust   Permission = "license.adjust"
	CredentialRead  Permission = "credential.read"
	CredentialWrite Permission = "credential.write"
	TrafficRead     Permission = "traffic.read"
	TrafficWrite    Permission = "traffic.write"
	UsageRead       Permission = "usage.read"
	DecisionRead    Permission = "decision.read"
	FleetRead       Permission = "fleet.read"
	FleetWrite      Permission = "fleet.write"
	AccessRead      Permission = "access.read"
	AccessWrite     Permission = "access.write"
	AuditRead       Permission = "audit.read"
	UsageWrite      Permission = "usage.write"
)

// Role is a named set of permissions that a token bears.
type Role string

// The roles, from least to most.
const (
	// Viewer reads everything but tokens and the audit.
	Viewer Role = "viewer"
	// Support reads what Viewer reads, and gives grants and overrides that end soon.
	Support Role = "support"
	// Billing reads what Viewer reads, and brings in and corrects usage. Invoices are its own to run.
	Billing Role = "billing"
	// Editor writes the catalog, customers, licences, credentials, traffic and usage.
	Editor Role = "editor"
	// Owner does everything.
	Owner Role = "owner"
)

// reads are what every role holds: all reading but of tokens.
var reads = []Permission{
	Authenticated, CatalogRead, CustomerRead, LicenseRead, CredentialRead, TrafficRead, UsageRead, DecisionRead, FleetRead,
}

// writes are what an editor adds.
var writes = []Permission{CatalogWrite, CustomerWrite, LicenseWrite, LicenseAdjust, CredentialWrite, TrafficWrite, UsageWrite}

var held = map[Role][]Permission{
	Viewer:  reads,
	Support: slices.Concat(reads, []Permission{LicenseAdjust}),
	Billing: slices.Concat(reads, []Permission{UsageWrite}),
	Editor:  slices.Concat(reads, writes),
	Owner:   slices.Concat(reads, writes, []Permission{FleetWrite, AccessRead, AccessWrite, AuditRead}),
}

// Roles lists the roles, from least to most.
func Roles() []Role { return []Role{Viewer, Support, Billing, Editor, Owner} }

// Permissions lists all permissions: what an owner holds.
func Permissions() []Permission { return slices.Clone(held[Owner]) }

// Holds reports whether the role holds the permission. An unknown role holds none.
func (r Role) Holds(p Permission) bool { return slices.Contains(held[r], p) }
