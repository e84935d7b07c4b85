package up

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenShared_SocketsOutliveAChildAndStayNonBlocking(t *testing.T) {
	t.Parallel()
	s, err := listenShared(t.Context(), "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if len(s.files) != 3 {
		t.Fatalf("%d sockets", len(s.files))
	}
	// A child that starts must not make the sockets of those that run already block: the mode is the socket's, not the descriptor's.
	cmd := exec.CommandContext(t.Context(), "/bin/true")
	cmd.ExtraFiles = s.files
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for i, f := range s.files {
		raw, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var flags int
		if err := raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }); err != nil {
			t.Fatal(err)
		}
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("socket %d: flags %x, %v: it blocks", i, flags, err)
		}
	}
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatalf("nobody accepts yet, and the kernel refuses: %v", err)
	}
	conn.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("closed, and connections are taken")
	}
}

func TestListenShared_SaysThatAPortIsTaken(t *testing.T) {
	t.Parallel()
	first, err := listenShared(t.Context(), "127.0.0.1:0", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	// With SO_REUSEPORT alone the second would get in.
	_, err = listenShared(t.Context(), first.addr, 2)
	want := fmt.Sprintf("%s is taken by another process: stop that one, or choose another address by --proxy-addr", first.addr)
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// noForks keeps other tests from forking until this one ends: a child has a listener that is closed meanwhile, until it comes to its program.
func noForks(t *testing.T) {
	t.Helper()
	syscall.ForkLock.RLock()
	t.Cleanup(syscall.ForkLock.RUnlock)
}

func TestPorts_AreHeldForTheChildTheyAreFor(t *testing.T) {
	t.Parallel()
	var p ports
	defer p.Close()
	port, err := p.take()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reserve(port); err == nil {
		t.Error("two hold the same port")
	}
	noForks(t)
	for range 2 {
		l, err := net.Listen("tcp", local(port))
		if err != nil {
			t.Fatalf("the child cannot listen: %v", err)
		}
		l.Close()
		if _, err := net.Dial("tcp", local(port)); err == nil {
			t.Error("nobody listens, and connections are taken")
		}
	}
}

func TestURLOf_IsReachableFromThisMachine(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:80": "http://127.0.0.1:80", "0.0.0.0:80": "http://127.0.0.1:80", "[::]:80": "http://127.0.0.1:80",
		":80": "http://127.0.0.1:80", "[::1]:80": "http://[::1]:80", "localhost:80": "http://localhost:80",
	} {
		if got := urlOf(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestOptions_RefusalsAreOneLine(t *testing.T) {
	t.Parallel()
	good := Options{Nodes: 1, ControlPlanes: 1, DataDir: "x", ProxyAddr: "127.0.0.1:1", AdminAddr: "127.0.0.1:2"}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"--nodes":         func(o *Options) { o.Nodes = 0 },
		"--controlplanes": func(o *Options) { o.ControlPlanes = -1 },
		"--data-dir":      func(o *Options) { o.DataDir = "" },
		"--proxy-addr":    func(o *Options) { o.ProxyAddr = "8080" },
		"--admin-addr":    func(o *Options) { o.AdminAddr = "localhost" },
	} {
		o := good
		spoil(&o)
		if err := o.validate(); err == nil || !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
