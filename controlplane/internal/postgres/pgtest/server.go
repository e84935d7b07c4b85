package pgtest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a running server that a test may kill.
type Server struct {
	// URL is of its maintenance database.
	URL string

	bin, data string
	port      int
	owner     *syscall.Credential
	cmd       *exec.Cmd
	done      chan string // How it ended, once it has.
}

// Start runs a server of the test's own.
func Start(tb testing.TB) *Server {
	tb.Helper()
	//nolint:usetesting // The server's user may not enter TempDir.
	dir, err := os.MkdirTemp("", "tollgate-pgtest-")
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	s, err := start(dir)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(s.stop)
	return s
}

// Database makes a database with the current schema, and returns its URL.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	return database(tb, s.URL)
}

// Kill ends the server as a power cut would end it, but for what the kernel has taken.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	if s.done == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil {
		tb.Fatalf("pgtest: kill: %v", err)
	}
	<-s.done
	s.done = nil
}

// Restart starts a killed server on the same data and port.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	// The port may be taken for a moment yet.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	err := s.launch()
	for range 100 {
		if err == nil {
			return
		}
		<-tick.C
		err = s.launch()
	}
	tb.Fatalf("pgtest: restart: %v", err)
}

func start(dir string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, data: filepath.Join(dir, "data")}
	if os.Geteuid() == 0 {
		// The server refuses to run as root.
		if s.owner, err = otherUser(); err != nil {
			return nil, err
		}
		if err := os.Chown(dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return nil, err
		}
	}
	initdb := s.command("initdb", "-D", s.data, "-U", "tollgate", "--auth=trust", "--no-locale", "-E", "UTF8", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	// Another process may take a free port between asking for it and using it.
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.launch(); err == nil {
			return s, s.prepare()
		}
	}
	return nil, err
}

func (s *Server) prepare() error {
	s.URL = "postgres://tollgate@127.0.0.1:" + strconv.Itoa(s.port) + "/postgres?sslmode=disable"
	// No test runs yet, or is to end, that could lend its context.
	if err := prepare(context.Background(), s.URL); err != nil {
		s.stop()
		return err
	}
	return nil
}

// launch starts the server and waits until it says that it is ready.
func (s *Server) launch() error {
	cmd := s.command("postgres", "-D", s.data, "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
		"-c", "max_connections=200", "-c", "log_min_messages=log", "-c", "lc_messages=C", "-c", "logging_collector=off")
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, done := make(chan bool, 1), make(chan string, 1)
	go func() {
		// The log ends when the last of the server's processes has.
		var last []string
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "database system is ready to accept connections") {
				select {
				case ready <- true:
				default:
				}
			}
			last = append(last, lines.Text())
			last = last[max(0, len(last)-20):]
		}
		done <- fmt.Sprintf("postgres ended (%v): %s", cmd.Wait(), strings.Join(last, "\n"))
	}()
	select {
	case <-ready:
		s.cmd, s.done = cmd, done
		return nil
	case how := <-done:
		return errors.New(how)
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		<-done
		return errors.New("postgres was not ready after a minute")
	}
}

// stop ends the server at once; its data is not needed any more.
func (s *Server) stop() {
	if s.done == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.done
	s.done = nil
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = filepath.Dir(s.data)
	cmd.SysProcAttr = attributes(s.owner)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

// binaries is the folder of the newest server's binaries.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	major := func(p string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p)))) // 0 sorts last.
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New("no PostgreSQL server found in /usr/lib/postgresql/*/bin or PATH: install one, like `apt-get install postgresql`")
}

func otherUser() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("running as root, and there is no user postgres or nobody to run the server as")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
