package up

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// reserve binds the port and never listens. A bind of another who does not set SO_REUSEADDR before it fails, as this one's does, so two
// reservations never meet; a server, which sets it, may bind and listen.
func reserve(port int) (io.Closer, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "reservation")
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind", err), f.Close())
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, errors.Join(os.NewSyscallError("setsockopt", err), f.Close())
	}
	return f, nil
}
