package front

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// response is the client's side of an exchange. It adds Tollgate's own headers to the final header, last, so that nothing an
// upstream sends before, as a 103, takes them away; and it counts.
type response struct {
	http.ResponseWriter
	exchange *exchange

	status int
	began  time.Time
	bytes  atomic.Int64
	broken bool // The client cannot be written to.
}

// Unwrap lets http.ResponseController flush.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		stripOwn(w.Header())
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.status == 0 {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) begin(status int) {
	w.status, w.began = status, time.Now()
	x := w.exchange
	h := w.Header()
	h[headerDecision] = []string{x.entry.ID}
	setLimits(h, x.verdict.Limits())
	if x.front.draining.Load() {
		h["Connection"] = []string{"close"}
	}
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes.Add(int64(n))
	if err != nil {
		w.broken = true
	}
	return n, err
}

// Hijack hands out the connection of a request that switches protocols.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.begin(http.StatusSwitchingProtocols)
	w.Header().Del("Connection") // The upstream's says Upgrade.
	return &countedConn{Conn: conn, in: &w.exchange.bytesIn, out: &w.bytes}, buf, nil
}

// countedConn counts what passes through an upgraded connection.
type countedConn struct {
	net.Conn
	in, out *atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}

// CloseWrite passes a half close on.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
