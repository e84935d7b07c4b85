package dataplane

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/join"
)

// Config is a node's configuration. The comments name the keys of flags, environment and file.
type Config struct {
	// NodeName (node_name) is the subject of the node's certificate. Empty: whatever that is.
	NodeName string
	// DataDir (data_dir) holds node.key, node.cert, what joining left, the spool and the rules.
	DataDir string
	// StateKey (state_key) is base64 of 32 bytes, under which the rules on disk are sealed. Empty: they are not.
	StateKey string
	// ProxyAddr (proxy_addr) is where clients' requests are taken. Empty: at the shared listeners only.
	ProxyAddr string
	// OpsAddr (ops_addr) serves /healthz, /readyz and /metrics.
	OpsAddr string
	// NATSURL (nats_url) lists NATS servers, comma-separated. Empty: those that the node was told when it joined, else one on this machine.
	NATSURL string
	// NATSCreds (nats_creds) is a NATS credentials file. Empty: what the node got when it joined, else none.
	NATSCreds string
	// NATSCA (nats_ca) is the PEM file that NATS's servers are verified by. Empty: what the node got when it joined, else the system's.
	NATSCA string
	// JoinToken (join_token) makes the node part of the fleet, where its data dir holds no certificate yet.
	JoinToken string
	// TrustRoot (trust_root) is the fleet root's public key, as envelope.EncodeRoot writes it.
	TrustRoot string
	// ConfirmEpoch (confirm_epoch) is `<generation>.<number>`: an operator has looked at what rules up to there take from licences. Empty: none has.
	ConfirmEpoch string
	// ColdWait (cold_wait) is how long a request may wait for the lender, in all.
	ColdWait time.Duration
	// TrustedProxies (trusted_proxies) are CIDRs of peers whose X-Forwarded-* are believed.
	TrustedProxies []string
	// DrainTimeout (drain_timeout) is how long requests may take to finish once the node is told to stop.
	DrainTimeout time.Duration
	// MaxInFlight (max_in_flight) is how many requests are served at once; more are answered with overloaded.
	MaxInFlight int
	// SharedListeners (shared_listeners) is the number of listening sockets inherited from descriptor 3 on: one for each
	// node of the machine. SharedIndex (shared_index) is this node's.
	SharedListeners, SharedIndex int

	// Version is what the node says it is. It is no key.
	Version string
}

// Bind makes flags for all keys of the configuration, with its defaults.
func (c *Config) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.NodeName, "node-name", "", "the node's name, the subject of its certificate (default: the certificate's)")
	fs.StringVar(&c.DataDir, "data-dir", "", "folder of node.key, node.cert, the spool and the rules")
	fs.StringVar(&c.StateKey, "state-key", "", "base64 of 32 bytes that seal the rules on disk; empty: they are not sealed")
	fs.StringVar(&c.ProxyAddr, "proxy-addr", ":8080", "address for clients' requests; empty: at the shared listeners only")
	fs.StringVar(&c.OpsAddr, "ops-addr", ":8081", "address for /healthz, /readyz and /metrics")
	fs.StringVar(&c.NATSURL, "nats-url", "", "NATS servers, comma-separated (default: as told at joining, else "+defaultNATS+")")
	fs.StringVar(&c.NATSCreds, "nats-creds", "", "NATS credentials file (default: as got at joining)")
	fs.StringVar(&c.NATSCA, "nats-ca", "", "PEM file that NATS's servers are verified by (default: as got at joining, else the system's)")
	fs.StringVar(&c.JoinToken, "join-token", "", "token by which the node joins where it has no certificate yet; better set by TOLLGATE_JOIN_TOKEN_FILE")
	fs.StringVar(&c.TrustRoot, "trust-root", "", "public key of the fleet's root")
	fs.StringVar(&c.ConfirmEpoch, "confirm-epoch", "", "generation.number up to which it is meant that rules take access from many licences")
	fs.DurationVar(&c.ColdWait, "cold-wait", 100*time.Millisecond, "how long a request may wait for a loan of a limit")
	fs.StringSliceVar(&c.TrustedProxies, "trusted-proxies", nil, "CIDRs of proxies whose X-Forwarded-* are believed")
	fs.DurationVar(&c.DrainTimeout, "drain-timeout", 10*time.Second, "how long requests may take to finish when the node stops")
	fs.IntVar(&c.MaxInFlight, "max-in-flight", 20_000, "requests served at once")
	fs.IntVar(&c.SharedListeners, "shared-listeners", 0, "listening sockets inherited from descriptor 3 on")
	fs.IntVar(&c.SharedIndex, "shared-index", 0, "which of the shared listeners is this node's own")
}

// settings is a Config that was checked, read and parsed.
type settings struct {
	Config
	trusted     []netip.Prefix
	root        ed25519.PublicKey
	key         ed25519.PrivateKey
	stateKey    []byte
	confirmed   decision.Epoch
	certificate []byte
	certified   envelope.Certified
	verifier    *envelope.Verifier
	// forgotten is why the key set on disk counts for nothing; nil: it counts, or there is none.
	forgotten error
}

// where says how a key is set.
func where(key string) string {
	return fmt.Sprintf("by --%s, TOLLGATE_%s or %s in the configuration file", strings.ReplaceAll(key, "_", "-"), strings.ToUpper(key), key)
}

// check reads what the configuration names and says, in one line that tells what to do, what is wrong with it.
func (c Config) check(ctx context.Context, now time.Time, logger *slog.Logger) (*settings, error) {
	s := &settings{Config: c}
	if err := c.checkValues(); err != nil {
		return nil, err
	}
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is not a CIDR such as 10.0.0.0/8", text)
		}
		s.trusted = append(s.trusted, p.Masked())
	}
	if c.ConfirmEpoch != "" {
		e := &s.confirmed
		if n, err := fmt.Sscanf(c.ConfirmEpoch, "%d.%d", &e.Generation, &e.Number); n != 2 || err != nil || c.ConfirmEpoch != fmt.Sprintf("%d.%d", e.Generation, e.Number) {
			return nil, fmt.Errorf("confirm_epoch: %q is not an epoch like 1.57; set it %s", c.ConfirmEpoch, where("confirm_epoch"))
		}
	}
	if c.StateKey != "" {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(c.StateKey))
		if err != nil || len(key) != 32 {
			// It is a secret, so it is not repeated.
			return nil, fmt.Errorf("state_key is not base64 of 32 bytes: make one with `head -c 32 /dev/urandom | base64`, and set it %s", where("state_key"))
		}
		s.stateKey = key
	}
	if err := writable(c.DataDir); err != nil {
		return nil, fmt.Errorf("data_dir: cannot write in %s: %w; give the node's user write access, or choose another folder %s", c.DataDir, err, where("data_dir"))
	}
	if err := s.join(ctx, now, logger); err != nil {
		return nil, err
	}
	if err := s.readIdentity(now); err != nil {
		return nil, err
	}
	if err := s.findNATS(); err != nil {
		return nil, err
	}
	return s, nil
}

// defaultNATS is where NATS is looked for where nothing says.
const defaultNATS = "nats://127.0.0.1:4222"

// join makes the node part of the fleet where it is not, or not any more, and has a token for it.
func (s *settings) join(ctx context.Context, now time.Time, logger *slog.Logger) error {
	var err error
	if s.root, err = envelope.ParseRoot(s.TrustRoot); err != nil {
		return fmt.Errorf("trust_root: %w; `tollgate trust show --root` prints it; set it %s", err, where("trust_root"))
	}
	if s.JoinToken == "" {
		return nil
	}
	certificate, err := envelope.ReadCertificate(filepath.Join(s.DataDir, certificateFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err == nil && s.ended(certificate, now):
		logger.Warn("the node's certificate counts no longer: joining again", "data_dir", s.DataDir)
	default: // What is wrong with the certificate, readIdentity says.
		logger.Info("the node has joined already: the join token is not used", "data_dir", s.DataDir)
		return nil
	}
	return join.Join(ctx, join.Config{Dir: s.DataDir, Token: strings.TrimSpace(s.JoinToken), Node: s.NodeName, Root: s.root, TrustFile: trustFile, Logger: logger})
}

// ended says whether a certificate was the fleet's, and is of no use any more: its time is over, or its issuer no longer counts.
func (s *settings) ended(certificate []byte, now time.Time) bool {
	c, err := envelope.NewSigner(nil, certificate).Certified()
	if err != nil {
		return false
	}
	v := envelope.NewVerifier(c.Fleet, s.root)
	// Where the key set cannot be read, nothing is known against the certificate but its dates.
	_ = v.Keep(envelope.TrustFile(filepath.Join(s.DataDir, trustFile)))
	if _, err := v.Known(certificate); err != nil || now.Before(c.NotBefore) {
		return false
	}
	if v.Version() == 0 {
		return !now.Before(c.NotAfter)
	}
	_, err = v.Certified(certificate, now)
	return err != nil
}

// findNATS takes what the configuration leaves open from what the node was told when it joined.
func (s *settings) findNATS() error {
	j, err := join.Read(s.DataDir)
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	s.NATSURL = cmp.Or(s.NATSURL, byTLS(j.NATS), defaultNATS)
	s.NATSCreds, s.NATSCA = cmp.Or(s.NATSCreds, j.Creds), cmp.Or(s.NATSCA, j.CA)
	return checkNATS(s.NATSURL, s.NATSCreds, s.NATSCA)
}

// byTLS lists servers so that the node speaks nothing but TLS with them. With the system's CAs nothing else demands it, and whoever is in
// between could offer none.
func byTLS(servers []string) string {
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = s
		for plain, secure := range map[string]string{"nats://": "tls://", "ws://": "wss://"} {
			if host, ok := strings.CutPrefix(strings.TrimSpace(s), plain); ok {
				list[i] = secure + host
			}
		}
	}
	return strings.Join(list, ",")
}

func (c Config) checkValues() error {
	switch {
	case c.DataDir == "":
		return fmt.Errorf("data_dir is not set: name the folder that holds node.key and node.cert %s", where("data_dir"))
	case c.TrustRoot == "":
		return fmt.Errorf("trust_root is not set: give the public key of the fleet's root, which `tollgate trust show --root` prints, %s", where("trust_root"))
	case c.ProxyAddr == "" && c.SharedListeners == 0:
		return fmt.Errorf("proxy_addr is empty and nothing is shared: give an address such as :8080 %s", where("proxy_addr"))
	case c.OpsAddr == "":
		return fmt.Errorf("ops_addr is empty: give an address such as :8081 %s", where("ops_addr"))
	case c.SharedListeners < 0 || c.SharedListeners > 256:
		return fmt.Errorf("shared_listeners: %d is not 0 to 256", c.SharedListeners)
	case c.SharedListeners > 0 && (c.SharedIndex < 0 || c.SharedIndex >= c.SharedListeners):
		return fmt.Errorf("shared_index: %d is not 0 to %d, as shared_listeners is %d", c.SharedIndex, c.SharedListeners-1, c.SharedListeners)
	case c.ColdWait <= 0 || c.ColdWait > 10*time.Second:
		return fmt.Errorf("cold_wait: %s is not more than 0 and at most 10s", c.ColdWait)
	case c.DrainTimeout <= 0 || c.DrainTimeout > time.Hour:
		return fmt.Errorf("drain_timeout: %s is not more than 0 and at most 1h", c.DrainTimeout)
	case c.MaxInFlight < 1:
		return fmt.Errorf("max_in_flight: %d is less than 1", c.MaxInFlight)
	}
	for key, addr := range map[string]string{"proxy_addr": c.ProxyAddr, "ops_addr": c.OpsAddr} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			return fmt.Errorf("%s: %q is not host:port, such as 127.0.0.1:8080 or :8080", key, addr)
		}
	}
	return checkNATS(cmp.Or(c.NATSURL, defaultNATS), c.NATSCreds, c.NATSCA)
}

func checkNATS(servers, creds, ca string) error {
	for server := range strings.SplitSeq(servers, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss") {
			// The address may hold a password, so it is not repeated.
			return fmt.Errorf("nats_url: not a list of addresses such as nats://127.0.0.1:4222; set it %s", where("nats_url"))
		}
	}
	for _, file := range [][3]string{{"nats_creds", creds, "NATS credentials file"}, {"nats_ca", ca, "PEM file of who certifies NATS's servers"}} {
		if file[1] == "" {
			continue
		}
		f, err := os.Open(file[1])
		if err != nil {
			return fmt.Errorf("%s: %w; name a readable %s %s", file[0], err, file[2], where(file[0]))
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("%s: %w", file[0], err)
		}
	}
	return nil
}

// writable makes the folder where it is missing, and tries to write in it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return bare(err)
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return bare(err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// bare is what went wrong without the operation and the path.
func bare(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// The files that make a node one of its fleet, in its data dir.
const (
	keyFile         = join.KeyFile
	certificateFile = join.CertificateFile
)

// readIdentity reads the node's key and certificate and verifies them with the root.
func (s *settings) readIdentity(now time.Time) error {
	var err error
	keyPath, certPath := filepath.Join(s.DataDir, keyFile), filepath.Join(s.DataDir, certificateFile)
	if s.key, err = envelope.ReadKey(keyPath); err != nil {
		return fmt.Errorf("the node has no key: %w; set join_token to what `tollgate fleet join-token create` prints %s, or put the key that was made for this node there", err, where("join_token"))
	}
	if s.certificate, err = envelope.ReadCertificate(certPath); err != nil {
		return fmt.Errorf("the node has no certificate: %w; put the certificate of its key there", err)
	}
	c, err := envelope.NewSigner(s.key, s.certificate).Certified()
	if err == nil {
		// The fleet is the certificate's own word until it verifies.
		s.verifier = envelope.NewVerifier(c.Fleet, s.root)
		s.forgotten = s.verifier.Keep(envelope.TrustFile(filepath.Join(s.DataDir, trustFile)))
		s.certified, err = s.verifier.Known(s.certificate)
	}
	if err != nil {
		return fmt.Errorf("%s does not verify with trust_root: %w; the certificate and the root belong to different fleets", certPath, err)
	}
	switch {
	case c.Usage != envelope.UsageNode:
		return fmt.Errorf("%s is a certificate for %s, not for a node", certPath, c.Usage)
	case !c.PublicKey.Equal(s.key.Public()):
		return fmt.Errorf("%s is the certificate of another key than %s", certPath, keyPath)
	case s.NodeName != "" && c.Subject != s.NodeName:
		return fmt.Errorf("node_name is %q and %s is for node %q: correct node_name %s", s.NodeName, certPath, c.Subject, where("node_name"))
	case now.Before(c.NotBefore) || !now.Before(c.NotAfter):
		return fmt.Errorf("%s is valid from %s to %s only", certPath, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	s.NodeName = c.Subject
	return nil
}
