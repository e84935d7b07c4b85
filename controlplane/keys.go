package controlplane

import (
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"time"

	"tollgate/dataplane/envelope"
)

// keys are what a control plane signs and verifies with.
type keys struct {
	fleet           string
	rules, receipts *envelope.Signer
	verifier        *envelope.Verifier
	root            ed25519.PublicKey
	// issuer certifies nodes that join; nil: there is none here.
	issuer *envelope.Issuer
}

// readKeys reads the online keys of data_dir, and sees that the root has certified them for one fleet.
func readKeys(cfg Config, now time.Time) (keys, error) {
	root, err := envelope.ParseRoot(cfg.TrustRoot)
	if err != nil {
		return keys{}, fmt.Errorf("trust_root: %w", err)
	}
	var k keys
	var fleet string
	if k.rules, k.fleet, err = readSigner(cfg.DataDir, "rules", envelope.UsageRules, root, now); err != nil {
		return keys{}, err
	}
	if k.receipts, fleet, err = readSigner(cfg.DataDir, "receipts", envelope.UsageReceipts, root, now); err != nil {
		return keys{}, err
	}
	if fleet != k.fleet {
		return keys{}, fmt.Errorf("%s: rules.cert is for fleet %q, receipts.cert for %q", cfg.DataDir, k.fleet, fleet)
	}
	if k.issuer, err = readIssuer(cfg.DataDir, k.fleet, root, now); err != nil {
		return keys{}, err
	}
	k.verifier, k.root = envelope.NewVerifier(k.fleet, root), root
	return k, nil
}

func readSigner(dir, name string, usage envelope.Usage, root ed25519.PublicKey, now time.Time) (*envelope.Signer, string, error) {
	const hint = "`tollgate trust init` makes the keys of a fleet"
	key, err := envelope.ReadKey(filepath.Join(dir, name+".key"))
	if err != nil {
		return nil, "", fmt.Errorf("data_dir: %w: %s", err, hint)
	}
	path := filepath.Join(dir, name+".cert")
	certificate, err := envelope.ReadCertificate(path)
	if err != nil {
		return nil, "", fmt.Errorf("data_dir: %w: %s", err, hint)
	}
	c, err := envelope.OpenCertificate(root, certificate)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: not certified by trust_root: %w", path, err)
	case c.Usage != usage:
		return nil, "", fmt.Errorf("%s: certifies a key for %s, want %s", path, c.Usage, usage)
	case !key.Public().(ed25519.PublicKey).Equal(c.PublicKey):
		return nil, "", fmt.Errorf("%s: certifies another key than %s.key", path, name)
	case now.Before(c.NotBefore) || !now.Before(c.NotAfter):
		return nil, "", fmt.Errorf("%s: not valid now, but from %s to %s", path, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	return envelope.NewSigner(key, certificate), c.Fleet, nil
}
