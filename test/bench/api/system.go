package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

// system is a Postgres and a control plane, as `up` starts them. Its node is stopped before anything is measured: what nodes do with many
// licences is not the API's time.
type system struct {
	licenses int
	revoked  int // How many, from the last on.
	database *url.URL
	cmd      *exec.Cmd
	done     chan struct{}

	catalog   adminv1connect.CatalogServiceClient
	customers adminv1connect.CustomerServiceClient
	license   adminv1connect.LicenseServiceClient
	keys      adminv1connect.CredentialServiceClient
}

type readyFile struct {
	AdminURL    string `json:"admin_url"`
	AdminToken  string `json:"admin_token"`
	DatabaseURL string `json:"database_url"`
	Nodes       []struct {
		PID int `json:"pid"`
	} `json:"nodes"`
}

// start brings a system up. It can be stopped even where that failed.
func start(ctx context.Context, bin, dir string, licenses int) (*system, error) {
	s := &system{licenses: licenses}
	for _, tool := range []string{"psql"} {
		if _, err := exec.LookPath(tool); err != nil {
			return s, fmt.Errorf("%s is not installed; on Debian: apt-get install postgresql-client", tool)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return s, err
	}
	path := filepath.Join(dir, "ready.json")
	cmd := exec.Command(bin, "up", "--data-dir", filepath.Join(dir, "data"), "--nodes", "1", "--no-respawn",
		"--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--ready-file", path)
	var said bytes.Buffer
	cmd.Stderr = &said
	// A Postgres of its own, whatever this shell is set up for.
	cmd.Env = append(os.Environ(), "TOLLGATE_DATABASE_URL=")
	if err := cmd.Start(); err != nil {
		return s, fmt.Errorf("start %s: %w", bin, err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = cmd.Wait() // It ends with its node's end, or by a signal.
	}()
	for {
		b, err := os.ReadFile(path)
		if err == nil {
			return s, s.connect(b)
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-s.done:
			return s, fmt.Errorf("tollgate up ended before it was ready: %s", said.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *system) connect(ready []byte) error {
	var r readyFile
	if err := json.Unmarshal(ready, &r); err != nil {
		return err
	}
	var err error
	if s.database, err = url.Parse(r.DatabaseURL); err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if err := syscall.Kill(n.PID, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop the node: %w", err)
		}
	}
	c := &http.Client{Transport: &bearer{token: r.AdminToken, next: &http.Transport{MaxIdleConnsPerHost: 4}}, Timeout: time.Minute}
	s.catalog = adminv1connect.NewCatalogServiceClient(c, r.AdminURL)
	s.customers = adminv1connect.NewCustomerServiceClient(c, r.AdminURL)
	s.license = adminv1connect.NewLicenseServiceClient(c, r.AdminURL)
	s.keys = adminv1connect.NewCredentialServiceClient(c, r.AdminURL)
	return nil
}

type bearer struct {
	token string
	next  http.RoundTripper
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// stop ends the system, by force after 40 s.
func (s *system) stop() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT) // It may have ended.
	select {
	case <-s.done:
		return nil
	case <-time.After(40 * time.Second):
		return errors.Join(errors.New("tollgate up did not stop"), s.cmd.Process.Kill())
	}
}

// sql runs statements, and returns what they select, a row a line and columns apart by |.
func (s *system) sql(ctx context.Context, statements string) (string, error) {
	cmd := exec.CommandContext(ctx, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-")
	password, _ := s.database.User.Password() // None is fine.
	cmd.Env = append(os.Environ(), "PGHOST="+s.database.Hostname(), "PGPORT="+s.database.Port(),
		"PGUSER="+s.database.User.Username(), "PGPASSWORD="+password, "PGDATABASE="+strings.TrimPrefix(s.database.Path, "/"))
	cmd.Stdin = strings.NewReader(statements)
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, bad.String())
	}
	return strings.TrimSpace(out.String()), nil
}
