package cli

import (
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func customersCommand() *cobra.Command {
	columns := []column{{"ID", "id"}, {"EXTERNAL ID", "external_id"}, {"NAME", "display_name"}, {"TIME ZONE", "time_zone"}, {"ARCHIVED", "archive_time"}}
	one, changed := oneObject("customer", columns)
	return group("customers", "Who pays", "  tollgate customers create acme --name 'Acme Ltd.'\n  tollgate customers list",
		listing(verb{
			use: "list", short: "List customers", example: "  tollgate customers list --filter 'external_id = \"acme\"'",
			filters: "external_id, archived", view: view{field: "customers", columns: columns},
		}, (*client).customer, customerClient.ListCustomers),
		calling(verb{
			use: "get ID", short: "Show a customer", example: "  tollgate customers get cus_01K0… -o yaml",
			args: cobra.ExactArgs(1), view: one,
		}, (*client).customer, customerClient.GetCustomer, argument[*adminv1.GetCustomerRequest]("id")),
		calling(verb{
			use: "create EXTERNAL-ID", short: "Create a customer",
			example: "  tollgate customers create acme --name 'Acme Ltd.' --time-zone Europe/Berlin --metadata segment=smb",
			args:    cobra.ExactArgs(1), view: changed,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("name", "", "name for people")
				cmd.Flags().String("time-zone", "", "IANA zone in which calendar periods are counted (default UTC)")
				cmd.Flags().StringToString("metadata", nil, "your own facts, as name=value,…")
			},
		}, (*client).customer, customerClient.CreateCustomer,
			func(cmd *cobra.Command, args []string, req *adminv1.CreateCustomerRequest) error {
				c := &adminv1.Customer{ExternalId: args[0]}
				c.DisplayName, _ = cmd.Flags().GetString("name")
				c.TimeZone, _ = cmd.Flags().GetString("time-zone")
				c.Metadata, _ = cmd.Flags().GetStringToString("metadata")
				req.Customer = c
				return nil
			}),
		calling(verb{
			use: "update ID", short: "Change a customer", example: "  tollgate customers update cus_01K0… --time-zone Europe/Berlin --metadata segment=mid",
			args: cobra.ExactArgs(1), view: changed,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("external-id", "", "your own id of it")
				cmd.Flags().String("name", "", "name for people")
				cmd.Flags().String("time-zone", "", "IANA zone in which calendar periods are counted")
				cmd.Flags().StringToString("metadata", nil, "all of your own facts, as name=value,…")
				cmd.MarkFlagsOneRequired("external-id", "name", "time-zone", "metadata")
			},
		}, (*client).customer, customerClient.UpdateCustomer,
			func(cmd *cobra.Command, args []string, req *adminv1.UpdateCustomerRequest) error {
				c := &adminv1.Customer{Id: args[0]}
				c.ExternalId, _ = cmd.Flags().GetString("external-id")
				c.DisplayName, _ = cmd.Flags().GetString("name")
				c.TimeZone, _ = cmd.Flags().GetString("time-zone")
				c.Metadata, _ = cmd.Flags().GetStringToString("metadata")
				req.Customer, req.UpdateMask = c, &fieldmaskpb.FieldMask{}
				for flag, field := range map[string]string{"external-id": "external_id", "name": "display_name", "time-zone": "time_zone", "metadata": "metadata"} {
					if cmd.Flags().Changed(flag) {
						req.UpdateMask.Paths = append(req.UpdateMask.Paths, field)
					}
				}
				return nil
			}),
		calling(verb{
			use: "archive ID", short: "Take a customer out of use", example: "  tollgate customers archive cus_01K0…",
			args: cobra.ExactArgs(1), view: changed,
		}, (*client).customer, customerClient.ArchiveCustomer, argument[*adminv1.ArchiveCustomerRequest]("id")),
		importing("customers", "Import customers from a CSV file: new ones are made, known ones updated",
			"external_id, and any of display_name, time_zone, metadata.<name>", sendCustomers),
	)
}

func keysCommand() *cobra.Command {
	columns := []column{{"ID", "id"}, {"LICENSE", "license"}, {"PREFIX", "prefix"}, {"NAME", "display_name"}, {"EXPIRES", "expires_at"}, {"REVOKED", "revoke_time"}}
	return group("keys", "API keys, by which clients are known", "  tollgate keys create lic_01K0… --name 'build server'\n  tollgate keys revoke key_01K0…",
		listing(verb{
			use: "list", short: "List API keys; their secrets are kept nowhere", example: "  tollgate keys list --filter 'license = \"lic_01K0…\"'",
			filters: "license", view: view{field: "api_keys", columns: columns},
		}, (*client).credential, credentialClient.ListApiKeys),
		calling(verb{
			use: "create LICENSE", short: "Create an API key of a licence", example: "  tollgate keys create lic_01K0… --name 'build server' --expires-at 2027-01-01T00:00:00Z",
			args: cobra.ExactArgs(1), view: view{field: "api_key", columns: []column{{"ID", "id"}, {"LICENSE", "license"}, {"SECRET", ".secret"}, {"EPOCH", ".epoch"}}},
			note: "The secret is shown this once: keep it now.",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("name", "", "name for people")
				cmd.Flags().Var(&instant{}, "expires-at", "when it expires (default never)")
			},
		}, (*client).credential, credentialClient.CreateApiKey,
			func(cmd *cobra.Command, args []string, req *adminv1.CreateApiKeyRequest) error {
				req.License, req.ExpiresAt = args[0], instantOf(cmd, "expires-at")
				req.DisplayName, _ = cmd.Flags().GetString("name")
				return nil
			}),
		calling(verb{
			use: "revoke ID", short: "Revoke an API key, at once", example: "  tollgate keys revoke key_01K0…",
			args: cobra.ExactArgs(1), view: view{field: "api_key", columns: append(columns, column{"EPOCH", ".epoch"})},
		}, (*client).credential, credentialClient.RevokeApiKey, argument[*adminv1.RevokeApiKeyRequest]("id")),
		rotateKeyCommand(),
		importKeysCommand(),
	)
}
