// Package system runs a whole Tollgate, as `tollgate up` does, for programs that measure it. Tests have test/system, which fails them instead.
package system

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
	"syscall"
	"time"
)

// Ready is the ready file's content, as far as it is of use here.
type Ready struct {
	AdminURL       string `json:"admin_url"`
	AdminToken     string `json:"admin_token"`
	DatabaseURL    string `json:"database_url"`
	NATSURL        string `json:"nats_url"`
	NATSAdminCreds string `json:"nats_admin_creds"`
	NATSCA         string `json:"nats_ca"`
	DataDir        string `json:"data_dir"`
	Nodes          []struct {
		PID int `json:"pid"`
	} `json:"nodes"`
}

// System is one running `tollgate up`.
type System struct {
	Ready Ready

	cmd  *exec.Cmd
	done chan struct{}
}

// Start brings a system up in dir, with these arguments of `up` beside those of any. It is to be stopped even where that failed.
func Start(ctx context.Context, bin, dir string, args ...string) (*System, error) {
	s := &System{}
	path := filepath.Join(dir, "ready.json")
	cmd := exec.Command(bin, append([]string{"up", "--data-dir", filepath.Join(dir, "data"),
		"--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--ready-file", path}, args...)...)
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
		_ = cmd.Wait() // It ends by a signal, or with a node that is not to be started again.
	}()
	for {
		b, err := os.ReadFile(path)
		if err == nil {
			if err := json.Unmarshal(b, &s.Ready); err != nil {
				return s, fmt.Errorf("ready file: %w", err)
			}
			return s, nil
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

// Client calls the admin API with the owner's token, and keeps so many idle connections.
func (s *System) Client(connections int) *http.Client {
	return &http.Client{
		Transport: &bearer{token: s.Ready.AdminToken, next: &http.Transport{MaxIdleConnsPerHost: connections}}, Timeout: time.Minute,
	}
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

// Stop ends the system, by force after 40 s. One that did not start needs none.
func (s *System) Stop() error {
	if s == nil || s.cmd == nil {
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
