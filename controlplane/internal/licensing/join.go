package licensing

import (
	"bytes"
	"regexp"
	"time"
)

// JoinToken lets nodes become part of the fleet. Its secret is shown once, when it is made.
type JoinToken struct {
	ID string // jtk_ + ULID.
	// Hash is the HMAC-SHA-256 of the secret under the fleet's pepper.
	Hash [32]byte `json:"-"`
	Node string   // The only node that may join by it; empty: any name that is free.
	// Replace: the node may take its name from one that holds it.
	Replace    bool
	Uses, Used int32 // How many nodes may join by it, and how many did.
	ExpireTime time.Time
	CreatedBy  string // A token's id.
	CreateTime time.Time
	RevokeTime time.Time // Zero: not revoked.
	Etag       string    // Set by the store.
}

// Bounds of a join token.
const (
	defaultJoinTTL = time.Hour
	maxJoinTTL     = 30 * 24 * time.Hour
	maxJoinUses    = 10_000
)

// Validate checks what callers set, at now.
func (t *JoinToken) Validate(now time.Time) error {
	ttl := t.ExpireTime.Sub(now)
	switch {
	case t.Node != "" && !nodeName.MatchString(t.Node):
		return invalid("node", nodeNameRule)
	case t.Uses < 1 || t.Uses > maxJoinUses:
		return invalid("uses", "is %d: has to be from 1 to %d", t.Uses, maxJoinUses)
	case ttl < time.Second || ttl > maxJoinTTL:
		return invalid("ttl", "is %s: has to be from 1s to %s", ttl, maxJoinTTL)
	case t.Replace && t.Node == "":
		return invalid("replace", "needs node: name the one node whose name is taken over")
	}
	return nil
}

// open says why nobody may join by it any more.
func (t *JoinToken) open(now time.Time) error {
	switch {
	case !t.RevokeTime.IsZero():
		return &Error{Code: Unauthenticated, Message: "the join token is revoked: make another one", Field: "token"}
	case begun(t.ExpireTime, now):
		return &Error{Code: Unauthenticated, Field: "token", Message: "the join token expired at " + t.ExpireTime.Format(time.RFC3339) + ": make another one"}
	case t.Used >= t.Uses:
		return &Error{Code: FailedPrecondition, Field: "token", Message: "the join token is used up: make another one"}
	}
	return nil
}

// A node's name is one token of a NATS subject, and a part of paths: no dots, no wildcards.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

const nodeNameRule = "is not a node's name: 1 to 64 of A-Z a-z 0-9 _ -"

// natsUser is the form of a NATS user's public key. Whoever issues checks it to the last character.
var natsUser = regexp.MustCompile(`^U[A-Z2-7]{55}$`)

// Joining is a node that asks to be taken in. That it holds PublicKey's private key was shown.
type Joining struct {
	TokenID, Secret string
	Node            string // Empty: the one that the token names.
	PublicKey       []byte // Ed25519.
	NATSUser        string
}

// NodeIdentity is who holds a node's name, and what it was given for that.
type NodeIdentity struct {
	Node        string
	PublicKey   []byte
	NATSUser    string
	Token       string // The join token's id.
	Certificate []byte `json:"-"`
	NATSJWT     string `json:"-"`
	JoinTime    time.Time
	RenewTime   time.Time // Zero: never.
	ExpireTime  time.Time // Of certificate and JWT.
}

// sameKeys reports whether a node asks with the keys that it has.
func (n *NodeIdentity) sameKeys(publicKey []byte, natsUser string) bool {
	return bytes.Equal(n.PublicKey, publicKey) && n.NATSUser == natsUser
}

// NodeIssuer makes what a node is let in by.
type NodeIssuer interface {
	// Issue certifies a node's key, and its NATS user, from now on. It is FailedPrecondition where this control plane lacks a key
	// for it, and InvalidArgument of nats_user where that is none. It has no effect of its own.
	Issue(node string, publicKey []byte, natsUser string, now time.Time) (Issued, error)
}

// Issued is what a NodeIssuer made. Both end at ExpireTime.
type Issued struct {
	Certificate []byte
	NATSJWT     string
	ExpireTime  time.Time
}
