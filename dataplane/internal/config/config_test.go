package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tollgate/dataplane/internal/config"
)

type settings struct {
	name string
	wait time.Duration
	size int
	nets []string
}

// load runs Load over four keys with command-line arguments, an environment and a YAML file ("": none).
func load(t *testing.T, args []string, env map[string]string, yaml string) (settings, error) {
	t.Helper()
	var s settings
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.String(config.FileFlag, "", "")
	fs.StringVar(&s.name, "node-name", "default", "")
	fs.DurationVar(&s.wait, "cold-wait", time.Second, "")
	fs.IntVar(&s.size, "max-in-flight", 5, "")
	fs.StringSliceVar(&s.nets, "trusted-proxies", nil, "")
	if yaml != "" {
		path := filepath.Join(t.TempDir(), "tollgate.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s, config.Load(fs, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
}

func TestLoad_FlagWinsOverEnvironmentOverFileOverDefault(t *testing.T) {
	t.Parallel()
	const file = "node_name: file\nmax_in_flight: 7\n"
	env := map[string]string{"TOLLGATE_NODE_NAME": "env"}
	for want, c := range map[string]struct {
		args []string
		env  map[string]string
		yaml string
	}{
		"flag":    {[]string{"--node-name", "flag"}, env, file},
		"env":     {nil, env, file},
		"file":    {nil, nil, file},
		"default": {nil, nil, ""},
	} {
		s, err := load(t, c.args, c.env, c.yaml)
		if err != nil || s.name != want {
			t.Errorf("name = %q, %v, want %q", s.name, err, want)
		}
	}
}

func TestLoad_ReadsTypedValuesFromEverySource(t *testing.T) {
	t.Parallel()
	s, err := load(t, nil, map[string]string{"TOLLGATE_TRUSTED_PROXIES": "10.0.0.0/8,::1/128"}, "cold_wait: 150ms\nmax_in_flight: 9\n")
	if err != nil || s.wait != 150*time.Millisecond || s.size != 9 || len(s.nets) != 2 {
		t.Errorf("settings %+v, %v", s, err)
	}
	s, err = load(t, nil, nil, "trusted_proxies: [10.0.0.0/8]\n")
	if err != nil || len(s.nets) != 1 || s.nets[0] != "10.0.0.0/8" {
		t.Errorf("settings %+v, %v", s, err)
	}
}

func TestLoad_ReadsASecretFromItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := load(t, nil, map[string]string{"TOLLGATE_NODE_NAME_FILE": path}, "node_name: yaml\n")
	if err != nil || s.name != "from-file" {
		t.Errorf("name = %q, %v", s.name, err)
	}
	_, err = load(t, nil, map[string]string{"TOLLGATE_NODE_NAME_FILE": path, "TOLLGATE_NODE_NAME": "x"}, "")
	if err == nil || !strings.Contains(err.Error(), "unset one") {
		t.Errorf("both forms set: %v", err)
	}
}

func TestLoad_SaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		yaml string
		want []string
	}{
		"unknown key":   {nil, "nod_name: x\n", []string{`unknown key "nod_name"`, "known keys: cold_wait max_in_flight node_name trusted_proxies"}},
		"wrong type":    {map[string]string{"TOLLGATE_COLD_WAIT": "soon"}, "", []string{"cold_wait", "TOLLGATE_COLD_WAIT", "duration"}},
		"list":          {nil, "node_name: [a, b]\n", []string{"node_name", "not a list"}},
		"group":         {nil, "node_name: {a: b}\n", []string{"node_name", "one value"}},
		"no value":      {nil, "node_name:\n", []string{"node_name", "no value"}},
		"no YAML":       {nil, "node_name: [\n", []string{"read ", "tollgate.yaml"}},
		"no such file":  {map[string]string{"TOLLGATE_NODE_NAME_FILE": "/nonexistent/x"}, "", []string{"TOLLGATE_NODE_NAME_FILE", "no such file"}},
		"not a number":  {nil, "max_in_flight: many\n", []string{"max_in_flight", "whole number"}},
		"list of lists": {nil, "trusted_proxies: [[a]]\n", []string{"trusted_proxies", "one value"}},
	} {
		_, err := load(t, nil, c.env, c.yaml)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q is more than a line", name, err)
		}
	}
}
