package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"tollgate/controlplane/internal/catalog"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// addFileFlag declares the flag that catalogText reads.
func addFileFlag(cmd *cobra.Command) {
	cmd.Flags().StringP("file", "f", "", "the catalog file; - is stdin")
	_ = cmd.MarkFlagRequired("file") // Fails only where the flag is not declared.
}

const pruneFlag = "prune"

func addPruneFlag(cmd *cobra.Command) {
	cmd.Flags().Bool(pruneFlag, false, "archive what the file does not name; never customers or licences")
}

func catalogChanges() view {
	return view{field: "changes", columns: []column{{"ACTION", "action"}, {"KIND", "kind"}, {"KEY", "key"}, {"DETAIL", "detail"}}}
}

func diffCommand() *cobra.Command {
	return verb{
		use: "diff -f FILE", short: "Say what applying a file would change; exits with 2 where that is anything",
		example: "  tollgate diff -f catalog.yaml\n  tollgate diff -f catalog.yaml --prune -o json",
		flags: func(cmd *cobra.Command) {
			addFileFlag(cmd)
			addPruneFlag(cmd)
		},
	}.command(func(cmd *cobra.Command, _ []string) error {
		text, err := catalogText(cmd)
		if err != nil {
			return err
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		prune, _ := cmd.Flags().GetBool(pruneFlag) // Declared above.
		res, err := c.catalog().ApplyCatalog(cmd.Context(), &adminv1.ApplyCatalogRequest{Yaml: text, DryRun: true, Prune: prune})
		if err != nil {
			return err
		}
		if err := show(cmd, res, catalogChanges()); err != nil {
			return err
		}
		if n := len(res.GetChanges()); n > 0 {
			return &statusError{statusDiffers, fmt.Sprintf("the catalog differs from the file (%d)", n)}
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "Nothing differs from the file.")
		return nil
	})
}

func exportCommand() *cobra.Command {
	return verb{
		use: "export", short: "Write the catalog as a file; applying it changes nothing",
		example: "  tollgate export # > catalog.yaml",
	}.command(func(cmd *cobra.Command, _ []string) error {
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		res, err := c.catalog().ExportCatalog(cmd.Context(), &adminv1.ExportCatalogRequest{})
		if err != nil {
			return err
		}
		// The file is YAML itself; -o json is the API's answer.
		if format(cmd.Flags().Lookup(outputFlag).Value.String()) == asJSON {
			return printJSON(cmd.OutOrStdout(), res)
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), res.GetYaml())
		return err
	})
}

func validateCommand() *cobra.Command {
	return verb{
		use: "validate -f FILE", short: "Check a catalog file for itself, without a server",
		example: "  tollgate validate -f catalog.yaml",
		flags:   addFileFlag,
	}.command(func(cmd *cobra.Command, _ []string) error {
		text, err := catalogText(cmd)
		if err != nil {
			return err
		}
		c, err := catalog.Parse([]byte(text))
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "The file is valid. What it refers to is checked when it is applied.")
		return nil
	})
}
