// Package natsserver runs a NATS server with JetStream inside a Tollgate process, and makes its accounts and
// credentials: one account for the fleet, and in it a user for each node that may do only what a node does.
package natsserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// The files that make an Identity. A `.nk` holds a seed, a `.jwt` what the operator signed.
const (
	operatorFile = "operator"
	systemFile   = "system"
	accountFile  = "account"
)

// Identity is who a NATS deployment is: an operator that signed a system account and the fleet's account.
type Identity struct {
	dir              string
	operator         *jwt.OperatorClaims
	system, account  *jwt.AccountClaims
	systemJWT, fleet string // The accounts' encoded claims.
	accountKey       nkeys.KeyPair
}

// Open reads the identity kept in dir, or makes one where there is none. The server's certificate is for hosts, and this machine by itself; one that
// lacks a host or ends soon is made anew.
func Open(dir string, hosts ...string) (*Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of NATS's identity: %w", err)
	}
	// The account's claims are written last: where they are, all is.
	_, err := os.Stat(filepath.Join(dir, accountFile+".jwt"))
	if errors.Is(err, fs.ErrNotExist) {
		err = create(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("make NATS's identity: %w", err)
	}
	if err := ensureTLS(dir, hosts, time.Now()); err != nil {
		return nil, err
	}
	return Load(dir)
}

// Load reads the identity kept in dir.
func Load(dir string) (*Identity, error) {
	id := &Identity{dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, operatorFile+".jwt"))
	if err != nil {
		return nil, fmt.Errorf("read NATS's operator: %w", err)
	}
	if id.operator, err = jwt.DecodeOperatorClaims(string(raw)); err != nil {
		return nil, fmt.Errorf("read NATS's operator: %w", err)
	}
	if id.systemJWT, id.system, err = readAccount(filepath.Join(dir, systemFile+".jwt")); err != nil {
		return nil, err
	}
	if id.fleet, id.account, err = readAccount(filepath.Join(dir, accountFile+".jwt")); err != nil {
		return nil, err
	}
	seed, err := os.ReadFile(filepath.Join(dir, accountFile+".nk"))
	if err != nil {
		return nil, fmt.Errorf("read the key of NATS's account: %w", err)
	}
	if id.accountKey, err = nkeys.FromSeed(bytes.TrimSpace(seed)); err != nil {
		return nil, fmt.Errorf("read the key of NATS's account: %w", err)
	}
	return id, nil
}

func readAccount(path string) (string, *jwt.AccountClaims, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("read a NATS account: %w", err)
	}
	claims, err := jwt.DecodeAccountClaims(string(raw))
	if err != nil {
		return "", nil, fmt.Errorf("read a NATS account of %s: %w", path, err)
	}
	return string(raw), claims, nil
}

func create(dir string) error {
	operator, operatorID, err := newKey(dir, operatorFile, nkeys.CreateOperator)
	if err != nil {
		return err
	}
	_, systemID, err := newKey(dir, systemFile, nkeys.CreateAccount)
	if err != nil {
		return err
	}
	_, accountID, err := newKey(dir, accountFile, nkeys.CreateAccount)
	if err != nil {
		return err
	}
	oc := jwt.NewOperatorClaims(operatorID)
	oc.Name, oc.SystemAccount = "tollgate", systemID
	sc := jwt.NewAccountClaims(systemID)
	sc.Name = "SYS"
	ac := jwt.NewAccountClaims(accountID)
	ac.Name = "TOLLGATE"
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	for _, c := range []struct {
		file   string
		claims jwt.Claims
	}{{operatorFile, oc}, {systemFile, sc}, {accountFile, ac}} {
		text, err := c.claims.Encode(operator)
		if err != nil {
			return fmt.Errorf("sign the %s: %w", c.file, err)
		}
		if err := store(filepath.Join(dir, c.file+".jwt"), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

func newKey(dir, name string, generate func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string, error) {
	key, err := generate()
	if err != nil {
		return nil, "", fmt.Errorf("make the %s's key: %w", name, err)
	}
	seed, err := key.Seed()
	if err != nil {
		return nil, "", fmt.Errorf("make the %s's key: %w", name, err)
	}
	id, err := key.PublicKey()
	if err != nil {
		return nil, "", fmt.Errorf("make the %s's key: %w", name, err)
	}
	return key, id, store(filepath.Join(dir, name+".nk"), seed)
}

// Credentials sees that dir of the identity holds a credentials file for a user who may do anything in the fleet's
// account, and returns its path.
func (id *Identity) Credentials(user string) (string, error) {
	return id.credentials(user, jwt.Permissions{})
}

// NodeCredentials is Credentials for one node: see nodePermissions.
func (id *Identity) NodeCredentials(node string) (string, error) {
	return id.credentials(node, nodePermissions(node))
}

// credentials makes the file anew where its permissions are not those wanted now.
func (id *Identity) credentials(user string, p jwt.Permissions) (string, error) {
	path := filepath.Join(id.dir, user+".creds")
	if id.holds(path, p) {
		return path, nil
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		return "", fmt.Errorf("make NATS user %s: %w", user, err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return "", fmt.Errorf("make NATS user %s: %w", user, err)
	}
	seed, err := key.Seed()
	if err != nil {
		return "", fmt.Errorf("make NATS user %s: %w", user, err)
	}
	claims := jwt.NewUserClaims(public)
	claims.Name, claims.Permissions = user, p
	text, err := claims.Encode(id.accountKey)
	if err != nil {
		return "", fmt.Errorf("sign NATS user %s: %w", user, err)
	}
	file, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		return "", fmt.Errorf("write NATS user %s: %w", user, err)
	}
	return path, store(path, file)
}

// holds reports whether path is a credentials file of this account with exactly these permissions.
func (id *Identity) holds(path string, p jwt.Permissions) bool {
	raw, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	text, err := jwt.ParseDecoratedJWT(raw)
	if err != nil {
		return false
	}
	claims, err := jwt.DecodeUserClaims(text)
	return err == nil && claims.Issuer == id.account.Subject && describe(claims.Permissions) == describe(p)
}

func describe(p jwt.Permissions) string {
	return strings.Join([]string{
		strings.Join(p.Pub.Allow, " "), strings.Join(p.Pub.Deny, " "), strings.Join(p.Sub.Allow, " "), strings.Join(p.Sub.Deny, " "),
	}, "|")
}

// store writes a secret so that a reader finds all of it or none.
func store(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	return nil
}
