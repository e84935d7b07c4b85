package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// versionNumber reads an argument.
func versionNumber(arg string) (uint32, error) {
	version, err := strconv.ParseUint(arg, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("version %q is not a number", arg)
	}
	return uint32(version), nil
}

// versionVerbs are the verbs of plans that compare versions and undo them.
func versionVerbs(versions []column) []*cobra.Command {
	written := append(versions[:len(versions):len(versions)], column{"EPOCH", ".epoch"})
	return []*cobra.Command{
		calling(verb{
			use: "diff KEY", short: "Say what differs between two versions of a plan", example: "  tollgate plans diff free\n  tollgate plans diff free --from 1 --to 2",
			args: cobra.ExactArgs(1),
			view: view{field: "changes", columns: []column{{"PATH", "path"}, {"KIND", "kind"}, {"BEFORE", "before"}, {"AFTER", "after"}}},
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Uint32("from", 0, "version that is compared with (default the newest published one)")
				cmd.Flags().Uint32("to", 0, "version that is compared (default the open draft)")
			},
		}, (*client).catalog, catalogClient.DiffPlanVersions,
			func(cmd *cobra.Command, args []string, req *adminv1.DiffPlanVersionsRequest) error {
				req.Plan = args[0]
				req.FromVersion, _ = cmd.Flags().GetUint32("from")
				req.ToVersion, _ = cmd.Flags().GetUint32("to")
				return nil
			}),
		calling(verb{
			use: "preview KEY VERSION", short: "Say what publishing a draft would mean", example: "  tollgate plans preview free 3",
			args: cobra.ExactArgs(2),
			view: view{columns: []column{
				{"GAINED", "gained"}, {"LOST", "lost"}, {"MOVED BY NOW", "moved"}, {"LOSING BY NOW", "affected"}, {"OVER QUOTA", "over_quota"}, {"OR MORE", "over_quota_partial"},
			}},
		}, (*client).catalog, catalogClient.PreviewPublish,
			func(_ *cobra.Command, args []string, req *adminv1.PreviewPublishRequest) (err error) {
				req.Plan = args[0]
				req.Version, err = versionNumber(args[1])
				return err
			}),
		calling(verb{
			use: "rollback KEY", short: "Publish again what the version before the newest granted", example: "  tollgate plans rollback free --migration now",
			args: cobra.ExactArgs(1), view: view{field: "plan_version", columns: append(written, column{"MOVED", ".moved"})},
			flags: func(cmd *cobra.Command) { addMigrationFlag(cmd, "new_only"); addConfirmFlag(cmd) },
		}, (*client).catalog, catalogClient.RollbackPlan,
			func(cmd *cobra.Command, args []string, req *adminv1.RollbackPlanRequest) error {
				req.Plan, req.Migration, req.ConfirmAffected = args[0], migration(cmd), confirmOf(cmd)
				return nil
			}),
		calling(verb{
			use: "discard KEY VERSION", short: "Give a draft up", example: "  tollgate plans discard free 3",
			args: cobra.ExactArgs(2), view: view{field: "plan_version", columns: written},
		}, (*client).catalog, catalogClient.DiscardPlanDraft,
			func(_ *cobra.Command, args []string, req *adminv1.DiscardPlanDraftRequest) (err error) {
				req.Plan = args[0]
				req.Version, err = versionNumber(args[1])
				return err
			}),
	}
}
