package sample

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// Command is the hidden `tollgate sample`. It serves until the command's context ends.
func Command() *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:    "sample",
		Short:  "Run a small service to try Tollgate with",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), addr)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:9000", "where to listen")
	return cmd
}

// drain bounds how long open requests may take once the service is told to stop.
const drain = 2 * time.Second

// serve keeps idle connections for ever: a proxy that reuses one must not meet a service that just closed it.
func serve(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("the sample service cannot listen on %s: %w", addr, err)
	}
	s := &http.Server{Handler: NewHandler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := s.Shutdown(end); err != nil {
		return errors.Join(fmt.Errorf("open requests did not end in %s: %w", drain, err), s.Close())
	}
	return nil
}
