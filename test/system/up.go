package system

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Up is the process id of `up` itself.
func (s *System) Up() int { return s.cmd.Process.Pid }

// Wait waits for the end of `up` and returns its exit code, -1 after a signal.
func (s *System) Wait(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("up runs on after %s:\n%s", within, s.Output(t))
		return 0
	}
}

// Left lists what of a system is still there: processes and listening ports.
func (r Ready) Left() error {
	var left []error
	addresses := []string{r.ProxyURL, r.AdminURL, r.DatabaseURL, r.NATSURL, r.UpstreamStatsURL}
	for _, list := range [][]Process{r.Processes, r.ControlPlanes, r.Nodes} {
		for _, p := range list {
			if Alive(p.PID) {
				left = append(left, fmt.Errorf("%s (pid %d) is alive", p.Name, p.PID))
			}
			addresses = append(addresses, p.ProxyURL, p.AdminURL, p.OpsURL)
		}
	}
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil || u.Host == "" {
			continue // The process has no such address.
		}
		conn, err := net.DialTimeout("tcp", u.Host, time.Second)
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			left = append(left, fmt.Errorf("%s is not closed: %w", u.Host, err))
		}
	}
	return errors.Join(left...)
}

// CopyBinary puts the binary where every user can run it.
func CopyBinary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(Dir(t), "tollgate")
	from, err := os.Open(Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
