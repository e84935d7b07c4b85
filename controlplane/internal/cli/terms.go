package cli

import "github.com/spf13/cobra"

func termsCommand() *cobra.Command {
	columns := []column{
		{"KEY", "key"}, {"ON", "on"}, {"PRIORITY", "priority"}, {"EFFECT", "effect"}, {"WHEN", "when"}, {"COST", "cost"},
		{"RETRY AFTER", "retry_after"}, {"ARCHIVED", "archive_time"},
	}
	one, changed := oneObject("term", columns)
	return group("terms", "Custom rules: what happens to requests for which a condition holds", "  tollgate terms list\n  tollgate terms get no-delete",
		listing(verb{
			use: "list", short: "List terms", example: "  tollgate terms list --filter 'on = \"plan:free\"'",
			filters: "on, effect, archived", view: view{field: "terms", columns: columns},
		}, (*client).traffic, trafficClient.ListTerms),
		byKey("terms", "get", "Show a term", "no-delete", one, (*client).traffic, trafficClient.GetTerm),
		byKey("terms", "archive", "Take a term out of use", "no-delete", changed, (*client).traffic, trafficClient.ArchiveTerm),
	)
}

func issuersCommand() *cobra.Command {
	columns := []column{
		{"KEY", "key"}, {"ISSUER", "issuer"}, {"AUDIENCES", "audiences"}, {"CUSTOMER CLAIM", "customer_claim"}, {"LICENSE CLAIM", "license_claim"},
		{"ALGORITHMS", "algorithms"}, {"ARCHIVED", "archive_time"},
	}
	one, changed := oneObject("issuer", columns)
	return group("issuers", "Identity providers: stored and checked, not asked yet", "  tollgate issuers list\n  tollgate issuers get idp",
		listing(verb{
			use: "list", short: "List issuers", example: "  tollgate issuers list",
			filters: "issuer, archived", view: view{field: "issuers", columns: columns},
		}, (*client).traffic, trafficClient.ListIssuers),
		byKey("issuers", "get", "Show an issuer", "idp", one, (*client).traffic, trafficClient.GetIssuer),
		byKey("issuers", "archive", "Take an issuer out of use", "idp", changed, (*client).traffic, trafficClient.ArchiveIssuer),
	)
}
