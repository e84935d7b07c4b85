package controlplane

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tollgate/controlplane/internal/connectapi"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/natsserver"
	"tollgate/dataplane/envelope"
)

// nodeLifetime is how long a node that joins is certified; it asks anew before. skew is how far its clock may be behind.
const (
	nodeLifetime = 365 * 24 * time.Hour
	nodeSkew     = time.Hour
)

// validateJoin checks what is for nodes that join alone.
func (c Config) validateJoin() error {
	if c.AdminURL != "" {
		if u, err := url.Parse(c.AdminURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(c.AdminURL) > 255 {
			return fmt.Errorf("admin_url %q is not an address such as https://tollgate.example:9080", c.AdminURL)
		}
	}
	if c.NATSCA != "" {
		if _, err := os.Stat(c.NATSCA); err != nil {
			return fmt.Errorf("nats_ca: %w: name the PEM file of who certifies NATS's servers", err)
		}
	}
	if c.NATSAccountSeed != "" {
		if _, err := natsserver.NewAccount(c.NATSAccountSeed); err != nil {
			return fmt.Errorf("nats_account_seed %w", err)
		}
	}
	return nil
}

// readIssuer reads the key that certifies nodes; nil where there is none.
func readIssuer(dir, fleet string, root ed25519.PublicKey, now time.Time) (*envelope.Issuer, error) {
	if _, err := os.Stat(filepath.Join(dir, "issuer.key")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // A control plane may do without.
	}
	// The signer is of no use: what it is made of is checked.
	_, of, err := readSigner(dir, "issuer", envelope.UsageIssuer, root, now)
	if err != nil {
		return nil, err
	}
	if of != fleet {
		return nil, fmt.Errorf("%s: rules.cert is for fleet %q, issuer.cert for %q", dir, fleet, of)
	}
	key, err := envelope.ReadKey(filepath.Join(dir, "issuer.key"))
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	certificate, err := envelope.ReadCertificate(filepath.Join(dir, "issuer.cert"))
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	return envelope.NewIssuer(key, certificate), nil
}

// nodeIssuer is licensing.NodeIssuer: the fleet's issuer key and NATS's account.
type nodeIssuer struct {
	fleet   string
	issuer  *envelope.Issuer
	account *natsserver.Account
	dir     string
}

func newNodeIssuer(cfg Config, k keys) (*nodeIssuer, error) {
	n := &nodeIssuer{fleet: k.fleet, issuer: k.issuer, dir: cfg.DataDir}
	if cfg.NATSAccountSeed == "" {
		return n, nil
	}
	account, err := natsserver.NewAccount(cfg.NATSAccountSeed)
	if err != nil {
		return nil, fmt.Errorf("nats_account_seed %w", err)
	}
	n.account = account
	return n, nil
}

// Issue implements licensing.NodeIssuer.
func (n *nodeIssuer) Issue(node string, publicKey []byte, natsUser string, now time.Time) (licensing.Issued, error) {
	switch {
	case n.issuer == nil:
		return licensing.Issued{}, cannotJoin("this control plane has no key to certify nodes with: put issuer.key and issuer.cert, which the fleet's root has certified, in its data_dir %s", n.dir)
	case n.account == nil:
		return licensing.Issued{}, cannotJoin("this control plane cannot make NATS users: set nats_account_seed, or TOLLGATE_NATS_ACCOUNT_SEED_FILE, to the seed of the fleet's NATS account")
	}
	limits, err := n.issuer.Limits()
	if err != nil {
		return licensing.Issued{}, fmt.Errorf("read the issuer's certificate: %w", err)
	}
	c := envelope.Certified{
		Fleet: n.fleet, Usage: envelope.UsageNode, Subject: node, PublicKey: publicKey, NotBefore: now.Add(-nodeSkew), NotAfter: now.Add(nodeLifetime),
	}
	if c.NotBefore.Before(limits.NotBefore) {
		c.NotBefore = limits.NotBefore
	}
	if c.NotAfter.After(limits.NotAfter) {
		c.NotAfter = limits.NotAfter
	}
	if !now.Before(c.NotAfter) {
		return licensing.Issued{}, cannotJoin("the certificate of the key that certifies nodes ended at %s: have the root certify it anew", limits.NotAfter.Format(time.RFC3339))
	}
	certificate, err := n.issuer.Certify(c)
	if err != nil {
		return licensing.Issued{}, fmt.Errorf("certify node %s: %w", node, err)
	}
	user, err := n.account.NodeUser(node, natsUser, c.NotAfter)
	if errors.Is(err, natsserver.ErrUser) {
		return licensing.Issued{}, &licensing.Error{Code: licensing.InvalidArgument, Field: "nats_user", Message: "is not the public key of a NATS user"}
	}
	if err != nil {
		return licensing.Issued{}, err
	}
	return licensing.Issued{Certificate: certificate, NATSJWT: user, ExpireTime: c.NotAfter}, nil
}

func cannotJoin(format string, args ...any) error {
	return &licensing.Error{Code: licensing.FailedPrecondition, Message: fmt.Sprintf(format, args...)}
}

// joining is what nodes that join have to be told, and told by.
type joining struct {
	cfg   Config
	keys  keys
	admin string // Where the API listens.
}

func (c Config) joining(k keys, admin string) joining { return joining{c, k, admin} }

// adminURL is where nodes reach the API; empty where only this process knows.
func (j joining) adminURL() string {
	if j.cfg.AdminURL != "" {
		return strings.TrimSuffix(j.cfg.AdminURL, "/")
	}
	host, _, err := net.SplitHostPort(j.admin)
	if ip := net.ParseIP(host); err != nil || ip != nil && ip.IsUnspecified() {
		return ""
	}
	return "http://" + j.admin
}

// nats is what nodes are told of NATS.
func (j joining) nats() (connectapi.NATS, error) {
	urls := j.cfg.NodeNATSURL
	if urls == "" {
		urls = j.cfg.NATSURL
	}
	var n connectapi.NATS
	for u := range strings.SplitSeq(urls, ",") {
		n.URLs = append(n.URLs, strings.TrimSpace(u))
	}
	if j.cfg.NATSCA == "" {
		return n, nil
	}
	pem, err := os.ReadFile(j.cfg.NATSCA)
	if err != nil {
		return n, fmt.Errorf("nats_ca: %w", err)
	}
	n.CA = string(pem)
	return n, nil
}

// certified reads and verifies a node's certificate.
func (j joining) certified(certificate []byte) (string, ed25519.PublicKey, error) {
	c, err := envelope.OpenCertificate(j.keys.root, certificate)
	if err != nil {
		return "", nil, err
	}
	now := time.Now()
	switch {
	case c.Usage != envelope.UsageNode:
		return "", nil, fmt.Errorf("it is for %s", c.Usage)
	case c.Fleet != j.keys.fleet:
		return "", nil, fmt.Errorf("it is for fleet %q", c.Fleet)
	case now.Before(c.NotBefore) || !now.Before(c.NotAfter):
		return "", nil, fmt.Errorf("it is valid from %s to %s", c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	return c.Subject, c.PublicKey, nil
}
