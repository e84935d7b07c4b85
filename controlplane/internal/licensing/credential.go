package licensing

import "time"

// APIKey identifies a client as a licence. The key itself is shown once, when it is made.
type APIKey struct {
	ID          string // key_ + ULID.
	License     string // The licence's id.
	DisplayName string
	Prefix      string // The key's first characters, to tell keys apart.
	// Hash is the HMAC-SHA-256 of the whole key under the fleet's pepper; of an imported one, apikey.HashImported.
	Hash       [32]byte  `json:"-"`
	Imported   bool      // Made elsewhere. Output only.
	ExpiresAt  time.Time // Zero: never.
	RevokeTime time.Time // Zero: not revoked.
	CreateTime time.Time
	Etag       string // Set by the store.
}

// goesOn says why a key cannot be changed or replaced: it has ended for good.
func (k *APIKey) goesOn(now time.Time) error {
	switch {
	case !k.RevokeTime.IsZero():
		return refused("the API key was revoked at %s, for good: create another one", k.RevokeTime.Format(time.RFC3339))
	case begun(k.ExpiresAt, now):
		return refused("the API key expired at %s: create another one", k.ExpiresAt.Format(time.RFC3339))
	default:
		return nil
	}
}

// Role is what a token's bearer may do.
type Role string

// The roles.
const (
	Viewer  Role = "viewer"
	Support Role = "support"
	// BillingRole reads and writes what concerns money.
	BillingRole Role = "billing"
	Editor      Role = "editor"
	Owner       Role = "owner"
)

// Validate checks that it is a role.
func (r Role) Validate() error {
	switch r {
	case Viewer, Support, BillingRole, Editor, Owner:
		return nil
	case "":
		return invalid("role", "is required: viewer, support, billing, editor or owner")
	default:
		return invalid("role", "%q is not a role: use viewer, support, billing, editor or owner", r)
	}
}

// Token lets its bearer call the admin API with a role. The secret is shown once, when it is made.
type Token struct {
	ID          string // tok_ + ULID.
	DisplayName string
	Role        Role
	// Hash is the HMAC-SHA-256 of the whole token under the fleet's pepper.
	Hash       [32]byte `json:"-"`
	CreateTime time.Time
	RevokeTime time.Time // Zero: not revoked.
	Etag       string    // Set by the store.
}

// Validate checks what callers set, but not that the licence exists.
func (k *APIKey) Validate() error {
	if k.License == "" {
		return invalid("license", "is required: the licence's id")
	}
	if err := checkText("license", k.License, maxKey); err != nil {
		return err
	}
	if err := checkText("display_name", k.DisplayName, 200); err != nil {
		return err
	}
	return checkTime("expires_at", k.ExpiresAt)
}

// Validate checks what callers set.
func (t *Token) Validate() error {
	if err := checkText("display_name", t.DisplayName, 200); err != nil {
		return err
	}
	return t.Role.Validate()
}
