package cli

import (
	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func termsCommand() *cobra.Command {
	columns := []column{
		{"KEY", "key"}, {"ON", "on"}, {"PRIORITY", "priority"}, {"EFFECT", "effect"}, {"WHEN", "when"}, {"COST", "cost"},
		{"RETRY AFTER", "retry_after"}, {"ARCHIVED", "archive_time"},
	}
	return group("terms", "Custom rules: what happens to requests for which a condition holds", "  tollgate terms list\n  tollgate terms get no-delete",
		listing(verb{
			use: "list", short: "List terms", example: "  tollgate terms list --filter 'on = \"plan:free\"'",
			filters: "on, effect, archived", view: view{field: "terms", columns: columns},
		}, (*client).traffic, trafficClient.ListTerms),
		calling(verb{
			use: "get KEY", short: "Show a term", example: "  tollgate terms get no-delete -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "term", columns: columns},
		}, (*client).traffic, trafficClient.GetTerm, argument[*adminv1.GetTermRequest]("key")),
		calling(verb{
			use: "archive KEY", short: "Take a term out of use", example: "  tollgate terms archive no-delete",
			args: cobra.ExactArgs(1), view: view{field: "term", columns: append(columns, column{"EPOCH", ".epoch"})},
		}, (*client).traffic, trafficClient.ArchiveTerm, argument[*adminv1.ArchiveTermRequest]("key")),
	)
}

func issuersCommand() *cobra.Command {
	columns := []column{
		{"KEY", "key"}, {"ISSUER", "issuer"}, {"AUDIENCES", "audiences"}, {"CUSTOMER CLAIM", "customer_claim"}, {"LICENSE CLAIM", "license_claim"},
		{"ALGORITHMS", "algorithms"}, {"ARCHIVED", "archive_time"},
	}
	return group("issuers", "Identity providers: stored and checked, not asked yet", "  tollgate issuers list\n  tollgate issuers get idp",
		listing(verb{
			use: "list", short: "List issuers", example: "  tollgate issuers list",
			filters: "issuer, archived", view: view{field: "issuers", columns: columns},
		}, (*client).traffic, trafficClient.ListIssuers),
		calling(verb{
			use: "get KEY", short: "Show an issuer", example: "  tollgate issuers get idp -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "issuer", columns: columns},
		}, (*client).traffic, trafficClient.GetIssuer, argument[*adminv1.GetIssuerRequest]("key")),
	)
}
