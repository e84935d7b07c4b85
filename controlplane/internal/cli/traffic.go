package cli

import (
	"github.com/spf13/cobra"
)

func servicesCommand() *cobra.Command {
	columns := []column{{"KEY", "key"}, {"ENDPOINTS", "endpoints"}, {"NAME", "display_name"}, {"ARCHIVED", "archive_time"}}
	one, changed := oneObject("service", columns)
	return group("services", "Upstreams that requests are forwarded to", "  tollgate services list\n  tollgate services get sample",
		listing(verb{
			use: "list", short: "List services", example: "  tollgate services list",
			filters: "archived", view: view{field: "services", columns: columns},
		}, (*client).traffic, trafficClient.ListServices),
		byKey("services", "get", "Show a service", "sample", one, (*client).traffic, trafficClient.GetService),
		byKey("services", "archive", "Take a service out of use", "sample", changed, (*client).traffic, trafficClient.ArchiveService),
	)
}

func routesCommand() *cobra.Command {
	columns := []column{
		{"KEY", "key"}, {"SERVICE", "service"}, {"HOST", "match.host"}, {"PATH", "match.path"}, {"METHODS", "match.methods"},
		{"REQUIRES", "requires"}, {"METER", "meter"}, {"COST", "cost.fixed"}, {"ON STALE", "on_stale"}, {"ARCHIVED", "archive_time"},
	}
	one, changed := oneObject("route", columns)
	return group("routes", "Which requests go where, what they require and cost", "  tollgate routes list\n  tollgate routes get hello",
		listing(verb{
			use: "list", short: "List routes", example: "  tollgate routes list --filter 'service = \"sample\"'",
			filters: "service, meter, archived", view: view{field: "routes", columns: columns},
		}, (*client).traffic, trafficClient.ListRoutes),
		byKey("routes", "get", "Show a route", "hello", one, (*client).traffic, trafficClient.GetRoute),
		byKey("routes", "archive", "Take a route out of use", "hello", changed, (*client).traffic, trafficClient.ArchiveRoute),
	)
}
