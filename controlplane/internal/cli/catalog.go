package cli

import (
	"strings"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func featuresCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"TYPE", "type"}, {"METER", "meter"}, {"NAME", "display_name"}, {"ARCHIVED", "archive_time"}}
	one, changed := oneObject("feature", columns)
	return group("features", "What plans grant", "  tollgate features list\n  tollgate features get reports",
		listing(verb{
			use: "list", short: "List features", example: "  tollgate features list --filter 'type = \"metered\"' -o csv",
			filters: "type, meter, archived", view: view{field: "features", columns: columns},
		}, (*client).catalog, catalogClient.ListFeatures),
		byKey("features", "get", "Show a feature", "reports", one, (*client).catalog, catalogClient.GetFeature),
		byKey("features", "archive", "Take a feature out of use", "reports", changed, (*client).catalog, catalogClient.ArchiveFeature),
		byKey("features", "unarchive", "Bring an archived feature back", "reports", changed, (*client).catalog, catalogClient.UnarchiveFeature),
	)
}

func metersCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"AGGREGATION", "aggregation"}, {"NAME", "display_name"}, {"ARCHIVED", "archive_time"}}
	one, changed := oneObject("meter", columns)
	return group("meters", "What is counted, and how", "  tollgate meters list\n  tollgate meters get requests",
		listing(verb{
			use: "list", short: "List meters", example: "  tollgate meters list",
			filters: "aggregation, archived", view: view{field: "meters", columns: columns},
		}, (*client).catalog, catalogClient.ListMeters),
		byKey("meters", "get", "Show a meter", "requests", one, (*client).catalog, catalogClient.GetMeter),
		byKey("meters", "archive", "Take a meter out of use", "requests", changed, (*client).catalog, catalogClient.ArchiveMeter),
		byKey("meters", "unarchive", "Bring an archived meter back", "requests", changed, (*client).catalog, catalogClient.UnarchiveMeter),
	)
}

// migrations are which existing licences a published version takes over, as the catalog file's words.
func migrations() []string { return []string{"now", "next_period", "new_only"} }

const migrationFlag = "migration"

func addMigrationFlag(cmd *cobra.Command, preset string) {
	cmd.Flags().Var(&choice{preset, migrations()}, migrationFlag, "which existing licences a published version takes over")
	// Fails only where the flag is not declared.
	_ = cmd.RegisterFlagCompletionFunc(migrationFlag, words(migrations()))
}

const confirmFlag = "confirm-affected"

func addConfirmFlag(cmd *cobra.Command) {
	cmd.Flags().Int64(confirmFlag, 0, "how many licences are meant to lose a feature, where these are many")
}

func confirmOf(cmd *cobra.Command) int64 {
	n, _ := cmd.Flags().GetInt64(confirmFlag) // Declared by the command.
	return n
}

func migration(cmd *cobra.Command) adminv1.Migration {
	word := cmd.Flags().Lookup(migrationFlag).Value.String()
	return adminv1.Migration(adminv1.Migration_value["MIGRATION_"+strings.ToUpper(word)])
}

func plansCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"NAME", "display_name"}, {"PUBLISHED", "published_version"}, {"DRAFT", "draft_version"}, {"ARCHIVED", "archive_time"}}
	versions := []column{
		{"PLAN", "plan"}, {"VERSION", "version"}, {"STATE", "state"}, {"ENTITLEMENTS", "entitlements"}, {"RATE LIMITS", "rate_limits"}, {"PUBLISHED", "publish_time"},
	}
	one, changed := oneObject("plan", columns)
	return group("plans", "What customers buy", "  tollgate plans list\n  tollgate plans versions free\n  tollgate plans publish free 3 --migration now", append(versionVerbs(versions),
		listing(verb{
			use: "list", short: "List plans", example: "  tollgate plans list",
			filters: "archived", view: view{field: "plans", columns: columns},
		}, (*client).catalog, catalogClient.ListPlans),
		byKey("plans", "get", "Show a plan", "free", one, (*client).catalog, catalogClient.GetPlan),
		byKey("plans", "archive", "Take a plan out of use", "free", changed, (*client).catalog, catalogClient.ArchivePlan),
		byKey("plans", "unarchive", "Bring an archived plan back", "free", changed, (*client).catalog, catalogClient.UnarchivePlan),
		listing(verb{
			use: "versions KEY", short: "List what each version of a plan grants", example: "  tollgate plans versions free -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "plan_versions", columns: versions},
		}, (*client).catalog, catalogClient.ListPlanVersions, argument[*adminv1.ListPlanVersionsRequest]("plan")),
		calling(verb{
			use: "publish KEY VERSION", short: "Publish a draft",
			example: "  tollgate plans publish free 3 --migration new_only\n  tollgate plans publish free 3 --migration now --effective-at 2027-01-01\n" +
				"  tollgate plans publish free 3 --migrate-only 'plan_version = \"1\"'",
			args: cobra.ExactArgs(2), view: view{field: "plan_version", columns: append(versions, column{"MOVED", ".moved"}, column{"EPOCH", ".epoch"})},
			flags: func(cmd *cobra.Command) {
				addMigrationFlag(cmd, "new_only")
				cmd.Flags().String("migrate-only", "", `take over only those existing licences with, like 'customer = "cus_…" AND plan_version = "1"'`)
				cmd.Flags().Var(&instant{}, "effective-at", "from when on (default now)")
				cmd.MarkFlagsMutuallyExclusive(migrationFlag, "migrate-only")
				addConfirmFlag(cmd)
			},
		}, (*client).catalog, catalogClient.PublishPlanVersion,
			func(cmd *cobra.Command, args []string, req *adminv1.PublishPlanVersionRequest) error {
				version, err := versionNumber(args[1])
				req.Plan, req.Version, req.Migration, req.EffectiveAt = args[0], version, migration(cmd), instantOf(cmd, "effective-at")
				req.ConfirmAffected = confirmOf(cmd)
				if req.Filter, _ = cmd.Flags().GetString("migrate-only"); req.Filter != "" {
					req.Migration = adminv1.Migration_MIGRATION_FILTER
				}
				return err
			}),
		calling(verb{
			use: "migration KEY VERSION", short: "How far the move of existing licences to a version is", example: "  tollgate plans migration free 3",
			args: cobra.ExactArgs(2),
			view: view{columns: []column{{"MOVED", "moved"}, {"OF", "total"}, {"DONE", "done"}, {"EFFECTIVE", "effective_at"}, {"EPOCH", "epoch"}}},
		}, (*client).catalog, catalogClient.GetMigration,
			func(_ *cobra.Command, args []string, req *adminv1.GetMigrationRequest) (err error) {
				req.Plan = args[0]
				req.Version, err = versionNumber(args[1])
				return err
			}),
	)...)
}
