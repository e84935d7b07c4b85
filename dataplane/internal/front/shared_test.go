package front_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/dataplane/internal/front"
)

// reuseport opens n sockets on one free address, as the process that starts nodes does.
func reuseport(t *testing.T, n int) (addr string, files []*os.File) {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		if err != nil {
			return err
		}
		return failed
	}}
	addr = "127.0.0.1:0"
	for range n {
		l, err := lc.Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		addr = l.Addr().String()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	return addr, files
}

// childEnv makes the test binary a node of shared listeners: it says its index to each connection.
const childEnv = "FRONT_TEST_SHARED_INDEX"

func TestMain(m *testing.M) {
	if index := os.Getenv(childEnv); index != "" {
		if err := serveIndex(index, os.Getenv("FRONT_TEST_SHARED_COUNT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func serveIndex(index, count string) error {
	i, err := strconv.Atoi(index)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	listeners, err := front.Shared(3, n, i)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for _, l := range listeners {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprintln(c, index)
				c.Close()
			}
		}()
	}
	// Its parent is gone, or is done with it.
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// startChild starts a process on the sockets.
func startChild(t *testing.T, files []*os.File, index int) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strconv.Itoa(index), "FRONT_TEST_SHARED_COUNT="+strconv.Itoa(len(files)))
	cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait() // Some are killed by their test.
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "listening\n" {
		t.Fatalf("child %d: %q, %v", index, line, err)
	}
	return cmd
}

// ask opens a connection and returns who accepted it.
func ask(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("a connection was not served: %v", err)
	}
	return strings.TrimSpace(line)
}

func TestShared_BalancesAndTakesOverFromADeadNode(t *testing.T) {
	t.Parallel()
	addr, files := reuseport(t, 2)
	first := startChild(t, files, 0)
	startChild(t, files, 1)
	count := func(n int) map[string]int {
		got := map[string]int{}
		for range n {
			got[ask(t, addr)]++
		}
		return got
	}
	// The kernel's spread is binomial: fewer than 60 of 300 would come once in 10^26 times.
	if got := count(300); got["0"] < 60 || got["1"] < 60 {
		t.Errorf("spread %v", got)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // It was killed.
	if got := count(40); got["1"] != 40 {
		t.Errorf("after a node died: %v", got)
	}
	startChild(t, files, 0)
	if got := count(300); got["0"] < 60 {
		t.Errorf("after the node came back: %v", got)
	}
}

func TestShared_LeavesALiveNodeItsConnections(t *testing.T) {
	t.Parallel()
	addr, files := reuseport(t, 2)
	// Only a patient listener is there for the second socket, and it is the first one's owner.
	listeners, err := front.Shared(dup(t, files), 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	patient := listeners[1]
	accepted := make(chan time.Time, 100)
	for _, l := range listeners {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if l == patient {
					accepted <- time.Now()
				}
				c.Close()
			}
		}()
	}
	// Connect until the kernel has chosen the second socket.
	for taken := false; !taken; {
		start := time.Now()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Read(make([]byte, 1)) // Ends when the connection was accepted and closed.
		c.Close()
		select {
		case at := <-accepted:
			taken = true
			if at.Sub(start) < 20*time.Millisecond {
				t.Errorf("taken from its node after %s", at.Sub(start))
			}
		default:
		}
	}
	for _, l := range listeners {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := l.Accept(); err == nil {
			t.Error("accepted after Close")
		}
	}
}

// dup makes consecutive descriptors of the sockets, and returns the first one.
func dup(t *testing.T, files []*os.File) int {
	t.Helper()
	const first = 700
	for i, f := range files {
		if err := unix.Dup2(int(f.Fd()), first+i); err != nil {
			t.Fatal(err)
		}
	}
	return first
}

func TestShared_RefusesWhatIsNoListeningSocket(t *testing.T) {
	t.Parallel()
	if _, err := front.Shared(900, 1, 0); err == nil || !strings.Contains(err.Error(), "900 is not a listening socket") {
		t.Errorf("error %v", err)
	}
}

func TestDrain_FinishesRequestsAndTellsClientsToClose(t *testing.T) {
	t.Parallel()
	inside, release := make(chan struct{}, 1), make(chan struct{})
	h := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo/slow" {
			inside <- struct{}{}
			<-release
		}
		fmt.Fprint(w, "done")
	})
	// Also where the test fails: the upstream ends only when its requests do.
	finish := sync.OnceFunc(func() { close(release) })
	t.Cleanup(finish)
	idle, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	in := bufio.NewReader(idle)
	request := "GET /hello HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + h.keys["pro"] + "\r\n\r\n"
	answer := func() (status int, last bool) {
		t.Helper()
		if _, err := io.WriteString(idle, request); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res.StatusCode, res.Close
	}
	if _, last := answer(); last {
		t.Fatal("closed before the drain")
	}
	slow := make(chan response, 1)
	go func() { slow <- h.get("pro", "/echo/slow") }()
	<-inside
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		drained <- h.server.Drain(ctx)
	}()
	// A client that goes on is answered, and told that this was the last time …
	for {
		status, last := answer()
		if status != 200 {
			t.Errorf("while draining: %d", status)
		}
		if last {
			break
		}
	}
	// … and no one new is accepted.
	for {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			break
		}
		c.Close()
	}
	finish()
	if res := <-slow; res.StatusCode != 200 || string(res.body) != "done" {
		t.Errorf("the open request got %d %q", res.StatusCode, res.body)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	if len(h.ledger.settled) != len(h.ledger.intents) {
		t.Errorf("%d of %d settled after Drain", len(h.ledger.settled), len(h.ledger.intents))
	}
}

func TestDrain_EndsAndSettlesWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{}, 1)
	h := setup(t, func(_ http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-r.Context().Done()
	})
	got := make(chan response, 1)
	go func() { got <- h.get("pro", "/hello") }()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.server.Drain(ctx); err == nil || !strings.Contains(err.Error(), "1 requests did not finish") {
		t.Errorf("error %v", err)
	}
	if s := h.ledger.settlement(t); s.Billed || s.Status != 502 {
		t.Errorf("settlement %+v", s)
	}
	if res := <-got; res.StatusCode != 502 {
		t.Errorf("the client got %d", res.StatusCode)
	}
}
