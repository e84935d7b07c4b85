package front

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Nodes of one machine share an address. Whoever starts them opens a SO_REUSEPORT socket for each, keeps all of them open, and hands
// all to every node. The kernel spreads connections evenly over the sockets. A node accepts at once on its own; on another's it
// accepts what the other has left waiting for patience, so that connections to a node that has died, or is starting, are served.

const (
	// patience is how long a connection has to wait before another node than its own takes it.
	patience = 25 * time.Millisecond
	// looks is how many times in that time the socket is looked at: one whose owner is alive is seen empty.
	looks = 5
)

// Shared makes listeners of count inherited sockets, the first of them file descriptor first; index is the node's own. The
// descriptors are the listeners' from here on; that of whoever opened the sockets stays open.
func Shared(first, count, index int) ([]net.Listener, error) {
	var listeners []net.Listener
	fail := func(err error) ([]net.Listener, error) {
		for _, l := range listeners {
			l.Close()
		}
		return nil, err
	}
	for i := range count {
		fd := first + i
		if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || v != 1 {
			return fail(fmt.Errorf("file descriptor %d is not a listening socket: shared listeners are handed over by the process that starts the nodes", fd))
		}
		unix.CloseOnExec(fd)
		l, err := listenerOf(fd, i == index)
		if err != nil {
			return fail(err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func listenerOf(fd int, own bool) (net.Listener, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("shared listener %d: %w", fd, err)
	}
	f := os.NewFile(uintptr(fd), "shared listener")
	l, err := net.FileListener(f) // Works on a duplicate.
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("shared listener %d: %w", fd, err)
	}
	if own {
		f.Close()
		return l, nil
	}
	addr := l.Addr()
	l.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("shared listener %d: %w", fd, err)
	}
	return &patient{file: f, raw: raw, addr: addr, closed: make(chan struct{})}, nil
}

// patient is a net.Listener on another node's socket.
type patient struct {
	file *os.File
	raw  syscall.RawConn
	addr net.Addr

	once   sync.Once
	closed chan struct{}
	// taken is true while connections come that no one else takes: those behind the first one have waited, too.
	taken atomic.Bool
}

// Accept waits for a connection that its node leaves waiting.
func (p *patient) Accept() (net.Conn, error) {
	for {
		if !p.taken.Swap(false) {
			if err := p.await(); err != nil {
				return nil, err
			}
		}
		conn, err := p.accept()
		if err != nil {
			return nil, err
		}
		if conn != nil {
			p.taken.Store(true)
			return conn, nil
		}
	}
}

// await returns when the socket has had a connection waiting at each look during patience.
func (p *patient) await() error {
	for {
		if err := p.raw.Read(waiting); err != nil {
			return p.gone(err)
		}
		left := true
		for range looks {
			timer := time.NewTimer(patience / looks)
			select {
			case <-p.closed:
				timer.Stop()
				return net.ErrClosed
			case <-timer.C:
			}
			if err := p.raw.Control(func(fd uintptr) { left = waiting(fd) }); err != nil {
				return p.gone(err)
			}
			if !left {
				break
			}
		}
		if left {
			return nil
		}
	}
}

// waiting reports whether a connection waits on a socket, without taking it.
func waiting(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLIN != 0
}

// accept takes a connection if there is still one.
func (p *patient) accept() (net.Conn, error) {
	var nfd int
	var failed error
	err := p.raw.Control(func(fd uintptr) {
		nfd, _, failed = unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	})
	if err != nil {
		return nil, p.gone(err)
	}
	switch {
	case failed == nil:
	case errors.Is(failed, unix.EAGAIN), errors.Is(failed, unix.EINTR), errors.Is(failed, unix.ECONNABORTED):
		return nil, nil
	default:
		// A syscall.Errno tells http.Server which failures pass, as having no descriptor left does.
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: p.addr, Err: failed}
	}
	f := os.NewFile(uintptr(nfd), "connection")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("accept on a shared listener: %w", err)
	}
	return conn, nil
}

func (p *patient) gone(err error) error {
	select {
	case <-p.closed:
		return net.ErrClosed
	default:
	}
	if errors.Is(err, fs.ErrClosed) {
		return net.ErrClosed
	}
	return fmt.Errorf("shared listener: %w", err)
}

// Close closes this node's hold of the socket. It may be called twice.
func (p *patient) Close() error {
	p.once.Do(func() { close(p.closed) })
	if err := p.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close a shared listener: %w", err)
	}
	return nil
}

// Addr is the shared address.
func (p *patient) Addr() net.Addr { return p.addr }
