package controlplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tollgate/dataplane/envelope"
)

// load reads a configuration from a file's text, an environment, and flags.
func load(t *testing.T, text string, env map[string]string, args ...string) (Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	addFlags(flags)
	if text != "" {
		path := filepath.Join(t.TempDir(), "c.yaml")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		args = append(args, "--config", path)
	}
	must(t, flags.Parse(args))
	return LoadConfig(flags, func(k string) string { return env[k] })
}

func TestLoadConfig_FlagsBeatEnvironmentBeatsFileBeatsDefaults(t *testing.T) {
	t.Parallel()
	text := "name: file\nadmin_addr: 127.0.0.1:1\nops_addr: 127.0.0.1:2\n"
	env := map[string]string{"TOLLGATE_NAME": "env", "TOLLGATE_ADMIN_ADDR": "127.0.0.1:3"}
	c, err := load(t, text, env, "--name", "flag")
	must(t, err)
	if c.Name != "flag" || c.AdminAddr != "127.0.0.1:3" || c.OpsAddr != "127.0.0.1:2" || c.Env != "live" {
		t.Errorf("%+v", c)
	}
}

func TestLoadConfig_ReadsSecretsFromFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(path, []byte("tga_secret\n"), 0o600))
	c, err := load(t, "", map[string]string{"TOLLGATE_BOOTSTRAP_TOKEN_FILE": path})
	must(t, err)
	if c.BootstrapToken != "tga_secret" {
		t.Errorf("token %q", c.BootstrapToken)
	}
	if _, err := load(t, "", map[string]string{"TOLLGATE_BOOTSTRAP_TOKEN_FILE": path + "x"}); err == nil {
		t.Error("a file that is not there is passed over")
	}
}

func TestLoadConfig_RefusesUnknownKeys(t *testing.T) {
	t.Parallel()
	for text, name := range map[string]string{
		"admin_adr: x\n":         "admin_adr",
		"nats: {url: x}\n":       "nats.url",
		"name: [not, a, text]\n": "name",
		"name: {":                "c.yaml",
	} {
		_, err := load(t, text, nil)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\x00") {
			t.Errorf("%q: %v, want an error that names %s", text, err, name)
		}
	}
	if _, err := load(t, "", nil, "--config", "/nowhere/c.yaml"); err == nil {
		t.Error("a file that is not there is passed over")
	}
}

// Every key of Config has a flag with a text, and no flag is without a key.
func TestConfig_EveryKeyHasAFlag(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	for _, u := range usage() {
		env["TOLLGATE_"+strings.ToUpper(u[0])] = "value of " + u[0]
	}
	c, err := load(t, "", env)
	must(t, err)
	want := Config{
		Name: "value of name", DatabaseURL: "value of database_url", AdminAddr: "value of admin_addr", OpsAddr: "value of ops_addr",
		NATSURL: "value of nats_url", NATSCreds: "value of nats_creds", NATSCA: "value of nats_ca", NATSAccountSeed: "value of nats_account_seed",
		NodeNATSURL: "value of node_nats_url", AdminURL: "value of admin_url", DataDir: "value of data_dir", TrustRoot: "value of trust_root",
		ErrorBaseURL: "value of error_base_url", Env: "value of env", BootstrapToken: "value of bootstrap_token",
	}
	if c != want {
		t.Errorf("%+v", c)
	}
}

func TestConfig_SaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := Config{
		DatabaseURL: "postgres://u:secret@127.0.0.1/db", AdminAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0",
		NATSURL: "nats://127.0.0.1:4222", TrustRoot: envelope.EncodeRoot(make([]byte, 32)),
	}
	must(t, good.Validate())
	for key, spoil := range map[string]func(*Config){
		"database_url is not set":   func(c *Config) { c.DatabaseURL = "" },
		"database_url is not a":     func(c *Config) { c.DatabaseURL = "mysql://u:secret@h/db" },
		"trust_root is not set":     func(c *Config) { c.TrustRoot = "" },
		"trust_root: ":              func(c *Config) { c.TrustRoot = "short" },
		`admin_addr "9080" is not`:  func(c *Config) { c.AdminAddr = "9080" },
		`ops_addr "" is not`:        func(c *Config) { c.OpsAddr = "" },
		`nats_url "127.0.0.1" is n`: func(c *Config) { c.NATSURL = "127.0.0.1" },
		`admin_url "h:9080" is not`: func(c *Config) { c.AdminURL = "h:9080" },
		"admin_url holds more":      func(c *Config) { c.AdminURL = "https://u:secret@h" },
		"more than an address":      func(c *Config) { c.AdminURL = "https://h/?secret" },
		"behind ? or #":             func(c *Config) { c.AdminURL = "https://h/#secret" },
	} {
		c := good
		spoil(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q", err, key)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
