package controlplane

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"tollgate/dataplane/envelope"
)

// Config is what a control plane is told. Its keys are those of the configuration file.
type Config struct {
	// Name labels this process in logs.
	Name string `koanf:"name"`
	// DatabaseURL is Postgres, as a postgres:// URL.
	DatabaseURL string `koanf:"database_url"`
	// AdminAddr is where the API and the UI listen, OpsAddr where health and metrics do.
	AdminAddr string `koanf:"admin_addr"`
	OpsAddr   string `koanf:"ops_addr"`
	NATSURL   string `koanf:"nats_url"`
	// NATSCreds is the path of a NATS credentials file; empty: none.
	NATSCreds string `koanf:"nats_creds"`
	// NATSCA is the path of the PEM of who certifies NATS's servers, which nodes that join get, too; empty: the system's.
	NATSCA string `koanf:"nats_ca"`
	// NATSAccountSeed signs the NATS users of nodes that join; empty: none can.
	NATSAccountSeed string `koanf:"nats_account_seed"`
	// NodeNATSURL lists, comma-separated, where nodes that join reach NATS; empty: NATSURL.
	NodeNATSURL string `koanf:"node_nats_url"`
	// AdminURL is where nodes that join reach the API; empty: AdminAddr, where that is an address that others can reach.
	AdminURL string `koanf:"admin_url"`
	// DataDir holds rules.key, rules.cert, receipts.key, receipts.cert, and, for nodes to join, issuer.key and issuer.cert.
	DataDir string `koanf:"data_dir"`
	// TrustRoot is the fleet's root public key, as envelope.EncodeRoot writes it.
	TrustRoot string `koanf:"trust_root"`
	// ErrorBaseURL is the base of a denial's `type`, which is `<base>/errors/<code>`; empty: what it was, and for a new fleet the
	// admin address.
	ErrorBaseURL string `koanf:"error_base_url"`
	// Env is the label in API keys. It is taken at the fleet's first start.
	Env string `koanf:"env"`
	// BootstrapToken is an owner's token that is made sure to exist; empty: none.
	BootstrapToken string `koanf:"bootstrap_token"`
}

// defaults are what a key holds that nobody sets.
func defaults() map[string]any {
	return map[string]any{
		"name":       "controlplane",
		"admin_addr": "127.0.0.1:9080",
		"ops_addr":   "127.0.0.1:9081",
		"nats_url":   "nats://127.0.0.1:4222",
		"data_dir":   ".tollgate/controlplane",
		"env":        "live",
	}
}

// usage is what --help says of each key, in order.
func usage() [][2]string {
	return [][2]string{
		{"database_url", "Postgres, as postgres://user:password@host:port/database"},
		{"admin_addr", "where the API and the UI listen"},
		{"ops_addr", "where /healthz, /readyz and /metrics listen"},
		{"nats_url", "NATS server with JetStream"},
		{"nats_creds", "path of a NATS credentials file"},
		{"nats_ca", "path of the PEM of who certifies NATS's servers (default: the system's)"},
		{"nats_account_seed", "seed of the NATS account (SA…), for nodes to join; better set by TOLLGATE_NATS_ACCOUNT_SEED_FILE"},
		{"node_nats_url", "where nodes that join reach NATS, comma-separated (default: nats_url)"},
		{"admin_url", "where nodes that join reach the API (default: http:// and admin_addr)"},
		{"data_dir", "folder of the .key and .cert of rules, receipts and, for nodes to join, issuer"},
		{"trust_root", "the fleet's root public key"},
		{"error_base_url", "base of a denial's type, which is <base>/errors/<code> (default for a new fleet: the admin address)"},
		{"env", "label in API keys, for a new fleet"},
		{"name", "this process in logs"},
		{"bootstrap_token", "an owner's API token that is made sure to exist; better set by TOLLGATE_BOOTSTRAP_TOKEN_FILE"},
	}
}

const envPrefix = "TOLLGATE_"

// addFlags declares --config and a flag for each key.
func addFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "YAML file with the same keys")
	for _, u := range usage() {
		key, text := u[0], u[1]
		value, _ := defaults()[key].(string)
		flags.String(strings.ReplaceAll(key, "_", "-"), value, text)
	}
}

// LoadConfig reads flags, then TOLLGATE_<KEY>, then TOLLGATE_<KEY>_FILE, then the file of --config, then defaults. The result is not
// validated: see Validate.
func LoadConfig(flags *pflag.FlagSet, getenv func(string) string) (Config, error) {
	k := koanf.New("\x00")
	if err := k.Load(confmap.Provider(defaults(), ""), nil); err != nil {
		return Config{}, fmt.Errorf("defaults: %w", err)
	}
	if path, _ := flags.GetString("config"); path != "" {
		if err := loadFile(k, path); err != nil {
			return Config{}, err
		}
	}
	set := map[string]any{}
	for _, u := range usage() {
		key := u[0]
		value, err := fromEnv(key, getenv)
		if err != nil {
			return Config{}, err
		}
		if f := flags.Lookup(strings.ReplaceAll(key, "_", "-")); f != nil && f.Changed {
			value = f.Value.String()
		}
		if value != "" {
			set[key] = value
		}
	}
	if err := k.Load(confmap.Provider(set, ""), nil); err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	var c Config
	if err := k.Unmarshal("", &c); err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

func loadFile(k *koanf.Koanf, path string) error {
	f := koanf.New("\x00")
	if err := f.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	for _, key := range f.Keys() {
		if !slices.ContainsFunc(usage(), func(u [2]string) bool { return u[0] == key }) {
			return fmt.Errorf("configuration file %s: unknown key %q; see `tollgate controlplane --help`", path, strings.ReplaceAll(key, "\x00", "."))
		}
	}
	return k.Merge(f)
}

func fromEnv(key string, getenv func(string) string) (string, error) {
	name := envPrefix + strings.ToUpper(key)
	if v := getenv(name); v != "" {
		return v, nil
	}
	path := getenv(name + "_FILE")
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// Validate says, in one line, the first thing that is wrong and what to do.
func (c Config) Validate() error {
	if c.DatabaseURL == "" {
		return errors.New("database_url is not set: give --database-url or TOLLGATE_DATABASE_URL, like postgres://user:password@host:5432/tollgate")
	}
	if u, err := url.Parse(c.DatabaseURL); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("database_url is not a postgres:// URL")
	}
	if c.TrustRoot == "" {
		return errors.New("trust_root is not set: `tollgate trust init` makes a root and prints its public key")
	}
	if _, err := envelope.ParseRoot(c.TrustRoot); err != nil {
		return fmt.Errorf("trust_root: %w", err)
	}
	for _, a := range [][2]string{{"admin_addr", c.AdminAddr}, {"ops_addr", c.OpsAddr}} {
		if _, _, err := net.SplitHostPort(a[1]); err != nil {
			return fmt.Errorf("%s %q is not host:port", a[0], a[1])
		}
	}
	if u, err := url.Parse(c.NATSURL); err != nil || u.Host == "" {
		return fmt.Errorf("nats_url %q is not a nats:// URL", c.NATSURL)
	}
	return c.validateJoin()
}
