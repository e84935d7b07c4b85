package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asSupervisor makes the test binary a supervisor that the test can kill.
const asSupervisor = "TEST_AS_SUPERVISOR"

func TestMain(m *testing.M) {
	if log := os.Getenv(asSupervisor); log != "" {
		started := make(chan int, 1)
		s := NewSupervisor(Config{Respawn: true, Logger: slog.New(slog.DiscardHandler), Changed: func(e Event) { started <- e.PID }})
		s.Start(Spec{Name: "orphan", Path: "/bin/sleep", Args: []string{"1000"}, LogPath: log, Orphan: syscall.SIGKILL})
		fmt.Println(<-started)
		select {}
	}
	os.Exit(m.Run())
}

func TestChild_ComesBackAfterEveryDeath(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 100)
	s := setup(t, Config{Respawn: true, Changed: func(e Event) { events <- e }})
	c := s.Start(sleeper(t))
	t.Cleanup(func() { _ = c.Kill() })
	pids := map[int]bool{}
	for i := range 3 {
		e := <-events
		if e.PID == 0 || e.PID != c.PID() || pids[e.PID] || e.Restart != (i > 0) {
			t.Fatalf("start %d: %+v, child's pid %d, known %v", i, e, c.PID(), pids)
		}
		pids[e.PID] = true
		if err := syscall.Kill(e.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if e := <-events; e.Cause == nil || e.Final {
			t.Fatalf("death %d: %+v", i, e)
		}
	}
}

func TestChild_StaysDeadWithoutRespawn(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 100)
	s := setup(t, Config{Changed: func(e Event) { events <- e }})
	c := s.Start(sleeper(t))
	if err := syscall.Kill((<-events).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := <-events; !e.Final {
		t.Errorf("death %+v is not final", e)
	}
	<-c.done
	if err := c.Stop(time.Second); err != nil {
		t.Errorf("stop of a dead child: %v", err)
	}
}

func TestChild_StopEndsTheSuspendedTheDeafAndTheDead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		before syscall.Signal
	}{
		"willing":   {script: "sleep 1000"},
		"suspended": {script: "sleep 1000", before: syscall.SIGSTOP},
		"deaf":      {script: "trap '' TERM; sleep 1000 & wait; sleep 1000"},
		"dead":      {script: "sleep 1000", before: syscall.SIGKILL},
		"failing":   {script: "exit 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := make(chan Event, 100)
			s := setup(t, Config{Respawn: true, Changed: func(e Event) { events <- e }})
			spec := sleeper(t)
			spec.Path, spec.Args = "/bin/sh", []string{"-c", test.script}
			c := s.Start(spec)
			pid := (<-events).PID
			if test.before != 0 {
				if err := syscall.Kill(pid, test.before); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Stop(300 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			for _, p := range append(descendants(c.PID()), c.PID()) {
				awaitGone(t, p)
			}
			if err := c.Stop(time.Second); err != nil {
				t.Errorf("stopped again: %v", err)
			}
		})
	}
}

func TestAwaitReady_FailsOnceTheChildDiedTooOften(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{Respawn: true})
	spec := sleeper(t)
	spec.Path, spec.Args, spec.Deaths = "/bin/sh", []string{"-c", "echo no luck >&2; exit 1"}, 2
	spec.Ready = func(context.Context) error { return errors.New("not yet") }
	c := s.Start(spec)
	t.Cleanup(func() { _ = c.Kill() })
	if err := c.AwaitReady(t.Context()); !errors.Is(err, ErrDied) {
		t.Errorf("error %v, want ErrDied", err)
	}
	raw, err := os.ReadFile(spec.LogPath)
	if err != nil || strings.Count(string(raw), "no luck") != 3 {
		t.Errorf("log %q, %v: want what all three said", raw, err)
	}
}

func TestRun_ReportsFailureAndKeepsWhatWasSaid(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	spec := sleeper(t)
	spec.Path, spec.Args = "/bin/sh", []string{"-c", "echo said; exit 4"}
	var exit *exec.ExitError
	if err := s.Run(t.Context(), spec); !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Errorf("error %v, want exit code 4", err)
	}
	if raw, err := os.ReadFile(spec.LogPath); err != nil || string(raw) != "said\n" {
		t.Errorf("log %q, %v", raw, err)
	}
}

func setup(t *testing.T, cfg Config) *Supervisor {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	s := NewSupervisor(cfg)
	t.Cleanup(s.Close)
	return s
}

func sleeper(t *testing.T) Spec {
	t.Helper()
	return Spec{
		Name: "sleeper", Path: "/bin/sleep", Args: []string{"1000"}, LogPath: filepath.Join(t.TempDir(), "log"),
		Stop: []syscall.Signal{syscall.SIGTERM}, Orphan: syscall.SIGKILL,
	}
}

func await(t *testing.T, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline:
			t.Fatal("not within 10 s")
		case <-tick.C:
		}
	}
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	await(t, func() bool { return !alive(pid) })
}

// alive is false for a zombie: one whose parent has not looked yet.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(state, "Z")
}
