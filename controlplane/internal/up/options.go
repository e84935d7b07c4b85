package up

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
)

// Options is what to run, and where.
type Options struct {
	// Demo applies the demo's catalog and makes its customers.
	Demo bool
	// Nodes and ControlPlanes are how many of each.
	Nodes, ControlPlanes int
	// Respawn: children that die are started again.
	Respawn bool
	// ProxyAddr and AdminAddr are host:port.
	ProxyAddr, AdminAddr string
	// NATSAddr is host:port of NATS, for nodes on other machines; empty: a free port of this one.
	NATSAddr string
	// DataDir holds all state.
	DataDir string
	// ReadyFile is written once all is ready; empty: none.
	ReadyFile string
	// DatabaseURL, if set, is a Postgres that runs already.
	DatabaseURL string
	// Executable is the program whose subcommands are the children.
	Executable string
	// SearchPath is like $PATH.
	SearchPath string
}

// maxProcesses bounds nodes, and control planes.
const maxProcesses = 64

func (o *Options) validate() error {
	switch {
	case o.Nodes < 1 || o.Nodes > maxProcesses:
		return fmt.Errorf("--nodes is %d: give 1 to %d", o.Nodes, maxProcesses)
	case o.ControlPlanes < 1 || o.ControlPlanes > maxProcesses:
		return fmt.Errorf("--controlplanes is %d: give 1 to %d", o.ControlPlanes, maxProcesses)
	case o.DataDir == "":
		return errors.New("--data-dir is empty: name a folder")
	}
	addresses := [][2]string{{"--proxy-addr", o.ProxyAddr}, {"--admin-addr", o.AdminAddr}}
	if o.NATSAddr != "" {
		host, port, err := net.SplitHostPort(o.NATSAddr)
		if ip := net.ParseIP(host); err == nil && (host == "" || port == "0" || ip != nil && ip.IsUnspecified()) {
			// Nodes are told this address, and NATS's certificate is for it.
			return fmt.Errorf("--nats-addr %q names no address that nodes could reach: give one of this machine, such as 10.0.0.5:4222", o.NATSAddr)
		}
		addresses = append(addresses, [2]string{"--nats-addr", o.NATSAddr})
	}
	for _, a := range addresses {
		if _, port, err := net.SplitHostPort(a[1]); err != nil || port == "" {
			return fmt.Errorf("%s %q is not host:port, such as 127.0.0.1:8080", a[0], a[1])
		}
	}
	for _, path := range []*string{&o.DataDir, &o.ReadyFile} {
		if *path == "" {
			continue
		}
		full, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = full
	}
	return nil
}
