package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
	running "tollgate/test/bench/internal/system"
)

// system is a Postgres and a control plane, as `up` starts them. Its node is stopped before anything is measured: what nodes do with many
// licences is not the API's time.
type system struct {
	up       *running.System
	licenses int
	revoked  int // How many, from the last on.
	database *url.URL

	catalog   adminv1connect.CatalogServiceClient
	customers adminv1connect.CustomerServiceClient
	license   adminv1connect.LicenseServiceClient
	keys      adminv1connect.CredentialServiceClient
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
	var err error
	if s.up, err = running.Start(ctx, bin, dir, "--nodes", "1", "--no-respawn"); err != nil {
		return s, err
	}
	return s, s.connect()
}

func (s *system) connect() error {
	r := &s.up.Ready
	var err error
	if s.database, err = url.Parse(r.DatabaseURL); err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if err := syscall.Kill(n.PID, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop the node: %w", err)
		}
	}
	c := s.up.Client(4)
	s.catalog = adminv1connect.NewCatalogServiceClient(c, r.AdminURL)
	s.customers = adminv1connect.NewCustomerServiceClient(c, r.AdminURL)
	s.license = adminv1connect.NewLicenseServiceClient(c, r.AdminURL)
	s.keys = adminv1connect.NewCredentialServiceClient(c, r.AdminURL)
	return nil
}

func (s *system) stop() error { return s.up.Stop() }

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
