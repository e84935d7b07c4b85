package up

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports come from below the range from which the kernel takes those of outgoing connections, so that a child that comes back
// finds its own free.
const (
	firstPort = 20_000
	lastPort  = 32_000
	portTries = 200
)

// ports hands out free ports of 127.0.0.1 and, where the system allows it, holds them: no one else who asks for a free one gets
// them, while the child that they are for can listen.
type ports struct{ held []io.Closer }

// take returns a free port.
func (p *ports) take() (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		held, err := reserve(port)
		if err != nil {
			continue // Taken: the next may not be.
		}
		p.held = append(p.held, held)
		return port, nil
	}
	return 0, fmt.Errorf("no free port of 127.0.0.1 between %d and %d after %d tries", firstPort, lastPort, portTries)
}

// Close lets go of all ports.
func (p *ports) Close() error {
	var errs []error
	for _, h := range p.held {
		errs = append(errs, h.Close())
	}
	p.held = nil
	return errors.Join(errs...)
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
