package up

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// forwardWait bounds how long a connection waits for a control plane that takes it: one that was killed is back by then.
	forwardWait  = 5 * time.Second
	forwardEvery = 50 * time.Millisecond
	dialTimeout  = time.Second
)

// forwarder takes connections at one address and passes each on to one of the targets that accepts it.
type forwarder struct {
	listener net.Listener
	targets  []string
	turn     atomic.Uint64
	ctx      context.Context
	end      context.CancelFunc
	all      sync.WaitGroup
}

// startForwarder serves l until Close.
func startForwarder(ctx context.Context, l net.Listener, targets []string) *forwarder {
	f := &forwarder{listener: l, targets: targets}
	f.ctx, f.end = context.WithCancel(context.WithoutCancel(ctx))
	f.all.Go(f.accept)
	return f
}

// Close ends the listener and all connections, and returns when they are gone. It may be called more than once.
func (f *forwarder) Close() error {
	f.end()
	err := f.listener.Close()
	f.all.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (f *forwarder) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			if f.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, say: that passes.
			select {
			case <-f.ctx.Done():
				return
			case <-time.After(forwardEvery):
			}
			continue
		}
		f.all.Go(func() { f.pass(conn) })
	}
}

// pass copies both ways until both sides ended, or Close.
func (f *forwarder) pass(client net.Conn) {
	defer client.Close()
	server, err := f.dial()
	if err != nil {
		return // No control plane lives: the client finds its connection closed.
	}
	defer server.Close()
	stop := context.AfterFunc(f.ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { copyOneWay(server, client) })
	both.Go(func() { copyOneWay(client, server) })
	both.Wait()
}

// copyOneWay passes on the end of the stream, too; a failure ends both ways.
func copyOneWay(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil {
		_, _ = to.Close(), from.Close()
	}
}

// dial tries each target, beginning with the next in turn, again and again until one accepts.
func (f *forwarder) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(f.ctx, forwardWait)
	defer cancel()
	dialer := net.Dialer{Timeout: dialTimeout}
	for first := f.turn.Add(1); ; {
		for i := range uint64(len(f.targets)) {
			conn, err := dialer.DialContext(ctx, "tcp", f.targets[(first+i)%uint64(len(f.targets))])
			if err == nil {
				return conn, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(forwardEvery):
		}
	}
}
