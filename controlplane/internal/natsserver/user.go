package natsserver

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Account signs users of the nodes' account.
type Account struct{ key nkeys.KeyPair }

// ErrUser is wrapped where a user's public key is none.
var ErrUser = errors.New("not the public key of a NATS user")

// NewAccount reads the account's seed (SA…).
func NewAccount(seed string) (*Account, error) {
	key, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return nil, errors.New("is no seed of a NATS account: it begins with SA") // The error may quote the secret.
	}
	if public, err := key.PublicKey(); err != nil || !nkeys.IsValidPublicAccountKey(public) {
		return nil, errors.New("is the seed of another thing than a NATS account: it begins with SA")
	}
	return &Account{key: key}, nil
}

// NodeUser is the JWT by which NATS admits a node's user until a time, to do what a node does: see nodePermissions.
func (a *Account) NodeUser(node, public string, until time.Time) (string, error) {
	if !nkeys.IsValidPublicUserKey(public) {
		return "", ErrUser
	}
	claims := jwt.NewUserClaims(public)
	claims.Name, claims.Permissions, claims.Expires = node, nodePermissions(node), until.Unix()
	text, err := claims.Encode(a.key)
	if err != nil {
		return "", fmt.Errorf("sign NATS user %s: %w", node, err)
	}
	return text, nil
}
