package envelope

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	keyBlock         = "TOLLGATE ED25519 SEED"
	certificateBlock = "TOLLGATE CERTIFICATE"
)

// WriteKey stores a private key as PEM with mode 0600.
func WriteKey(path string, key ed25519.PrivateKey) error {
	return writePEM(path, keyBlock, key.Seed(), 0o600)
}

// ReadKey reads what WriteKey stored.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	seed, err := readPEM(path, keyBlock)
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s: key of %d bytes, want %d", path, len(seed), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// WriteCertificate stores a certificate, as IssueCertificate returned it.
func WriteCertificate(path string, certificate []byte) error {
	return writePEM(path, certificateBlock, certificate, 0o644)
}

// ReadCertificate reads what WriteCertificate stored. It verifies nothing.
func ReadCertificate(path string) ([]byte, error) { return readPEM(path, certificateBlock) }

// EncodeRoot writes a root's public key as a node's configuration holds it.
func EncodeRoot(root ed25519.PublicKey) string { return base64.RawURLEncoding.EncodeToString(root) }

// ParseRoot reads what EncodeRoot wrote.
func ParseRoot(s string) (ed25519.PublicKey, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, errors.New("a trust root is 43 characters of base64url: a root's public key")
	}
	return b, nil
}

// writePEM replaces a file as a whole; it is durable on return, its name too: a root's key that a power cut took would be lost for good.
func writePEM(path, block string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".pem-*")
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	if err := f.Chmod(mode); err != nil {
		return errors.Join(fmt.Errorf("store %s: %w", path, err), f.Close())
	}
	if err := pem.Encode(f, &pem.Block{Type: block, Bytes: b}); err != nil {
		return errors.Join(fmt.Errorf("store %s: %w", path, err), f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	return nil
}

func readPEM(path, block string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", block, err)
	}
	b, rest := pem.Decode(raw)
	if b == nil || b.Type != block || len(rest) > 0 {
		return nil, fmt.Errorf("%s holds no %s", path, block)
	}
	return b.Bytes, nil
}

// TrustFile is a TrustStore in one file, as PEM. What is in it is public.
type TrustFile string

const trustBlock = "TOLLGATE TRUST"

// LoadTrust implements TrustStore.
func (f TrustFile) LoadTrust() ([]byte, error) {
	raw, err := readPEM(string(f), trustBlock)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// StoreTrust implements TrustStore.
func (f TrustFile) StoreTrust(raw []byte) error {
	return writePEM(string(f), trustBlock, raw, 0o600)
}
