package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func customersCommand() *cobra.Command {
	columns := []column{{"ID", "id"}, {"EXTERNAL ID", "external_id"}, {"NAME", "display_name"}, {"TIME ZONE", "time_zone"}, {"ARCHIVED", "archive_time"}}
	return group("customers", "Who pays", "  tollgate customers create acme --name 'Acme Ltd.'\n  tollgate customers list",
		listing(verb{
			use: "list", short: "List customers", example: "  tollgate customers list --filter 'external_id = \"acme\"'",
			filters: "external_id, archived", view: view{field: "customers", columns: columns},
		}, (*client).customer, customerClient.ListCustomers),
		calling(verb{
			use: "get ID", short: "Show a customer", example: "  tollgate customers get cus_01K0… -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "customer", columns: columns},
		}, (*client).customer, customerClient.GetCustomer, argument[*adminv1.GetCustomerRequest]("id")),
		calling(verb{
			use: "create EXTERNAL-ID", short: "Create a customer",
			example: "  tollgate customers create acme --name 'Acme Ltd.' --time-zone Europe/Berlin --metadata segment=smb",
			args:    cobra.ExactArgs(1), view: view{field: "customer", columns: append(columns, column{"EPOCH", ".epoch"})},
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
		importing("customers", "Import customers from a CSV file: new ones are made, known ones updated",
			"external_id, and any of display_name, time_zone, metadata.<name>", sendCustomers),
	)
}

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
	return group("licenses", "Customers on plans",
		"  tollgate licenses issue --customer cus_01K0… --plan pro\n  tollgate licenses list --filter 'status = \"active\"'\n  tollgate licenses suspend lic_01K0…",
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
				cmd.Flags().Var(&instant{}, "anchor", "what billing periods are anchored to (default its start)")
				// Both fail only where the flag is not declared.
				_ = cmd.MarkFlagRequired("customer")
				_ = cmd.MarkFlagRequired("plan")
			},
		}, (*client).license, licenseClient.IssueLicense,
			func(cmd *cobra.Command, _ []string, req *adminv1.IssueLicenseRequest) error {
				l := &adminv1.License{StartsAt: instantOf(cmd, "starts-at"), EndsAt: instantOf(cmd, "ends-at"), Anchor: instantOf(cmd, "anchor")}
				l.Customer, _ = cmd.Flags().GetString("customer")
				l.Plan, _ = cmd.Flags().GetString("plan")
				l.ExternalId, _ = cmd.Flags().GetString("external-id")
				l.PlanVersion, _ = cmd.Flags().GetUint32("plan-version")
				req.License = l
				return nil
			}),
		calling(one("suspend", "Stop a licence until it is resumed"), (*client).license, licenseClient.SuspendLicense, argument[*adminv1.SuspendLicenseRequest]("id")),
		calling(one("resume", "End a suspension"), (*client).license, licenseClient.ResumeLicense, argument[*adminv1.ResumeLicenseRequest]("id")),
		calling(one("cancel", "End a licence at the customer's wish, at once"), (*client).license, licenseClient.CancelLicense, argument[*adminv1.CancelLicenseRequest]("id")),
		calling(one("revoke", "End a licence for good, at once"), (*client).license, licenseClient.RevokeLicense, argument[*adminv1.RevokeLicenseRequest]("id")),
		importing("licenses", "Import licences from a CSV file: new ones are issued, known ones stay as they are",
			"external_id, plan, and external_customer_id or customer, and any of plan_version, starts_at, ends_at, anchor", sendLicenses),
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

// instant is a flag that takes RFC 3339, a day, or a span back from now like -24h.
type instant struct {
	text string
	time time.Time
}

func (i *instant) String() string { return i.text }

func (i *instant) Type() string { return "time" }

func (i *instant) Set(s string) error {
	i.text = s
	if span, err := time.ParseDuration(s); err == nil && (strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+")) {
		i.time = time.Now().Add(span)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			i.time = t
			return nil
		}
	}
	return errors.New("use a time like 2027-01-31T15:04:05Z, a day like 2027-01-31 (UTC), or a span from now like -24h or +30m")
}

// instantOf is nil where the flag is not given.
func instantOf(cmd *cobra.Command, flag string) *timestamppb.Timestamp {
	i, ok := cmd.Flags().Lookup(flag).Value.(*instant)
	if !ok || i.time.IsZero() {
		return nil
	}
	return timestamppb.New(i.time)
}
