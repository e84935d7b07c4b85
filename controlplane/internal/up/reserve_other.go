//go:build unix && !linux

package up

import (
	"io"
	"net"
)

// reserve only looks whether the port is free: a socket that holds it would keep its server from listening here.
func reserve(port int) (io.Closer, error) {
	l, err := net.Listen("tcp", local(port))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(nil), l.Close()
}
