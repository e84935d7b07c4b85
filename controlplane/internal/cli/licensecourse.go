package cli

import (
	"strings"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// moments are when a change can take effect.
func moments() []string { return []string{"now", "period_end"} }

const whenFlag = "when"

func addWhenFlag(cmd *cobra.Command) {
	cmd.Flags().Var(&choice{"now", moments()}, whenFlag, "at once, or when the billing period ends")
	_ = cmd.RegisterFlagCompletionFunc(whenFlag, words(moments())) // Fails only where the flag is not declared.
}

func whenOf(cmd *cobra.Command) adminv1.ChangeWhen {
	word := cmd.Flags().Lookup(whenFlag).Value.String()
	return adminv1.ChangeWhen(adminv1.ChangeWhen_value["CHANGE_WHEN_"+strings.ToUpper(word)])
}

// courseVerbs are the verbs that change what comes of a licence as time goes on, and the one that tells what came.
func courseVerbs(changed view) []*cobra.Command {
	return []*cobra.Command{
		calling(verb{
			use: "change-plan ID PLAN", short: "Put a licence on another plan or version; what was used stays used",
			example: "  tollgate licenses change-plan lic_01K0… pro\n  tollgate licenses change-plan lic_01K0… free --when period_end",
			args:    cobra.ExactArgs(2), view: changed,
			flags: func(cmd *cobra.Command) {
				addWhenFlag(cmd)
				cmd.Flags().Uint32("plan-version", 0, "0: the newest that is in effect")
				cmd.Flags().Bool("reset-usage", false, "start all counters at zero")
			},
		}, (*client).license, licenseClient.ChangePlan,
			func(cmd *cobra.Command, args []string, req *adminv1.ChangePlanRequest) error {
				req.Id, req.Plan, req.When = args[0], args[1], whenOf(cmd)
				req.Version, _ = cmd.Flags().GetUint32("plan-version")
				req.ResetUsage, _ = cmd.Flags().GetBool("reset-usage")
				return nil
			}),
		calling(verb{
			use: "renew ID", short: "Move a licence's end: by another term, or to a time",
			example: "  tollgate licenses renew lic_01K0…\n  tollgate licenses renew lic_01K0… --ends-at 2028-01-01",
			args:    cobra.ExactArgs(1), view: changed,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Var(&instant{}, "ends-at", "the new end (default another term, as long as the one that ends)")
			},
		}, (*client).license, licenseClient.RenewLicense,
			func(cmd *cobra.Command, args []string, req *adminv1.RenewLicenseRequest) error {
				req.Id, req.EndsAt = args[0], instantOf(cmd, "ends-at")
				return nil
			}),
		calling(verb{
			use: "past-due ID", short: "Note that a payment is missing: requests pass until the grace ends",
			example: "  tollgate licenses past-due lic_01K0… --grace-until +168h",
			args:    cobra.ExactArgs(1), view: changed,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Var(&instant{}, "grace-until", "until when requests are forwarded all the same")
				_ = cmd.MarkFlagRequired("grace-until") // Fails only where the flag is not declared.
			},
		}, (*client).license, licenseClient.SetPastDue,
			func(cmd *cobra.Command, args []string, req *adminv1.SetPastDueRequest) error {
				req.Id, req.GraceUntil = args[0], instantOf(cmd, "grace-until")
				return nil
			}),
		calling(verb{
			use: "cancel ID", short: "End a licence at the customer's wish",
			example: "  tollgate licenses cancel lic_01K0… --when period_end",
			args:    cobra.ExactArgs(1), view: changed, flags: addWhenFlag,
		}, (*client).license, licenseClient.CancelLicense,
			func(cmd *cobra.Command, args []string, req *adminv1.CancelLicenseRequest) error {
				req.Id, req.When = args[0], whenOf(cmd)
				return nil
			}),
		listing(verb{
			use: "loans ID", short: "What nodes hold of a licence's hard quotas", example: "  tollgate licenses loans lic_01K0…",
			args: cobra.ExactArgs(1),
			view: view{field: "loans", columns: []column{
				{"METER", "meter"}, {"NODE", "node"}, {"BOOT", "boot"}, {"LENT", "lent"}, {"SPENT", "spent"}, {"STRANDED", "stranded"},
				{"PERIOD", "period_start"}, {"ENDS", "period_end"},
			}},
		}, (*client).license, licenseClient.ListLoans, argument[*adminv1.ListLoansRequest]("license")),
		listing(verb{
			use: "events [ID]", short: "What happened to a licence, or to all, by people and by time",
			example: "  tollgate licenses events lic_01K0…\n  tollgate licenses events --after 4711 -o json",
			args:    cobra.MaximumNArgs(1),
			view: view{field: "license_events", columns: []column{
				{"NUMBER", "number"}, {"TIME", "time"}, {"LICENSE", "license"}, {"EVENT", "kind"}, {"STATUS", "status"}, {"DETAIL", "detail"},
			}},
			flags: func(cmd *cobra.Command) { cmd.Flags().Int64("after", 0, "only events with a higher number") },
		}, (*client).license, licenseClient.ListLicenseEvents,
			func(cmd *cobra.Command, args []string, req *adminv1.ListLicenseEventsRequest) error {
				if len(args) > 0 {
					req.License = args[0]
				}
				req.After, _ = cmd.Flags().GetInt64("after")
				return nil
			}),
	}
}
