package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/test/system"
)

// With Postgres, NATS and the control plane gone, a node that was stopped starts again from its disk and decides as before. One that was
// killed wants to hear first that its rules are current.
func TestI8_ANodeStartsWithEverythingElseDown(t *testing.T) {
	s := system.Start(t, system.Dir(t), "--no-respawn")
	r := s.Ready(t)
	var lives [][]string
	for i, node := range r.Nodes {
		args := system.Arguments(t, node.PID)
		lives = append(lives, args)
		signal := []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}[i]
		if err := syscall.Kill(node.PID, signal); err != nil {
			t.Fatal(err)
		}
		system.Eventually(t, 20*time.Second, node.Name+" ends", func() error {
			if system.Alive(node.PID) {
				return fmt.Errorf("process %d lives", node.PID)
			}
			return nil
		})
	}
	for _, name := range []string{"nats", "cp-1", "postgres"} {
		s.Kill(t, name)
	}
	for i, node := range r.Nodes {
		cmd := exec.Command(lives[i][0], lives[i][1:]...)
		out := &bytes.Buffer{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // It may have ended.
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("%s: %s", node.Name, out)
			}
		})
	}
	stopped, killed := r.Nodes[0], r.Nodes[1]
	for _, want := range []struct {
		key, path string
		status    int
	}{
		{"enterprise", "/hello", http.StatusOK}, {"enterprise", "/reports/x", http.StatusOK}, {"free", "/reports/x", http.StatusForbidden}, {"expired", "/hello", http.StatusForbidden},
	} {
		system.Eventually(t, 15*time.Second, fmt.Sprintf("%s of %s is %d", want.path, want.key, want.status), func() error {
			code, body, err := system.Get(stopped.ProxyURL+want.path, r.Demo.Keys[want.key])
			if err != nil || code != want.status {
				return fmt.Errorf("%d %s, %w", code, body, err)
			}
			return nil
		})
	}
	if code, body, err := system.Get(killed.ProxyURL+"/hello", r.Demo.Keys["enterprise"]); err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "rules_unavailable") {
		t.Errorf("the killed node answers %d %s, %v", code, body, err)
	}
}
