package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

// system is a whole system, as `up` starts it.
type system struct {
	cmd     *exec.Cmd
	done    chan struct{}
	bin     string
	dataDir string
	nodes   *enforced
	nats    *nats.Conn

	catalog   adminv1connect.CatalogServiceClient
	customers adminv1connect.CustomerServiceClient
	licenses  adminv1connect.LicenseServiceClient
	fleet     adminv1connect.FleetServiceClient
}

type readyFile struct {
	AdminURL       string `json:"admin_url"`
	AdminToken     string `json:"admin_token"`
	NATSURL        string `json:"nats_url"`
	NATSAdminCreds string `json:"nats_admin_creds"`
	NATSCA         string `json:"nats_ca"`
	DataDir        string `json:"data_dir"`
}

// start brings a system up. It can be stopped even where that failed.
func start(ctx context.Context, o options, dir string) (*system, error) {
	s := &system{bin: o.bin}
	path := filepath.Join(dir, "ready.json")
	cmd := exec.Command(o.bin, "up", "--data-dir", filepath.Join(dir, "data"), "--nodes", strconv.Itoa(o.nodes), "--controlplanes", strconv.Itoa(o.planes),
		"--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--ready-file", path)
	var said bytes.Buffer
	cmd.Stderr = &said
	// A Postgres of its own, whatever this shell is set up for.
	cmd.Env = append(os.Environ(), "TOLLGATE_DATABASE_URL=")
	if err := cmd.Start(); err != nil {
		return s, fmt.Errorf("start %s: %w", o.bin, err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = cmd.Wait() // It ends by a signal.
	}()
	for {
		b, err := os.ReadFile(path)
		if err == nil {
			return s, s.connect(b, o.nodes)
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

func (s *system) connect(ready []byte, nodes int) error {
	var r readyFile
	if err := json.Unmarshal(ready, &r); err != nil {
		return err
	}
	s.dataDir = r.DataDir
	c := &http.Client{Transport: &bearer{token: r.AdminToken, next: &http.Transport{MaxIdleConnsPerHost: 64}}, Timeout: time.Minute}
	s.catalog = adminv1connect.NewCatalogServiceClient(c, r.AdminURL)
	s.customers = adminv1connect.NewCustomerServiceClient(c, r.AdminURL)
	s.licenses = adminv1connect.NewLicenseServiceClient(c, r.AdminURL)
	s.fleet = adminv1connect.NewFleetServiceClient(c, r.AdminURL)
	var err error
	if s.nats, err = nats.Connect(r.NATSURL, nats.UserCredentials(r.NATSAdminCreds), nats.RootCAs(r.NATSCA)); err != nil {
		return err
	}
	s.nodes, err = watch(s.nats, nodes)
	return err
}

// tollgate runs the CLI.
func (s *system) tollgate(ctx context.Context, input []byte, args ...string) error {
	cmd := exec.CommandContext(ctx, s.bin, args...)
	cmd.Env = append(os.Environ(), "TOLLGATE_DATA_DIR="+s.dataDir)
	cmd.Stdin = bytes.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tollgate %v: %w: %s", args, err, out)
	}
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
	if s.nats != nil {
		s.nats.Close()
	}
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
