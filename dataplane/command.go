package dataplane

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tollgate/dataplane/internal/config"
)

// Command is the command that runs a node: `tollgate dataplane`, and tollgate-proxy by itself. It runs until its context ends, or SIGINT or
// SIGTERM; a second signal ends it at once. The version that a node reports is its root command's.
func Command() *cobra.Command {
	var cfg Config
	cmd := &cobra.Command{
		Use:   "dataplane",
		Short: "Run a node: a proxy that decides requests",
		Long: `Run a node: a reverse proxy that decides each request from signed rules in its memory.

A node needs the fleet root's public key and, the first time, a join token: with it the node makes its own keys in its data
dir and gets them certified (node.key, node.cert), and what NATS admits it by. Each flag is also a key of the YAML file (--config) and an environment variable: --data-dir is data_dir and
TOLLGATE_DATA_DIR. TOLLGATE_<KEY>_FILE names a file that holds the value. Flags win over the environment, and that over
the file. SIGTERM drains: open requests finish, loans are returned, the log is sent.`,
		Example: `  TOLLGATE_JOIN_TOKEN=tgj_… tollgate-proxy --node-name node-3 --data-dir /var/lib/tollgate --trust-root "$ROOT"
  tollgate-proxy --config /etc/tollgate/node.yaml
  TOLLGATE_TRUST_ROOT_FILE=/run/secrets/root tollgate-proxy --data-dir /var/lib/tollgate --trusted-proxies 10.0.0.0/8`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.Load(cmd.LocalFlags(), os.LookupEnv); err != nil {
				return err
			}
			if cfg.Version = cmd.Root().Version; cfg.Version == "" {
				cfg.Version = "dev"
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			go func() {
				<-ctx.Done()
				stop() // The next signal has its default effect.
			}()
			return Run(ctx, cfg, slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	cmd.Flags().String(config.FileFlag, "", "YAML configuration file")
	cfg.Bind(cmd.Flags())
	return cmd
}
