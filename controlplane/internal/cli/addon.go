package cli

import (
	"strings"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func addOnsCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"NAME", "display_name"}, {"VERSION", "version"}, {"ENTITLEMENTS", "entitlements"}, {"SINCE", "effective_at"}, {"ARCHIVED", "archive_time"}}
	written := view{field: "add_on", columns: append(columns[:len(columns):len(columns)], column{"EPOCH", ".epoch"})}
	return group("addons", "What licences can have beside their plan", "  tollgate addons list\n  tollgate addons get extra-calls\n  tollgate addons archive extra-calls",
		listing(verb{
			use: "list", short: "List add-ons", example: "  tollgate addons list",
			filters: "archived", view: view{field: "add_ons", columns: columns},
		}, (*client).catalog, catalogClient.ListAddOns),
		calling(verb{
			use: "get KEY", short: "Show an add-on", example: "  tollgate addons get extra-calls -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "add_on", columns: columns},
		}, (*client).catalog, catalogClient.GetAddOn, argument[*adminv1.GetAddOnRequest]("key")),
		calling(verb{
			use: "archive KEY", short: "Take an add-on out of use that no licence has", example: "  tollgate addons archive extra-calls",
			args: cobra.ExactArgs(1), view: written,
		}, (*client).catalog, catalogClient.ArchiveAddOn, argument[*adminv1.ArchiveAddOnRequest]("key")),
		calling(verb{
			use: "unarchive KEY", short: "Take an add-on into use again", example: "  tollgate addons unarchive extra-calls",
			args: cobra.ExactArgs(1), view: written,
		}, (*client).catalog, catalogClient.UnarchiveAddOn, argument[*adminv1.UnarchiveAddOnRequest]("key")),
	)
}

// attachVerbs are the verbs of licences that give and take add-ons.
func attachVerbs() []*cobra.Command {
	changed := view{field: "license", columns: []column{
		{"ID", "id"}, {"CUSTOMER", "customer"}, {"PLAN", "plan"}, {"STATUS", "status"}, {"ADD-ONS", "add_ons"}, {"EPOCH", ".epoch"},
	}}
	moments := []string{"now", "period_end"}
	return []*cobra.Command{
		calling(verb{
			use: "attach ID ADD-ON", short: "Give a licence an add-on",
			example: "  tollgate licenses attach lic_01K0… extra-calls\n  tollgate licenses attach lic_01K0… extra-calls --starts-at 2027-01-01 --ends-at 2027-02-01",
			args:    cobra.ExactArgs(2), view: changed,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Var(&instant{}, "starts-at", "when it starts (default now)")
				cmd.Flags().Var(&instant{}, "ends-at", "when it ends (default never)")
			},
		}, (*client).license, licenseClient.AttachAddOn,
			func(cmd *cobra.Command, args []string, req *adminv1.AttachAddOnRequest) error {
				req.Id, req.AddOn = args[0], args[1]
				req.StartsAt, req.EndsAt = instantOf(cmd, "starts-at"), instantOf(cmd, "ends-at")
				return nil
			}),
		calling(verb{
			use: "detach ID ADD-ON", short: "Take an add-on from a licence",
			example: "  tollgate licenses detach lic_01K0… extra-calls\n  tollgate licenses detach lic_01K0… extra-calls --when period_end",
			args:    cobra.ExactArgs(2), view: changed,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Var(&choice{moments[0], moments}, "when", "at once, or when the billing period ends")
				// Fails only where the flag is not declared.
				_ = cmd.RegisterFlagCompletionFunc("when", words(moments))
			},
		}, (*client).license, licenseClient.DetachAddOn,
			func(cmd *cobra.Command, args []string, req *adminv1.DetachAddOnRequest) error {
				req.Id, req.AddOn = args[0], args[1]
				when := cmd.Flags().Lookup("when").Value.String()
				req.When = adminv1.ChangeWhen(adminv1.ChangeWhen_value["CHANGE_WHEN_"+strings.ToUpper(when)])
				return nil
			}),
	}
}
