package controlplane

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"tollgate/controlplane/internal/postgres"
)

// Command is `tollgate controlplane`. It runs until the command's context ends.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "controlplane",
		Short: "Run a control plane: API, UI, rules, loans and ingest",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := LoadConfig(cmd.Flags(), os.Getenv)
			if err != nil {
				return err
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			logger := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("process", cfg.Name)
			return Run(cmd.Context(), cfg, logger)
		},
	}
	addFlags(cmd.Flags())
	return cmd
}

// MigrateCommand is `tollgate migrate`: it brings the database to this version's schema.
func MigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this version's schema",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := LoadConfig(cmd.Flags(), os.Getenv)
			if err != nil {
				return err
			}
			if cfg.DatabaseURL == "" {
				return cfg.Validate()
			}
			steps, err := postgres.Migrate(cmd.Context(), cfg.DatabaseURL)
			if err != nil {
				return explainDatabase(cfg, err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "the database has this version's schema (%d steps taken)\n", steps)
			return nil
		},
	}
	addFlags(cmd.Flags())
	return cmd
}
