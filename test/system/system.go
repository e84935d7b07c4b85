// Package system runs a whole Tollgate, as `tollgate up --demo` does for a user, for tests that look at it from outside.
package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

// Process is a process of the ready file.
type Process struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"`
	ProxyURL string `json:"proxy_url"`
	AdminURL string `json:"admin_url"`
	OpsURL   string `json:"ops_url"`
}

// Ready is the ready file's content.
type Ready struct {
	AdminURL         string    `json:"admin_url"`
	AdminToken       string    `json:"admin_token"`
	ProxyURL         string    `json:"proxy_url"`
	DatabaseURL      string    `json:"database_url"`
	NATSURL          string    `json:"nats_url"`
	NATSAdminCreds   string    `json:"nats_admin_creds"`
	NATSCA           string    `json:"nats_ca"`
	DataDir          string    `json:"data_dir"`
	UpstreamStatsURL string    `json:"upstream_stats_url"`
	Nodes            []Process `json:"nodes"`
	ControlPlanes    []Process `json:"controlplanes"`
	Processes        []Process `json:"processes"`
	Demo             struct {
		Keys map[string]string `json:"keys"`
	} `json:"demo"`
}

// System is one running `tollgate up --demo`.
type System struct {
	Dir string
	// Log holds what `up` printed.
	Log string

	path string
	cmd  *exec.Cmd
	done chan struct{}
}

// Binary is the tollgate binary under test: TOLLGATE_BIN, or bin/tollgate of the checkout. It fails the test where there is none.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("TOLLGATE_BIN")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "tollgate")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the binary under test is missing; `make build` builds it: %v", err)
	}
	return path
}

// Dir is a new folder that the user Postgres runs as can enter.
func Dir(t testing.TB) string {
	t.Helper()
	// t.TempDir lies in a folder that only its owner can enter.
	dir, err := os.MkdirTemp("", "tollgate-e2e-") //nolint:usetesting // See above.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Start starts a system in dir and waits until it is ready. It is stopped when the test ends.
func Start(t testing.TB, dir string, args ...string) *System {
	t.Helper()
	return start(t, nil, Binary(t), dir, args...)
}

// StartBinary is Start with another binary than the one under test.
func StartBinary(t testing.TB, binary, dir string, args ...string) *System {
	t.Helper()
	return start(t, nil, binary, dir, args...)
}

// StartAs is Start as another user, who owns dir; nil: the user of the test.
func StartAs(t testing.TB, user *syscall.Credential, dir string, args ...string) *System {
	t.Helper()
	if user == nil {
		return Start(t, dir, args...)
	}
	return start(t, user, CopyBinary(t), dir, args...)
}

func start(t testing.TB, user *syscall.Credential, binary, dir string, args ...string) *System {
	t.Helper()
	s := &System{Dir: dir, Log: filepath.Join(dir, "up.log"), path: filepath.Join(dir, "ready.json"), done: make(chan struct{})}
	if err := os.RemoveAll(s.path); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(s.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	args = append([]string{
		"up", "--demo", "--data-dir", filepath.Join(dir, "data"),
		"--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--ready-file", s.path,
	}, args...)
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = log, log, dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: user}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // Stop looks at the state.
	}()
	t.Cleanup(func() { s.Stop(t) })
	Eventually(t, 3*time.Minute, "the system is ready", func() error {
		select {
		case <-s.done:
			t.Fatalf("up ended before it was ready:\n%s", s.Output(t))
		default:
		}
		_, err := os.Stat(s.path)
		return err
	})
	return s
}

// Ready reads the ready file as it is now.
func (s *System) Ready(t testing.TB) Ready {
	t.Helper()
	b, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	var r Ready
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("ready file: %v: %s", err, b)
	}
	return r
}

// Output is what `up` printed so far.
func (s *System) Output(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(s.Log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// PID is the process id of a process of the ready file as it is now.
func (s *System) PID(t testing.TB, name string) int {
	t.Helper()
	r := s.Ready(t)
	for _, list := range [][]Process{r.Processes, r.ControlPlanes, r.Nodes} {
		for _, p := range list {
			if p.Name == name {
				return p.PID
			}
		}
	}
	t.Fatalf("the ready file has no process %s", name)
	return 0
}

// Kill ends a process with SIGKILL and returns the pid it had.
func (s *System) Kill(t testing.TB, name string) int {
	t.Helper()
	pid := s.PID(t, name)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s (%d): %v", name, pid, err)
	}
	return pid
}

// WaitBack waits until a killed process has another pid, is alive, and everything is ready.
func (s *System) WaitBack(t testing.TB, within time.Duration, name string, old int) {
	t.Helper()
	Eventually(t, within, name+" is back", func() error {
		if pid := s.PID(t, name); pid == old || !Alive(pid) {
			return fmt.Errorf("pid %d", pid)
		}
		r := s.Ready(t)
		for _, p := range append(r.Nodes, r.ControlPlanes...) {
			if code, _, err := Get(p.OpsURL+"/readyz", ""); err != nil || code != http.StatusOK {
				return fmt.Errorf("%s: %d %w", p.Name, code, err)
			}
		}
		return nil
	})
}

// Stop sends SIGINT and waits; the test fails where the system takes more than 40 s or ends with an error.
func (s *System) Stop(t testing.TB) {
	t.Helper()
	select {
	case <-s.done:
		return
	default:
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("stop: %v", err)
	}
	select {
	case <-s.done:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("up ended with %d:\n%s", code, s.Output(t))
		}
	case <-time.After(40 * time.Second):
		if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Log(err)
		}
		t.Errorf("up did not stop within 40 s of SIGINT:\n%s", s.Output(t))
	}
}

// Client is an admin API client with the owner's token.
func (s *System) Client(t testing.TB) *Client {
	t.Helper()
	return s.Ready(t).Client()
}

// Client calls the API at AdminURL; with a control plane's own there it calls that one alone.
func (r Ready) Client() *Client {
	http1 := &http.Client{Transport: &bearer{token: r.AdminToken}, Timeout: 15 * time.Second}
	opts := []connect.ClientOption{}
	return &Client{
		Catalog:   adminv1connect.NewCatalogServiceClient(http1, r.AdminURL, opts...),
		Customers: adminv1connect.NewCustomerServiceClient(http1, r.AdminURL, opts...),
		Licenses:  adminv1connect.NewLicenseServiceClient(http1, r.AdminURL, opts...),
		Keys:      adminv1connect.NewCredentialServiceClient(http1, r.AdminURL, opts...),
		Traffic:   adminv1connect.NewTrafficServiceClient(http1, r.AdminURL, opts...),
		Usage:     adminv1connect.NewUsageServiceClient(http1, r.AdminURL, opts...),
		Decisions: adminv1connect.NewDecisionServiceClient(http1, r.AdminURL, opts...),
		Fleet:     adminv1connect.NewFleetServiceClient(http1, r.AdminURL, opts...),
		Access:    adminv1connect.NewAccessServiceClient(http1, r.AdminURL, opts...),
	}
}

// Client is every service of the admin API.
type Client struct {
	Catalog   adminv1connect.CatalogServiceClient
	Customers adminv1connect.CustomerServiceClient
	Licenses  adminv1connect.LicenseServiceClient
	Keys      adminv1connect.CredentialServiceClient
	Traffic   adminv1connect.TrafficServiceClient
	Usage     adminv1connect.UsageServiceClient
	Decisions adminv1connect.DecisionServiceClient
	Fleet     adminv1connect.FleetServiceClient
	Access    adminv1connect.AccessServiceClient
}

type bearer struct{ token string }

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// Eventually repeats f until it returns nil, and fails the test with its last error after within.
func Eventually(t testing.TB, within time.Duration, what string, f func() error) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return time.Since(start)
		}
		if time.Since(start) > within {
			t.Fatalf("not within %s: %s: %v", within, what, err)
		}
		<-tick.C
	}
}

// Alive reports whether a process runs; a zombie does not.
func Alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// Get makes one request, with a client key unless it is empty, and returns status and body.
func Get(url, key string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}
