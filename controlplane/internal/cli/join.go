package cli

import (
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// joinTokenColumns are what is shown of a join token, without its secret.
func joinTokenColumns() []column {
	return []column{
		{"ID", "id"}, {"NODE", "node"}, {"REPLACE", "replace"}, {"USES", "uses"}, {"USED", "used"}, {"EXPIRES", "expire_time"}, {"CREATED", "create_time"}, {"REVOKED", "revoke_time"},
	}
}

// joinTokenCommand makes a token, with the verb and without: it is what it is mostly asked for.
func joinTokenCommand() *cobra.Command {
	create := func(use, example string) *cobra.Command {
		return calling(verb{
			use: use, short: "Make a token by which nodes join", example: example,
			note: "The secret is shown this once. A node is started with it as TOLLGATE_JOIN_TOKEN.",
			view: view{field: "join_token", columns: []column{{"ID", "id"}, {"NODE", "node"}, {"USES", "uses"}, {"EXPIRES", "expire_time"}, {"SECRET", ".secret"}}},
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("node", "", "the only node that may join by it (default: any name that no node holds)")
				cmd.Flags().Int32("uses", 1, "how many nodes may join by it")
				cmd.Flags().Duration("ttl", 0, "how long it lasts, at most 720h (default 1h)")
				cmd.Flags().Bool("replace", false, "let the node take its name from one that holds it, as after its disk was lost; needs --node")
			},
		}, (*client).fleet, fleetClient.CreateJoinToken,
			func(cmd *cobra.Command, _ []string, req *adminv1.CreateJoinTokenRequest) error {
				req.Node, _ = cmd.Flags().GetString("node") // All are declared above.
				req.Uses, _ = cmd.Flags().GetInt32("uses")
				req.Replace, _ = cmd.Flags().GetBool("replace")
				if cmd.Flags().Changed("ttl") {
					ttl, _ := cmd.Flags().GetDuration("ttl")
					req.Ttl = durationpb.New(ttl)
				}
				return nil
			})
	}
	cmd := create("join-token", "  tollgate fleet join-token create --node node-3\n  tollgate fleet join-token revoke jtk_01K0…")
	cmd.AddCommand(
		create("create", "  tollgate fleet join-token create --node node-3\n  tollgate fleet join-token create --uses 20 --ttl 24h"),
		calling(verb{
			use: "revoke ID", short: "Revoke a join token, at once; who joined by it stays", example: "  tollgate fleet join-token revoke jtk_01K0…",
			args: cobra.ExactArgs(1), view: view{field: "join_token", columns: joinTokenColumns()},
		}, (*client).fleet, fleetClient.RevokeJoinToken, argument[*adminv1.RevokeJoinTokenRequest]("id")),
	)
	return cmd
}

// joinTokensCommand lists; the noun alone does, too.
func joinTokensCommand() *cobra.Command {
	list := func(use string) *cobra.Command {
		return listing(verb{
			use: use, short: "List join tokens; their secrets are kept nowhere", example: "  tollgate fleet join-tokens list",
			view: view{field: "join_tokens", columns: joinTokenColumns()},
		}, (*client).fleet, fleetClient.ListJoinTokens)
	}
	cmd := list("join-tokens")
	cmd.AddCommand(list("list"))
	return cmd
}
