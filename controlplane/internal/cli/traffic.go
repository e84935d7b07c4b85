package cli

import (
	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func servicesCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"ENDPOINTS", "endpoints"}, {"NAME", "display_name"}, {"ARCHIVED", "archive_time"}}
	return group("services", "Upstreams that requests are forwarded to", "  tollgate services list\n  tollgate services get sample",
		listing(verb{
			use: "list", short: "List services", example: "  tollgate services list",
			filters: "archived", view: view{field: "services", columns: columns},
		}, (*client).traffic, trafficClient.ListServices),
		calling(verb{
			use: "get KEY", short: "Show a service", example: "  tollgate services get sample -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "service", columns: columns},
		}, (*client).traffic, trafficClient.GetService, argument[*adminv1.GetServiceRequest]("key")),
	)
}

func routesCommand() *cobra.Command {
	columns := []column{
		{"KEY", "key"}, {"SERVICE", "service"}, {"HOST", "match.host"}, {"PATH", "match.path"}, {"METHODS", "match.methods"},
		{"REQUIRES", "requires"}, {"METER", "meter"}, {"COST", "cost.fixed"}, {"ARCHIVED", "archive_time"},
	}
	return group("routes", "Which requests go where, what they require and cost", "  tollgate routes list\n  tollgate routes get hello",
		listing(verb{
			use: "list", short: "List routes", example: "  tollgate routes list --filter 'service = \"sample\"'",
			filters: "service, meter, archived", view: view{field: "routes", columns: columns},
		}, (*client).traffic, trafficClient.ListRoutes),
		calling(verb{
			use: "get KEY", short: "Show a route", example: "  tollgate routes get hello -o yaml",
			args: cobra.ExactArgs(1), view: view{field: "route", columns: columns},
		}, (*client).traffic, trafficClient.GetRoute, argument[*adminv1.GetRouteRequest]("key")),
	)
}
