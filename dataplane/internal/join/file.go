package join

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"tollgate/dataplane/envelope"
)

// The files in a node's data dir.
const (
	KeyFile         = "node.key"
	CertificateFile = "node.cert"
	seedFile        = "nats.nk"
	credsFile       = "nats.creds"
	caFile          = "nats-ca.pem"
	joinedFile      = "joined.json"
)

// Joined is what a node was told when it joined. Zero for one that did not.
type Joined struct {
	// Server is the base URL of the control plane's API.
	Server string `json:"server"`
	// NATS are the servers' URLs.
	NATS []string `json:"nats"`

	// Creds and CA are paths; CA is empty where the system's are to be trusted.
	Creds string `json:"-"`
	CA    string `json:"-"`
}

// Read reads what is kept of joining in dir.
func Read(dir string) (Joined, error) {
	raw, err := os.ReadFile(filepath.Join(dir, joinedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Joined{}, nil
	}
	if err != nil {
		return Joined{}, fmt.Errorf("read what was told at joining: %w", err)
	}
	var j Joined
	if err := json.Unmarshal(raw, &j); err != nil {
		return Joined{}, fmt.Errorf("%s: %w", filepath.Join(dir, joinedFile), err)
	}
	j.Creds = filepath.Join(dir, credsFile)
	if _, err := os.Stat(filepath.Join(dir, caFile)); err == nil {
		j.CA = filepath.Join(dir, caFile)
	}
	return j, nil
}

// nodeKey reads the node's signing key, or makes one.
func nodeKey(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, KeyFile)
	key, err := envelope.ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	return key, envelope.WriteKey(path, key)
}

// natsUser reads the key of the node's NATS user, or makes one.
func natsUser(dir string) (seed []byte, public string, err error) {
	path := filepath.Join(dir, seedFile)
	seed, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		made, err := nkeys.CreateUser()
		if err != nil {
			return nil, "", fmt.Errorf("make %s: %w", path, err)
		}
		if seed, err = made.Seed(); err != nil {
			return nil, "", fmt.Errorf("make %s: %w", path, err)
		}
		if err := replace(path, seed); err != nil {
			return nil, "", err
		}
	} else if err != nil {
		return nil, "", fmt.Errorf("read the key of the node's NATS user: %w", err)
	}
	key, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, "", fmt.Errorf("%s holds no NATS seed: remove it, and join by a new token", path) // The error may quote the secret.
	}
	if public, err = key.PublicKey(); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	return seed, public, nil
}

// storeCreds writes the form that NATS's clients read.
func storeCreds(dir, jwt string, seed []byte) error {
	var b strings.Builder
	fmt.Fprintf(&b, "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n", jwt)
	fmt.Fprintf(&b, "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", seed)
	return replace(filepath.Join(dir, credsFile), []byte(b.String()))
}

// replace writes a file so that a reader finds the old one or the new one, whole.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".join-*") // Mode 0600.
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

// syncDir puts on the disk which files there are.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
