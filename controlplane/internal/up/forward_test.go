package up

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

func TestForwarder_GoesToTheOneThatLives(t *testing.T) {
	t.Parallel()
	noForks(t)
	alive, dead := greeter(t, "alive"), greeter(t, "dead")
	f := forwarderTo(t, dead.Addr().String(), alive.Addr().String())
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if got := greeting(t, f); got != "alive" {
			t.Errorf("greeted by %q", got)
		}
	}
}

func TestForwarder_WaitsForOneThatComesBack(t *testing.T) {
	t.Parallel()
	noForks(t)
	first := greeter(t, "first")
	addr := first.Addr().String()
	f := forwarderTo(t, addr)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string)
	go func() { answered <- greeting(t, f) }()
	select {
	case got := <-answered:
		t.Fatalf("answered %q while nobody lived", got)
	case <-time.After(3 * forwardEvery):
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	greet(t, l, "second")
	if got := <-answered; got != "second" {
		t.Errorf("greeted by %q", got)
	}
}

func TestForwarder_CloseEndsOpenConnections(t *testing.T) {
	t.Parallel()
	noForks(t)
	f := forwarderTo(t, greeter(t, "hello").Addr().String())
	conn, err := net.Dial("tcp", f.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || line != "hello\n" {
		t.Fatalf("greeted by %q, %v", line, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := r.ReadByte(); err == nil {
		t.Errorf("read %q after Close", b)
	}
	if _, err := net.Dial("tcp", f.listener.Addr().String()); err == nil {
		t.Error("it still listens")
	}
	if err := f.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// greeter says a line to each client, and holds the connection until the client ends it.
func greeter(t *testing.T, line string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	greet(t, l, line)
	return l
}

func greet(t *testing.T, l net.Listener, line string) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, line)
				_, _ = io.Copy(io.Discard, conn) // Until the client is gone.
			}()
		}
	}()
}

func greeting(t *testing.T, f *forwarder) string {
	t.Helper()
	conn, err := net.Dial("tcp", f.listener.Addr().String())
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Error(err)
		return ""
	}
	return line[:len(line)-1]
}

func forwarderTo(t *testing.T, targets ...string) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := startForwarder(t.Context(), l, targets)
	t.Cleanup(func() { f.Close() })
	return f
}
