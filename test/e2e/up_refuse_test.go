package e2e

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/test/system"
)

// A start that cannot succeed says why and what to do in one line, and leaves nothing behind.
func TestUp_RefusesInOneLineThatSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	top := system.Dir(t)
	data := func(name string) string { return filepath.Join(top, name) }
	file := data("file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nobodyListens := "127.0.0.1:1"
	up := []string{"up", "--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}
	for _, c := range []struct {
		name string
		args []string
		env  string
		says []string
	}{
		{name: "unknown flag", args: []string{"up", "--nodez", "2"}, says: []string{"--nodez", "tollgate up --help"}},
		{name: "wrong value", args: []string{"up", "--nodes", "many"}, says: []string{"--nodes", "tollgate up --help"}},
		{name: "no nodes", args: []string{"up", "--nodes", "0"}, says: []string{"--nodes", "1 to"}},
		{name: "unknown command", args: []string{"upp"}, says: []string{"upp", "tollgate --help"}},
		{name: "argument", args: []string{"up", "now"}, says: []string{"now", "tollgate up --help"}},
		{name: "proxy port taken", args: append(up, "--data-dir", data("a"), "--proxy-addr", taken.Addr().String()), says: []string{taken.Addr().String(), "taken", "--proxy-addr"}},
		{name: "admin port taken", args: append(up, "--data-dir", data("b"), "--admin-addr", taken.Addr().String()), says: []string{taken.Addr().String(), "taken", "--admin-addr"}},
		{name: "no such address", args: append(up, "--data-dir", data("c"), "--proxy-addr", "192.0.2.1:8080"), says: []string{"192.0.2.1:8080", "--proxy-addr"}},
		{name: "data dir is a file", args: append(up, "--data-dir", file), says: []string{file, "--data-dir", "TOLLGATE_DATA_DIR"}},
		{name: "no folder for the ready file", args: append(up, "--data-dir", data("d"), "--ready-file", data("none/ready.json")), says: []string{"none/ready.json", "--ready-file"}},
		{
			name: "database unreachable", args: append(up, "--data-dir", data("e")), env: "TOLLGATE_DATABASE_URL=postgres://u:hidden@" + nobodyListens + "/x",
			says: []string{nobodyListens, "TOLLGATE_DATABASE_URL"},
		},
		{name: "database malformed", args: append(up, "--data-dir", data("f")), env: "TOLLGATE_DATABASE_URL=localhost", says: []string{"TOLLGATE_DATABASE_URL", "postgres://"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refuses(t, nil, append(os.Environ(), c.env), c.args, c.says)
		})
	}
}

func TestUp_RefusesADataDirThatAnotherHolds(t *testing.T) {
	dir := system.Dir(t)
	s := system.Start(t, dir, "--nodes", "1")
	refuses(t, nil, os.Environ(), []string{"up", "--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data")},
		[]string{filepath.Join(dir, "data"), "in use by another", "--data-dir"})
	last := s.Ready(t)
	// Two signals: nothing is waited for.
	for range 2 {
		if err := syscall.Kill(s.Up(), syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	s.Wait(t, 15*time.Second)
	if err := last.Left(); err != nil {
		t.Error(err)
	}
}

// Root cannot show what an ordinary user meets, so as root these run as another user.
func TestUp_OrdinaryUser(t *testing.T) {
	credential, home := ordinary(t)
	closed := filepath.Join(home, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	if credential != nil {
		if err := os.Chown(closed, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("cannot write the data dir", func(t *testing.T) {
		refuses(t, credential, os.Environ(), []string{"up", "--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", filepath.Join(closed, "data")},
			[]string{closed, "permission denied", "--data-dir"})
	})
	t.Run("runs all", func(t *testing.T) {
		s := system.StartAs(t, credential, home)
		r := s.Ready(t)
		expect(t, r, r.Demo.Keys["enterprise"], "/hello", 200)
		s.Stop(t)
		if err := r.Left(); err != nil {
			t.Error(err)
		}
	})
}

// Postgres refuses to run as root, so as root it runs as a user who must be able to reach its data.
func TestUp_SaysWhatKeepsPostgresUserOut(t *testing.T) {
	if os.Geteuid() != 0 {
		return // An ordinary user's Postgres runs as that user: there is nothing to refuse.
	}
	closed := filepath.Join(system.Dir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	refuses(t, nil, os.Environ(), []string{"up", "--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", filepath.Join(closed, "data")},
		[]string{"cannot enter " + closed + " ", "--data-dir", "TOLLGATE_DATA_DIR"})
}

// refuses runs the binary and wants exit status 1 and one line on stderr with all that is said. Progress lines, which begin
// with a time, may precede it.
func refuses(t *testing.T, credential *syscall.Credential, env, args, says []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), system.Binary(t), args...)
	if credential != nil {
		cmd.Path = system.CopyBinary(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	cmd.Env, cmd.Dir = env, "/"
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v: %v, want exit status 1\n%s", args, err, complaint.String())
	}
	var lines []string
	for line := range strings.Lines(complaint.String()) {
		if !strings.HasPrefix(line, " ") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || out.Len() > 0 {
		t.Errorf("%v says\n%s%s", args, out.String(), complaint.String())
	}
	for _, s := range says {
		if !strings.Contains(complaint.String(), s) {
			t.Errorf("%v does not say %q:\n%s", args, s, complaint.String())
		}
	}
	if strings.Contains(complaint.String(), "hidden") {
		t.Errorf("%v shows a password:\n%s", args, complaint.String())
	}
}

// ordinary is a user who is not root, nil for the one who runs the test, and a folder of that user's.
func ordinary(t *testing.T) (*syscall.Credential, string) {
	t.Helper()
	dir := system.Dir(t)
	if os.Geteuid() != 0 {
		return nil, dir
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, dir
}
