package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/nats-io/nats.go"

	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
	running "tollgate/test/bench/internal/system"
)

// system is a whole system, as `up` starts it.
type system struct {
	up    *running.System
	bin   string
	nodes *enforced
	nats  *nats.Conn

	catalog   adminv1connect.CatalogServiceClient
	customers adminv1connect.CustomerServiceClient
	licenses  adminv1connect.LicenseServiceClient
	fleet     adminv1connect.FleetServiceClient
}

// start brings a system up. It can be stopped even where that failed.
func start(ctx context.Context, o options, dir string) (*system, error) {
	s := &system{bin: o.bin}
	var err error
	if s.up, err = running.Start(ctx, o.bin, dir, "--nodes", strconv.Itoa(o.nodes), "--controlplanes", strconv.Itoa(o.planes)); err != nil {
		return s, err
	}
	return s, s.connect(o.nodes)
}

func (s *system) connect(nodes int) error {
	r := &s.up.Ready
	c := s.up.Client(64)
	s.catalog = adminv1connect.NewCatalogServiceClient(c, r.AdminURL)
	s.customers = adminv1connect.NewCustomerServiceClient(c, r.AdminURL)
	s.licenses = adminv1connect.NewLicenseServiceClient(c, r.AdminURL)
	s.fleet = adminv1connect.NewFleetServiceClient(c, r.AdminURL)
	var err error
	if s.nats, err = nats.Connect(r.NATSURL, nats.UserCredentials(r.NATSAdminCreds), nats.RootCAs(r.NATSCA)); err != nil {
		return err
	}
	s.nodes, err = watch(s.nats, nodes)
	return err
}

// tollgate runs the CLI.
func (s *system) tollgate(ctx context.Context, input []byte, args ...string) error {
	cmd := exec.CommandContext(ctx, s.bin, args...)
	cmd.Env = append(os.Environ(), "TOLLGATE_DATA_DIR="+s.up.Ready.DataDir)
	cmd.Stdin = bytes.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tollgate %v: %w: %s", args, err, out)
	}
	return nil
}

func (s *system) stop() error {
	if s.nats != nil {
		s.nats.Close()
	}
	return s.up.Stop()
}
