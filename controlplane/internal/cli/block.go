package cli

import (
	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func blockedView() view {
	return view{field: "node", columns: []column{
		{"NAME", "name"}, {"STATE", "state"}, {"REASON", "block_reason"}, {"BLOCKED", "block_time"}, {"NATS USER", "nats_user"}, {"LAST SEEN", "last_seen"},
	}}
}

// blockCommand stops one node.
func blockCommand() *cobra.Command {
	return calling(verb{
		use: "block NODE", short: "Stop one node: no loans, no new certificate, nothing of its log is taken",
		example: "  tollgate fleet block node-7 --reason 'stolen, ticket 4711'",
		note:    "It keeps the rules that it has, and hears news as long as NATS admits its user: see docs/guides/nodes.md.",
		args:    cobra.ExactArgs(1), view: blockedView(),
		flags: func(cmd *cobra.Command) {
			cmd.Flags().String("reason", "", "why, for whoever finds the node blocked (required)")
			_ = cmd.MarkFlagRequired("reason") // It is declared above.
		},
	}, (*client).fleet, fleetClient.BlockNode,
		func(cmd *cobra.Command, args []string, req *adminv1.BlockNodeRequest) error {
			req.Name = args[0]
			req.Reason, _ = cmd.Flags().GetString("reason") // It is declared above.
			return nil
		})
}

// unblockCommand takes a node back.
func unblockCommand() *cobra.Command {
	return calling(verb{
		use: "unblock NODE", short: "Take a blocked node back: it sends again what was not taken",
		example: "  tollgate fleet unblock node-7",
		args:    cobra.ExactArgs(1), view: blockedView(),
	}, (*client).fleet, fleetClient.UnblockNode, argument[*adminv1.UnblockNodeRequest]("name"))
}
