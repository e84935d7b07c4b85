package trust

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// Command is `tollgate trust`.
func Command() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make and show the keys that a fleet trusts",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	preset := filepath.Join(cmp.Or(os.Getenv("TOLLGATE_DATA_DIR"), ".tollgate"), "trust")
	cmd.PersistentFlags().StringVar(&dir, "dir", preset, "folder of the root key")
	cmd.AddCommand(
		&cobra.Command{
			Use: "init", Short: "Make the fleet's root where there is none, and print its public key", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return show(cmd, dir, Open) },
		},
		&cobra.Command{
			Use: "show", Short: "Print the root's public key, which nodes and control planes are configured with", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return show(cmd, dir, Load) },
		},
	)
	return cmd
}

func show(cmd *cobra.Command, dir string, open func(string) (*Authority, error)) error {
	a, err := open(dir)
	if err != nil {
		return fmt.Errorf("%w: name the folder by --dir", err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), a.Root())
	return err
}
