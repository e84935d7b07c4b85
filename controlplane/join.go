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
	"tollgate/controlplane/internal/keyring"
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
		u, err := url.Parse(c.AdminURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(c.AdminURL) > 255 {
			return fmt.Errorf("admin_url %q is not an address such as https://tollgate.example:9080", c.AdminURL)
		}
		// It is in every token, nodes log it, and put their calls' paths behind it.
		if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return errors.New("admin_url holds more than an address: give no user, no password and nothing behind ? or #")
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

// nodeIssuer is licensing.NodeIssuer: the fleet's issuer key and NATS's account. The key is read for each node, so that another one needs
// no restart.
type nodeIssuer struct {
	dir      string
	verifier *envelope.Verifier
	account  *natsserver.Account
}

func newNodeIssuer(cfg Config, k *keyring.Ring) (*nodeIssuer, error) {
	n := &nodeIssuer{dir: cfg.DataDir, verifier: k.Verifier()}
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

// issuer reads the key that certifies nodes, and what its certificate allows.
func (n *nodeIssuer) issuer(now time.Time) (*envelope.Issuer, envelope.Certified, error) {
	none := envelope.Certified{}
	key, err := envelope.ReadKey(filepath.Join(n.dir, "issuer.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, none, cannotJoin("this control plane has no key to certify nodes with: `tollgate trust init` makes issuer.key and issuer.cert, which belong in its data_dir %s", n.dir)
	}
	if err != nil {
		return nil, none, fmt.Errorf("data_dir: %w", err)
	}
	certificate, err := envelope.ReadCertificate(filepath.Join(n.dir, "issuer.cert"))
	if err != nil {
		return nil, none, fmt.Errorf("data_dir: %w", err)
	}
	c, err := n.verifier.Certified(certificate, now)
	switch {
	case err != nil:
		return nil, none, cannotJoin("the key that this control plane certifies nodes with does not count: %v: rotate it by `tollgate trust rotate issuer`", err)
	case c.Usage != envelope.UsageIssuer || !c.PublicKey.Equal(key.Public()):
		return nil, none, fmt.Errorf("%s: issuer.cert is not for issuer.key", n.dir)
	}
	return envelope.NewIssuer(key, certificate), c, nil
}

// Issue implements licensing.NodeIssuer.
func (n *nodeIssuer) Issue(node string, publicKey []byte, natsUser string, now time.Time) (licensing.Issued, error) {
	if n.account == nil {
		return licensing.Issued{}, cannotJoin("this control plane cannot make NATS users: set nats_account_seed, or TOLLGATE_NATS_ACCOUNT_SEED_FILE, to the seed of the nodes' NATS account")
	}
	issuer, limits, err := n.issuer(now)
	if err != nil {
		return licensing.Issued{}, err
	}
	c := envelope.Certified{
		Fleet: limits.Fleet, Usage: envelope.UsageNode, Subject: node, PublicKey: publicKey, NotBefore: now.Add(-nodeSkew), NotAfter: now.Add(nodeLifetime),
	}
	if c.NotBefore.Before(limits.NotBefore) {
		c.NotBefore = limits.NotBefore
	}
	if c.NotAfter.After(limits.NotAfter) {
		c.NotAfter = limits.NotAfter
	}
	certificate, err := issuer.Certify(c)
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
	cfg      Config
	verifier *envelope.Verifier
	admin    string // Where the API listens.
}

func (c Config) joining(k *keyring.Ring, admin string) joining {
	return joining{c, k.Verifier(), admin}
}

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
		u = strings.TrimSpace(u)
		if parsed, err := url.Parse(u); err == nil && parsed.User != nil {
			parsed.User = nil // What lets this control plane in is no node's to have.
			u = parsed.String()
		}
		n.URLs = append(n.URLs, u)
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
	c, err := j.verifier.Certified(certificate, time.Now())
	if err != nil {
		return "", nil, err
	}
	if c.Usage != envelope.UsageNode {
		return "", nil, fmt.Errorf("it is for %s", c.Usage)
	}
	return c.Subject, c.PublicKey, nil
}

// trust is the key set in force; nil where there is none yet.
func (j joining) trust() []byte {
	if t := j.verifier.Trust(); t != nil {
		return t.Raw()
	}
	return nil
}
