package system

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Load is a run of GET requests over keep-alive connections. Nothing is tried twice.
type Load struct {
	URLs        []string // Connections are spread over them.
	Key         string
	Requests    int // 0: until Stop or For has passed.
	For         time.Duration
	Connections int

	mu     sync.Mutex
	counts map[int]int // By status; 0 is a broken connection.
	stop   context.CancelFunc
	done   chan struct{}
}

// Start begins the run.
func (l *Load) Start(t testing.TB) *Load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if l.For > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), l.For)
	}
	l.stop, l.done, l.counts = cancel, make(chan struct{}), map[int]int{}
	var left atomic.Int64
	left.Store(int64(l.Requests))
	var wg sync.WaitGroup
	for i := range l.Connections {
		wg.Go(func() { l.connection(ctx, l.URLs[i%len(l.URLs)], &left) })
	}
	go func() {
		wg.Wait()
		close(l.done)
	}()
	t.Cleanup(func() { l.stop(); <-l.done })
	return l
}

// connection sends one request after another on one connection of its own, and opens the next where it broke. It speaks
// HTTP itself because an http.Transport sends a GET again by itself where a kept connection broke.
func (l *Load) connection(ctx context.Context, target string, left *atomic.Int64) {
	counts := map[int]int{}
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for k, v := range counts {
			l.counts[k] += v
		}
	}()
	u, err := url.Parse(target)
	if err != nil {
		counts[0]++
		return
	}
	head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", u.RequestURI(), u.Host, l.Key)
	var conn net.Conn
	var r *bufio.Reader
	drop := func() {
		if conn != nil {
			conn.Close()
			conn = nil
		}
	}
	defer drop()
	for ctx.Err() == nil {
		if l.Requests > 0 && left.Add(-1) < 0 {
			return
		}
		if conn == nil {
			if conn, err = net.DialTimeout("tcp", u.Host, 10*time.Second); err != nil {
				conn = nil
				counts[0]++
				continue
			}
			r = bufio.NewReader(conn)
		}
		// Not bound to the run's end: a request that began is answered and counted.
		status, again := one(conn, r, head)
		counts[status]++
		if !again {
			drop()
		}
	}
}

// one sends a request and reads the answer: status 0 where the connection broke. again: the connection is good for another.
func one(conn net.Conn, r *bufio.Reader, head string) (status int, again bool) {
	if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return 0, false
	}
	if _, err := io.WriteString(conn, head); err != nil {
		return 0, false
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, false
	}
	return res.StatusCode, !res.Close
}

// Wait waits for the run's end and returns how often each status came; 0 is a broken connection.
func (l *Load) Wait() map[int]int {
	<-l.done
	return l.counts
}

// Stop ends the run, waits, and returns as Wait does.
func (l *Load) Stop() map[int]int {
	l.stop()
	return l.Wait()
}
