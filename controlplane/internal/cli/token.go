package cli

import (
	"strings"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// roles are the API's, as bare words.
func roles() []string { return []string{"viewer", "support", "billing", "editor", "owner"} }

func tokensCommand() *cobra.Command {
	columns := []column{{"ID", "id"}, {"ROLE", "role"}, {"NAME", "display_name"}, {"CREATED", "create_time"}, {"REVOKED", "revoke_time"}}
	return group("tokens", "API tokens: who may call this API", "  tollgate tokens create --role viewer --name dashboard\n  tollgate tokens revoke tok_01K0…",
		listing(verb{
			use: "list", short: "List tokens; their secrets are kept nowhere", example: "  tollgate tokens list",
			view: view{field: "tokens", columns: columns},
		}, (*client).access, accessClient.ListTokens),
		calling(verb{
			use: "create", short: "Create a token", example: "  tollgate tokens create --role viewer --name dashboard",
			note: "The secret is shown this once: keep it now.",
			view: view{field: "token", columns: []column{{"ID", "id"}, {"ROLE", "role"}, {"NAME", "display_name"}, {"SECRET", ".secret"}}},
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Var(&choice{"", roles()}, "role", "what its bearer may do")
				cmd.Flags().String("name", "", "name for people")
				// Both fail only where the flag is not declared.
				_ = cmd.MarkFlagRequired("role")
				_ = cmd.RegisterFlagCompletionFunc("role", words(roles()))
			},
		}, (*client).access, accessClient.CreateToken,
			func(cmd *cobra.Command, _ []string, req *adminv1.CreateTokenRequest) error {
				role := cmd.Flags().Lookup("role").Value.String()
				t := &adminv1.Token{Role: adminv1.Role(adminv1.Role_value["ROLE_"+strings.ToUpper(role)])}
				t.DisplayName, _ = cmd.Flags().GetString("name")
				req.Token = t
				return nil
			}),
		calling(verb{
			use: "revoke ID", short: "Revoke a token, at once", example: "  tollgate tokens revoke tok_01K0…",
			args: cobra.ExactArgs(1), view: view{field: "token", columns: columns},
		}, (*client).access, accessClient.RevokeToken, argument[*adminv1.RevokeTokenRequest]("id")),
	)
}
