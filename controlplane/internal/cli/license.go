package cli

import (
	"slices"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func licensesCommand() *cobra.Command {
	columns := []column{
		{"ID", "id"}, {"CUSTOMER", "customer"}, {"PLAN", "plan"}, {"VERSION", "plan_version"}, {"STATUS", "status"}, {"STARTS", "starts_at"}, {"ENDS", "ends_at"},
	}
	changed := view{field: "license", columns: append(columns, column{"EPOCH", ".epoch"})}
	one := func(use, short string) verb {
		return verb{
			use: use + " ID", short: short, example: "  tollgate licenses " + use + " lic_01K0…",
			args: cobra.ExactArgs(1), view: changed,
		}
	}
	verbs := []*cobra.Command{
		listing(verb{
			use: "list", short: "List licences", example: "  tollgate licenses list --filter 'plan = \"pro\" AND status = \"active\"'",
			filters: "customer, external_id, plan, plan_version, status", view: view{field: "licenses", columns: columns},
		}, (*client).license, licenseClient.ListLicenses),
		calling(verb{
			use: "get ID", short: "Show a licence", example: "  tollgate licenses get lic_01K0… -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "license", columns: columns},
		}, (*client).license, licenseClient.GetLicense, argument[*adminv1.GetLicenseRequest]("id")),
		calling(verb{
			use: "issue", short: "Issue a licence: a customer on a plan",
			example: "  tollgate licenses issue --customer cus_01K0… --plan pro\n  tollgate licenses issue --customer cus_01K0… --plan pro --ends-at 2027-01-01T00:00:00Z",
			view:    changed,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("customer", "", "the customer's id")
				cmd.Flags().String("plan", "", "the plan's key")
				cmd.Flags().String("external-id", "", "your own id of the licence")
				cmd.Flags().Uint32("plan-version", 0, "0: the newest published")
				cmd.Flags().Var(&instant{}, "starts-at", "when it starts (default now)")
				cmd.Flags().Var(&instant{}, "ends-at", "when it ends (default never)")
				cmd.Flags().Var(&instant{}, "trial-ends-at", "when the trial ends (default as the plan says)")
				cmd.Flags().Var(&instant{}, "anchor", "what billing periods are anchored to (default its start)")
				// Both fail only where the flag is not declared.
				_ = cmd.MarkFlagRequired("customer")
				_ = cmd.MarkFlagRequired("plan")
			},
		}, (*client).license, licenseClient.IssueLicense,
			func(cmd *cobra.Command, _ []string, req *adminv1.IssueLicenseRequest) error {
				l := &adminv1.License{
					StartsAt: instantOf(cmd, "starts-at"), EndsAt: instantOf(cmd, "ends-at"), TrialEndsAt: instantOf(cmd, "trial-ends-at"),
					Anchor: instantOf(cmd, "anchor"),
				}
				l.Customer, _ = cmd.Flags().GetString("customer")
				l.Plan, _ = cmd.Flags().GetString("plan")
				l.ExternalId, _ = cmd.Flags().GetString("external-id")
				l.PlanVersion, _ = cmd.Flags().GetUint32("plan-version")
				req.License = l
				return nil
			}),
		calling(one("suspend", "Stop a licence until it is resumed"), (*client).license, licenseClient.SuspendLicense, argument[*adminv1.SuspendLicenseRequest]("id")),
		calling(one("resume", "End a suspension, a missing payment, and a cancellation to come"), (*client).license, licenseClient.ResumeLicense, argument[*adminv1.ResumeLicenseRequest]("id")),
		calling(one("revoke", "End a licence for good, at once"), (*client).license, licenseClient.RevokeLicense, argument[*adminv1.RevokeLicenseRequest]("id")),
		importing("licenses", "Import licences from a CSV file: new ones are issued, known ones stay as they are",
			"external_id, plan, and external_customer_id or customer, and any of plan_version, starts_at, ends_at, anchor", sendLicenses),
	}
	return group("licenses", "Customers on plans",
		"  tollgate licenses issue --customer cus_01K0… --plan pro\n  tollgate licenses list --filter 'status = \"active\"'\n  tollgate licenses suspend lic_01K0…\n  tollgate licenses entitlements lic_01K0…",
		slices.Concat(verbs, courseVerbs(changed), termVerbs())...)
}
