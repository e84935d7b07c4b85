package cli

import (
	"strings"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func featuresCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"TYPE", "type"}, {"METER", "meter"}, {"NAME", "display_name"}, {"ARCHIVED", "archive_time"}}
	return group("features", "What plans grant", "  tollgate features list\n  tollgate features get reports",
		listing(verb{
			use: "list", short: "List features", example: "  tollgate features list --filter 'type = \"metered\"' -o csv",
			filters: "type, meter, archived", view: view{field: "features", columns: columns},
		}, (*client).catalog, catalogClient.ListFeatures),
		calling(verb{
			use: "get KEY", short: "Show a feature", example: "  tollgate features get reports -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "feature", columns: columns},
		}, (*client).catalog, catalogClient.GetFeature, argument[*adminv1.GetFeatureRequest]("key")),
	)
}

func metersCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"AGGREGATION", "aggregation"}, {"NAME", "display_name"}, {"ARCHIVED", "archive_time"}}
	return group("meters", "What is counted, and how", "  tollgate meters list\n  tollgate meters get requests",
		listing(verb{
			use: "list", short: "List meters", example: "  tollgate meters list",
			filters: "aggregation, archived", view: view{field: "meters", columns: columns},
		}, (*client).catalog, catalogClient.ListMeters),
		calling(verb{
			use: "get KEY", short: "Show a meter", example: "  tollgate meters get requests -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "meter", columns: columns},
		}, (*client).catalog, catalogClient.GetMeter, argument[*adminv1.GetMeterRequest]("key")),
	)
}

// The migrations that the API supports, as the catalog file's words.
func migrations() []string { return []string{"now", "new_only"} }

const migrationFlag = "migration"

func addMigrationFlag(cmd *cobra.Command, preset string) {
	cmd.Flags().Var(&choice{preset, migrations()}, migrationFlag, "which existing licences a published version takes over")
	// Fails only where the flag is not declared.
	_ = cmd.RegisterFlagCompletionFunc(migrationFlag, words(migrations()))
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
	return group("plans", "What customers buy", "  tollgate plans list\n  tollgate plans versions free\n  tollgate plans publish free 3 --migration now", append(versionVerbs(versions),
		listing(verb{
			use: "list", short: "List plans", example: "  tollgate plans list",
			filters: "archived", view: view{field: "plans", columns: columns},
		}, (*client).catalog, catalogClient.ListPlans),
		calling(verb{
			use: "get KEY", short: "Show a plan", example: "  tollgate plans get free",
			args: cobra.ExactArgs(1), view: view{field: "plan", columns: columns},
		}, (*client).catalog, catalogClient.GetPlan, argument[*adminv1.GetPlanRequest]("key")),
		listing(verb{
			use: "versions KEY", short: "List what each version of a plan grants", example: "  tollgate plans versions free -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "plan_versions", columns: versions},
		}, (*client).catalog, catalogClient.ListPlanVersions, argument[*adminv1.ListPlanVersionsRequest]("plan")),
		calling(verb{
			use: "publish KEY VERSION", short: "Publish a draft", example: "  tollgate plans publish free 3 --migration new_only",
			args: cobra.ExactArgs(2), view: view{field: "plan_version", columns: append(versions, column{"MOVED", ".moved"}, column{"EPOCH", ".epoch"})},
			flags: func(cmd *cobra.Command) { addMigrationFlag(cmd, "new_only") },
		}, (*client).catalog, catalogClient.PublishPlanVersion,
			func(cmd *cobra.Command, args []string, req *adminv1.PublishPlanVersionRequest) error {
				version, err := versionNumber(args[1])
				req.Plan, req.Version, req.Migration = args[0], version, migration(cmd)
				return err
			}),
	)...)
}
