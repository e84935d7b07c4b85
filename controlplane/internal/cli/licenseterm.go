package cli

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// termVerbs are the verbs of what one licence has beside its plan, and the one that tells what that comes to.
func termVerbs() []*cobra.Command {
	return []*cobra.Command{
		entitlementsCommand(),
		overrideCommand(),
		calling(verb{
			use: "end-override ID OVERRIDE", short: "End an override at once; what it replaced holds again",
			example: "  tollgate licenses end-override lic_01K0… ovr_01K0…",
			args:    cobra.ExactArgs(2), view: view{field: "license", columns: []column{{"ID", "id"}, {"PLAN", "plan"}, {"STATUS", "status"}, {"EPOCH", ".epoch"}}},
		}, (*client).license, licenseClient.DeleteOverride,
			func(_ *cobra.Command, args []string, req *adminv1.DeleteOverrideRequest) error {
				req.License, req.Id = args[0], args[1]
				return nil
			}),
		calling(verb{
			use: "grant ID FEATURE UNITS", short: "Give a licence extra units of a metered feature",
			example: "  tollgate licenses grant lic_01K0… calls 500 --expires-at +720h --reason 'sorry for the outage'",
			args:    cobra.ExactArgs(3), view: view{field: "grant", columns: []column{
				{"ID", "id"}, {"FEATURE", "feature"}, {"UNITS", "units"}, {"PRIORITY", "priority"}, {"STARTS", "starts_at"}, {"EXPIRES", "expires_at"}, {"EPOCH", ".epoch"},
			}},
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Int32("priority", 0, "lower burns first; below 0 before the plan's quota, else after it")
				cmd.Flags().Var(&instant{}, "starts-at", "from when on (default now)")
				cmd.Flags().Var(&instant{}, "expires-at", "until when (default never)")
				cmd.Flags().String("reason", "", "why, for who reads it later")
			},
		}, (*client).license, licenseClient.CreateGrant,
			func(cmd *cobra.Command, args []string, req *adminv1.CreateGrantRequest) (err error) {
				req.License, req.Feature, req.StartsAt, req.ExpiresAt = args[0], args[1], instantOf(cmd, "starts-at"), instantOf(cmd, "expires-at")
				req.Priority, _ = cmd.Flags().GetInt32("priority")
				req.Reason, _ = cmd.Flags().GetString("reason")
				if req.Units, err = strconv.ParseInt(args[2], 10, 64); err != nil {
					return fmt.Errorf("units %q: use a whole number", args[2])
				}
				return nil
			}),
	}
}

func entitlementsCommand() *cobra.Command {
	return calling(verb{
		use: "entitlements ID", short: "What a licence is granted, and where each value comes from",
		example: "  tollgate licenses entitlements lic_01K0…\n  tollgate licenses entitlements lic_01K0… --at 2027-01-01 -o yaml   # rate limits, too",
		args:    cobra.ExactArgs(1),
		view: view{field: "entitlements", columns: []column{
			{"FEATURE", "feature"}, {"VALUE", "value"}, {"LIMIT", "limit"}, {"USED", "used"}, {"RESETS", "resets_at"}, {"SOURCE", "source"},
			{"UNTIL", "expires_at"}, {"AS OF", "as_of"},
		}},
		flags: func(cmd *cobra.Command) { cmd.Flags().Var(&instant{}, "at", "the moment (default now)") },
	}, (*client).license, licenseClient.GetEntitlements,
		func(cmd *cobra.Command, args []string, req *adminv1.GetEntitlementsRequest) error {
			req.License, req.At = args[0], instantOf(cmd, "at")
			return nil
		})
}

func overrideCommand() *cobra.Command {
	return calling(verb{
		use: "override ID [FEATURE VALUE]", short: "Replace an entitlement or a rate limit of one licence, for a time",
		example: "  tollgate licenses override lic_01K0… calls 5000 --ends-at 2027-01-01 --reason 'launch week'\n" +
			"  tollgate licenses override lic_01K0… reports true --reason 'pilot'\n" +
			"  tollgate licenses override lic_01K0… calls '{\"limit\": 200, \"period\": \"day\"}' --reason 'by contract'\n" +
			"  tollgate licenses override lic_01K0… --rate-limit free-rate --limit 50 --per 1s --reason 'load test'",
		args: cobra.RangeArgs(1, 3), view: view{field: "override", columns: []column{
			{"ID", "id"}, {"FEATURE", "feature"}, {"ENABLED", "enabled"}, {"LIMIT", "quota.limit"}, {"RATE LIMIT", "rate_limit"},
			{"STARTS", "starts_at"}, {"ENDS", "ends_at"}, {"EPOCH", ".epoch"},
		}},
		flags: func(cmd *cobra.Command) {
			cmd.Flags().String("rate-limit", "", "key of the plan's rate limit that is replaced, in place of FEATURE VALUE")
			cmd.Flags().Int64("limit", 0, "of --rate-limit: units for each --per")
			cmd.Flags().Duration("per", time.Second, "of --rate-limit")
			cmd.Flags().Int64("burst", 0, "of --rate-limit (default as --limit)")
			cmd.Flags().Var(&instant{}, "starts-at", "from when on (default now)")
			cmd.Flags().Var(&instant{}, "ends-at", "until when (default for good)")
			cmd.Flags().String("reason", "", "why, for who reads it later")
			_ = cmd.MarkFlagRequired("reason") // Fails only where the flag is not declared.
		},
	}, (*client).license, licenseClient.CreateOverride,
		func(cmd *cobra.Command, args []string, req *adminv1.CreateOverrideRequest) error {
			req.License, req.StartsAt, req.EndsAt = args[0], instantOf(cmd, "starts-at"), instantOf(cmd, "ends-at")
			req.Reason, _ = cmd.Flags().GetString("reason")
			key, _ := cmd.Flags().GetString("rate-limit")
			switch {
			case key != "" && len(args) == 1:
				per, _ := cmd.Flags().GetDuration("per")
				req.RateLimit = &adminv1.RateLimit{Key: key, Per: durationpb.New(per)}
				req.RateLimit.Limit, _ = cmd.Flags().GetInt64("limit")
				req.RateLimit.Burst, _ = cmd.Flags().GetInt64("burst")
			case key == "" && len(args) == 3:
				req.Feature, req.Value = args[1], jsonOrText(args[2])
			default:
				return errors.New("say FEATURE and VALUE, or --rate-limit with --limit and --per")
			}
			return nil
		})
}

// jsonOrText reads a value as JSON; what is none is text.
func jsonOrText(arg string) *structpb.Value {
	v := &structpb.Value{}
	if err := protojson.Unmarshal([]byte(arg), v); err != nil {
		return structpb.NewStringValue(arg)
	}
	return v
}
