// Package natsserver runs a NATS server with JetStream inside a Tollgate process, and makes its accounts and
// credentials: one account for the control plane, which holds the streams, and one for the nodes, in which each has a user that may do only
// what a node does. See account.go.
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
	accountFile  = "account" // The control plane's.
	nodesFile    = "nodes"
)

// Identity is who a NATS deployment is: an operator, and the accounts that it signed.
type Identity struct {
	dir                    string
	operator               *jwt.OperatorClaims
	system, control, nodes account
}

// account is one account.
type account struct {
	claims *jwt.AccountClaims
	// text is what the operator signed.
	text string
	// key signs its users.
	key nkeys.KeyPair
}

// Open reads the identity kept in dir, or makes one where there is none. The server's certificate is for hosts, and this machine by itself; one that
// lacks a host or ends soon is made anew.
func Open(dir string, hosts ...string) (*Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of NATS's identity: %w", err)
	}
	if err := sign(dir); err != nil {
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
	for name, a := range map[string]*account{systemFile: &id.system, accountFile: &id.control, nodesFile: &id.nodes} {
		if *a, err = readAccount(dir, name); err != nil {
			return nil, err
		}
	}
	return id, nil
}

func readAccount(dir, name string) (account, error) {
	path := filepath.Join(dir, name+".jwt")
	raw, err := os.ReadFile(path)
	if err != nil {
		return account{}, fmt.Errorf("read a NATS account: %w", err)
	}
	a := account{text: string(raw)}
	if a.claims, err = jwt.DecodeAccountClaims(a.text); err != nil {
		return account{}, fmt.Errorf("read a NATS account of %s: %w", path, err)
	}
	a.key, err = readKey(dir, name)
	return a, err
}

func readKey(dir, name string) (nkeys.KeyPair, error) {
	path := filepath.Join(dir, name+".nk")
	seed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a NATS key: %w", err)
	}
	key, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return nil, fmt.Errorf("read a NATS key of %s: %w", path, err)
	}
	return key, nil
}

// sign makes the keys that are not there, and has the operator sign what the accounts may do: anew at each start, as it is for this release to say.
func sign(dir string) error {
	keys := map[string]nkeys.KeyPair{}
	ids := map[string]string{}
	for name, generate := range map[string]func() (nkeys.KeyPair, error){
		operatorFile: nkeys.CreateOperator, systemFile: nkeys.CreateAccount, accountFile: nkeys.CreateAccount, nodesFile: nkeys.CreateAccount,
	} {
		key, err := ensureKey(dir, name, generate)
		if err != nil {
			return err
		}
		if ids[name], err = key.PublicKey(); err != nil {
			return fmt.Errorf("read the %s's key: %w", name, err)
		}
		keys[name] = key
	}
	operator := jwt.NewOperatorClaims(ids[operatorFile])
	operator.Name, operator.SystemAccount = "tollgate", ids[systemFile]
	system := jwt.NewAccountClaims(ids[systemFile])
	system.Name = "SYS"
	for name, claims := range map[string]jwt.Claims{
		operatorFile: operator, systemFile: system, accountFile: controlAccount(ids[accountFile]), nodesFile: nodesAccount(ids[nodesFile], ids[accountFile]),
	} {
		text, err := claims.Encode(keys[operatorFile])
		if err != nil {
			return fmt.Errorf("sign the %s: %w", name, err)
		}
		if err := store(filepath.Join(dir, name+".jwt"), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

func ensureKey(dir, name string, generate func() (nkeys.KeyPair, error)) (nkeys.KeyPair, error) {
	key, err := readKey(dir, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = generate(); err != nil {
		return nil, fmt.Errorf("make the %s's key: %w", name, err)
	}
	seed, err := key.Seed()
	if err != nil {
		return nil, fmt.Errorf("make the %s's key: %w", name, err)
	}
	return key, store(filepath.Join(dir, name+".nk"), seed)
}

// Credentials sees that dir of the identity holds a credentials file for a user who may do anything in the control plane's
// account, and returns its path.
func (id *Identity) Credentials(user string) (string, error) {
	return id.credentials(id.control, user, jwt.Permissions{})
}

// NodeCredentials is Credentials for one node in the nodes' account: see nodePermissions.
func (id *Identity) NodeCredentials(node string) (string, error) {
	return id.credentials(id.nodes, node, nodePermissions(node))
}

// credentials makes the file anew where its permissions are not those wanted now.
func (id *Identity) credentials(a account, user string, p jwt.Permissions) (string, error) {
	path := filepath.Join(id.dir, user+".creds")
	if a.holds(path, p) {
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
	text, err := claims.Encode(a.key)
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
func (a account) holds(path string, p jwt.Permissions) bool {
	raw, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	text, err := jwt.ParseDecoratedJWT(raw)
	if err != nil {
		return false
	}
	claims, err := jwt.DecodeUserClaims(text)
	return err == nil && claims.Issuer == a.claims.Subject && describe(claims.Permissions) == describe(p)
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
