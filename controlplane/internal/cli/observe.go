package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func usageCommand() *cobra.Command {
	cmd := verb{
		use: "usage LICENSE METER", short: "What a licence used of a meter; bring usage in, and correct it",
		example: "  tollgate usage lic_01K0… requests\n  tollgate usage lic_01K0… requests --from 2026-11-01 --to 2026-12-01 --window 24h -o csv",
		args:    cobra.ExactArgs(2),
		flags: func(cmd *cobra.Command) {
			cmd.Flags().Var(&instant{}, "from", "inclusive, rounded down to the minute (default 30 days ago)")
			cmd.Flags().Var(&instant{}, "to", "exclusive, rounded up to the minute (default now)")
			cmd.Flags().Duration("window", 0, "width of a row, in whole minutes; 0: the total alone")
		},
	}.command(func(cmd *cobra.Command, args []string) error {
		req := &adminv1.QueryUsageRequest{License: args[0], Meter: args[1], From: instantOf(cmd, "from"), To: instantOf(cmd, "to")}
		now := time.Now()
		if req.From == nil {
			req.From = timestamppb.New(now.AddDate(0, 0, -30))
		}
		if req.To == nil {
			req.To = timestamppb.New(now)
		}
		total := []column{{"TOTAL", "total"}, {"AS OF", "as_of"}}
		v := view{columns: total}
		switch window, _ := cmd.Flags().GetDuration("window"); {
		case window < 0 || window%time.Minute != 0:
			return errors.New("--window: use whole minutes, like 1h")
		case window > 0:
			req.Window = durationpb.New(window)
			v = view{field: "rows", columns: []column{{"START", "start"}, {"UNITS", "units"}}, heading: total}
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		res, err := c.usage().QueryUsage(cmd.Context(), req)
		if err != nil {
			return err
		}
		return show(cmd, res, v)
	})
	cmd.AddCommand(ingestCommand(), correctCommand(), correctionsCommand())
	return cmd
}

func decisionsCommand() *cobra.Command {
	columns := []column{
		{"TIME", "time"}, {"ID", "id"}, {"OUTCOME", "outcome"}, {"CODE", "code"}, {"STATUS", "status"}, {"ROUTE", "route"},
		{"METHOD", "method"}, {"PATH", "path"}, {"LICENSE", "license"}, {"NODE", "node"},
	}
	return group("decisions", "What was answered to requests, and why", "  tollgate decisions list --filter 'outcome = \"block\"'\n  tollgate explain dec_01K0…",
		listing(verb{
			use: "list", short: "Search decisions, newest first",
			example: "  tollgate decisions list --filter 'license = \"lic_01K0…\" AND code = \"rate_limited\"' --from -1h",
			filters: "license, customer, code, outcome, route, node, credential",
			view:    view{field: "decisions", columns: columns},
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Var(&instant{}, "from", "inclusive (default: no bound)")
				cmd.Flags().Var(&instant{}, "to", "exclusive (default: no bound)")
			},
		}, (*client).decision, decisionClient.SearchDecisions,
			func(cmd *cobra.Command, _ []string, req *adminv1.SearchDecisionsRequest) error {
				req.From, req.To = instantOf(cmd, "from"), instantOf(cmd, "to")
				return nil
			}),
	)
}

func explainCommand() *cobra.Command {
	return calling(verb{
		use: "explain DECISION", short: "Why a request was forwarded, throttled or blocked",
		example: "  tollgate explain dec_01K0…                # the Tollgate-Decision header of any answer\n  tollgate explain dec_01K0… -o json",
		args:    cobra.ExactArgs(1),
		view: view{field: "trace", columns: []column{{"STEP", "step"}, {"RESULT", "result"}, {"SOURCE", "source"}}, heading: []column{
			{"DECISION", "decision.id"}, {"TIME", "decision.time"}, {"METHOD", "decision.method"}, {"PATH", "decision.path"},
			{"OUTCOME", "decision.outcome"}, {"CODE", "decision.code"}, {"STATUS", "decision.status"}, {"POLICY", "decision.policy"},
			{"CUSTOMER", "decision.customer"}, {"LICENSE", "decision.license"}, {"NODE", "decision.node"}, {"EPOCH", "decision.epoch"},
		}},
	}, (*client).decision, decisionClient.GetDecision, argument[*adminv1.GetDecisionRequest]("id"))
}

func fleetCommand() *cobra.Command {
	nodes := func(use, example string) *cobra.Command {
		return listing(verb{
			use: use, short: "The nodes, and the epoch that each enforces", example: example,
			filters: "state",
			view: view{field: "nodes", columns: []column{
				{"NAME", "name"}, {"STATE", "state"}, {"EPOCH", "epoch"}, {"REFUSES", "refuses"}, {"LAG MS", "lag_ms"}, {"SPOOL BYTES", "spool_bytes"}, {"RPS", "proxy_rps"},
				{"VERSION", "version"}, {"LAST SEEN", "last_seen"},
			}, alarm: "publishing_stopped"},
		}, (*client).fleet, fleetClient.ListNodes)
	}
	// The noun alone lists, too.
	fleet := nodes("fleet", "  tollgate fleet list\n  tollgate fleet settings\n  tollgate fleet join-token create --node node-3")
	fleet.AddCommand(nodes("list", "  tollgate fleet list\n  tollgate fleet list --filter 'state = \"silent\"' -o json"), fleetSettingsCommand(), joinTokenCommand(), joinTokensCommand(), drainCommand(), blockCommand(), unblockCommand())
	return fleet
}

// fleetSettingsCommand shows the settings, or changes those that flags name.
func fleetSettingsCommand() *cobra.Command {
	settings := []string{"stale-after", "grace-after", "block-after", "loan-horizon"}
	return verb{
		use: "settings", short: "Show what holds for all nodes, or change it",
		example: "  tollgate fleet settings\n  tollgate fleet settings --stale-after 30s --grace-after 1h",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().Duration("stale-after", 0, "age of the rules from which on a node says that they are stale")
			cmd.Flags().Duration("grace-after", 0, "age from which on it serves within lent units only")
			cmd.Flags().Duration("block-after", 0, "age from which on it blocks")
			cmd.Flags().Duration("loan-horizon", 0, "outage of the lender that hard quotas should ride out")
			cmd.Flags().Bool("offline-start", false, "let nodes serve by the rules on their disk after a crash, before they have heard that they are current")
		},
	}.command(func(cmd *cobra.Command, _ []string) error {
		columns := []column{
			{"STALE AFTER", "stale_after"}, {"GRACE AFTER", "grace_after"}, {"BLOCK AFTER", "block_after"}, {"LOAN HORIZON", "loan_horizon"},
			{"OFFLINE START", "offline_start"}, {"FLEET", "fleet"}, {"ENV", "env"},
		}
		one, written := oneObject("settings", columns)
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		req := &adminv1.UpdateFleetSettingsRequest{Settings: &adminv1.FleetSettings{}, UpdateMask: &fieldmaskpb.FieldMask{}}
		for _, flag := range settings {
			if !cmd.Flags().Changed(flag) {
				continue
			}
			d, _ := cmd.Flags().GetDuration(flag) // Declared above.
			field := protoreflect.Name(strings.ReplaceAll(flag, "-", "_"))
			set(req.GetSettings(), field, protoreflect.ValueOfMessage(durationpb.New(d).ProtoReflect()))
			req.UpdateMask.Paths = append(req.UpdateMask.Paths, string(field))
		}
		if cmd.Flags().Changed("offline-start") {
			req.Settings.OfflineStart, _ = cmd.Flags().GetBool("offline-start")
			req.UpdateMask.Paths = append(req.UpdateMask.Paths, "offline_start")
		}
		if len(req.GetUpdateMask().GetPaths()) == 0 {
			res, err := c.fleet().GetFleetSettings(cmd.Context(), &adminv1.GetFleetSettingsRequest{})
			if err != nil {
				return err
			}
			return show(cmd, res, one)
		}
		res, err := c.fleet().UpdateFleetSettings(cmd.Context(), req)
		if err != nil {
			return err
		}
		return show(cmd, res, written)
	})
}
