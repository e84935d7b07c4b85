package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestChild_KillEndsDescendantsToo(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 100)
	s := setup(t, Config{Respawn: true, Changed: func(e Event) { events <- e }})
	spec := sleeper(t)
	// The grandchild leaves the process group, like a Postgres backend.
	spec.Path, spec.Args = "/bin/sh", []string{"-c", "setsid sleep 1000 & echo up; wait"}
	c := s.Start(spec)
	pid := (<-events).PID
	var family []int
	await(t, func() bool { family = descendants(pid); return len(family) > 0 })
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, p := range family {
		awaitGone(t, p)
	}
}

func TestSupervisor_LeavesNothingBehindWhenItIsKilled(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), asSupervisor+"="+filepath.Join(t.TempDir(), "log"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(line, &pid); err != nil || !alive(pid) {
		t.Fatalf("child %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("a killed supervisor ended well")
	}
	awaitGone(t, pid)
}
