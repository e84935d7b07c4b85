package up

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sharedSockets are listening sockets of one address, one for each node. This process never accepts on them.
type sharedSockets struct {
	addr  string
	files []*os.File
}

// listenShared opens n sockets, among which the kernel shares out connections evenly. Where it cannot, there is one.
func listenShared(ctx context.Context, addr string, n int) (*sharedSockets, error) {
	s := &sharedSockets{addr: addr}
	// With SO_REUSEPORT a port that another process of this user shares would look free.
	probe, err := listen(ctx, net.ListenConfig{}, addr, "--proxy-addr")
	if err != nil {
		return nil, err
	}
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("close %s: %w", addr, err)
	}
	reuse := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, failed)
	}}
	for range n {
		f, err := listenFile(ctx, reuse, s.addr)
		if err != nil && len(s.files) > 0 {
			break
		}
		if err != nil {
			f, err = listenFile(ctx, net.ListenConfig{}, s.addr)
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.files = append(s.files, f)
		if len(s.files) == 1 {
			// The port was chosen now, where none was asked for.
			if s.addr, err = addressOf(f); err != nil {
				return nil, errors.Join(err, s.Close())
			}
		}
	}
	return s, nil
}

// listenFile returns the socket itself, non-blocking. The mode is the socket's, so all its holders share it: were it the File of
// a net.Listener, each start of a child would make it block in the nodes that run already.
func listenFile(ctx context.Context, cfg net.ListenConfig, addr string) (*os.File, error) {
	l, err := listen(ctx, cfg, addr, "--proxy-addr")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	t, ok := l.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listen on %s: not a TCP socket", addr)
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	var (
		own    int
		failed error
	)
	err = raw.Control(func(fd uintptr) { own, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("keep the socket of %s: %w", addr, err)
	}
	// A file made of a blocking descriptor is not polled: this process need not wake up for each connection.
	err = unix.SetNonblock(own, false)
	f := os.NewFile(uintptr(own), "listener "+l.Addr().String())
	if err := errors.Join(err, unix.SetNonblock(own, true)); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the socket of %s: %w", addr, err), f.Close())
	}
	return f, nil
}

func addressOf(f *os.File) (string, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return "", fmt.Errorf("ask %s for its address: %w", f.Name(), err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// listen fails with a line that names the flag to change.
func listen(ctx context.Context, cfg net.ListenConfig, addr, flag string) (net.Listener, error) {
	l, err := cfg.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is taken by another process: stop that one, or choose another address by %s", addr, flag)
	case err != nil:
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another address by %s", addr, err, flag)
	}
	return l, nil
}

// Close ends this process's hold of the sockets.
func (s *sharedSockets) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	s.files = nil
	return errors.Join(errs...)
}

// urlOf is how a client on this machine reaches a listening address.
func urlOf(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
