package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

// contextFile is what `up` leaves in its data dir: where its API is, and a token for it.
const contextFile = "context.json"

// target is a server and the token for it.
type target struct {
	Server string `json:"server"`
	Token  string `json:"token"`
}

const (
	serverFlag = "server"
	tokenFlag  = "token"
)

func addConnectionFlags(flags *pflag.FlagSet) {
	flags.String(serverFlag, "", "address of the admin API (TOLLGATE_SERVER; else the context file of the data dir)")
	flags.String(tokenFlag, "", "API token, better given by TOLLGATE_TOKEN or TOLLGATE_TOKEN_FILE: flags are seen by others")
}

// findTarget reads flags, then the environment, then the context file in TOLLGATE_DATA_DIR or .tollgate.
func findTarget(flags *pflag.FlagSet) (target, error) {
	server, _ := flags.GetString(serverFlag) // The flags are always declared.
	token, _ := flags.GetString(tokenFlag)
	if server == "" {
		server = os.Getenv("TOLLGATE_SERVER")
	}
	if token == "" {
		token = os.Getenv("TOLLGATE_TOKEN")
	}
	if path := os.Getenv("TOLLGATE_TOKEN_FILE"); token == "" && path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return target{}, fmt.Errorf("TOLLGATE_TOKEN_FILE: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	t := target{strings.TrimRight(server, "/"), token}
	if t.Server == "" || t.Token == "" {
		if err := t.complete(); err != nil {
			return target{}, err
		}
	}
	u, err := url.Parse(t.Server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return target{}, fmt.Errorf("server %q is not an address like http://127.0.0.1:9080", t.Server)
	}
	return t, nil
}

// complete takes from the context file what is not given. Its token is for its server alone: it is not sent to
// another one.
func (t *target) complete() error {
	dir := os.Getenv("TOLLGATE_DATA_DIR")
	if dir == "" {
		dir = ".tollgate"
	}
	path := filepath.Join(dir, contextFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if t.Server != "" {
			return fmt.Errorf("no token for %s: give TOLLGATE_TOKEN, TOLLGATE_TOKEN_FILE or --token", t.Server)
		}
		return fmt.Errorf("no server is known: start one with `tollgate up`, or give --server and --token (TOLLGATE_SERVER, TOLLGATE_TOKEN); there is no %s", path)
	}
	if err != nil {
		return fmt.Errorf("read the context file: %w", err)
	}
	var saved target
	if err := json.Unmarshal(b, &saved); err != nil || saved.Server == "" {
		return fmt.Errorf("the context file %s is broken: delete it, or start `tollgate up` again", path)
	}
	saved.Server = strings.TrimRight(saved.Server, "/")
	if t.Server == "" {
		t.Server = saved.Server
	}
	if t.Token != "" {
		return nil
	}
	if t.Server != saved.Server {
		return fmt.Errorf("no token for %s (the one in %s is for %s): give TOLLGATE_TOKEN, TOLLGATE_TOKEN_FILE or --token", t.Server, path, saved.Server)
	}
	t.Token = saved.Token
	return nil
}
