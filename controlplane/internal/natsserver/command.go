package natsserver

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"
)

// Command is the hidden `tollgate nats-server`. It runs until the command's context ends.
func Command() *cobra.Command {
	var dir, addr string
	cmd := &cobra.Command{
		Use:    "nats-server",
		Short:  "Run NATS with JetStream for one machine",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return Run(cmd.Context(), dir, addr, slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("process", "nats"))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the identity and the streams")
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:4222", "where to listen")
	return cmd
}
