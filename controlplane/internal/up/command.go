package up

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// Command is `tollgate up`. It runs until the command's context ends.
func Command() *cobra.Command {
	var (
		o         Options
		noRespawn bool
	)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine: Postgres, NATS, control planes, nodes",
		Example: "  tollgate up --demo                                   # with a sample service, plans, customers and keys\n" +
			"  tollgate up --nodes 4 --proxy-addr 0.0.0.0:8080\n" +
			"  TOLLGATE_DATABASE_URL=postgres://… tollgate up       # with a Postgres that runs already",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Executable, o.SearchPath, o.Respawn = self, os.Getenv("PATH"), !noRespawn
			o.DatabaseURL = os.Getenv("TOLLGATE_DATABASE_URL")
			return Run(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Demo, "demo", false, "apply the demo's catalog, and make its customers and keys")
	f.IntVar(&o.Nodes, "nodes", 2, "how many nodes")
	f.IntVar(&o.ControlPlanes, "controlplanes", 1, "how many control planes")
	f.BoolVar(&noRespawn, "no-respawn", false, "leave a process that died dead")
	f.StringVar(&o.ProxyAddr, "proxy-addr", "127.0.0.1:8080", "address of all nodes together")
	f.StringVar(&o.AdminAddr, "admin-addr", "127.0.0.1:9080", "address of the API and the page")
	f.StringVar(&o.NATSAddr, "nats-addr", "", "address of NATS, for nodes on other machines (default: a free port of 127.0.0.1)")
	f.StringVar(&o.DataDir, "data-dir", cmp.Or(os.Getenv("TOLLGATE_DATA_DIR"), ".tollgate"), "folder of all state (TOLLGATE_DATA_DIR)")
	f.StringVar(&o.ReadyFile, "ready-file", "", "file that is written once everything is ready: addresses, keys, process ids")
	return cmd
}
