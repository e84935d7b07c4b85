package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tollgate/controlplane"
	"tollgate/controlplane/internal/cli"
	"tollgate/controlplane/internal/natsserver"
	"tollgate/controlplane/internal/sample"
	"tollgate/controlplane/internal/up"
	"tollgate/dataplane"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "tollgate",
		Short:         "A licensing access proxy",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		// Without these cobra's own refusal of an unknown command has several lines.
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return hint(cmd, fmt.Errorf("unknown command %q", args[0]))
			}
			return cmd.Help()
		},
	}
	root.SetVersionTemplate("tollgate {{.Version}}\n")
	root.AddCommand(
		up.Command(), controlplane.Command(), dataplane.Command(), controlplane.MigrateCommand(),
		natsserver.Command(), sample.Command(), versionCommand(),
	)
	root.AddCommand(cli.Commands()...)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return hint(cmd, err) })
	hintAtHelp(root)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tollgate %s\n", version)
			return err
		},
	}
}

// hintAtHelp has each command that gets wrong arguments say where to look.
func hintAtHelp(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return hint(cmd, err)
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		hintAtHelp(c)
	}
}

func hint(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
}
