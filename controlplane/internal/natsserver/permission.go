package natsserver

import "github.com/nats-io/jwt/v2"

// nodePermissions lets a node do what a node does, and nothing in another's name: it asks for loans, reports on itself,
// sends its own segments, and reads rules and snapshots. It can publish no rules, heartbeats, key sets, recalls or
// receipts, and sees no answers to others. What JetStream itself answers goes where the node says, whatever is allowed here: see docs/adr/0006-join.md.
func nodePermissions(node string) jwt.Permissions {
	const rules, snapshots = "TOLLGATE_RULES", "OBJ_TOLLGATE_SNAPSHOTS"
	var p jwt.Permissions
	p.Pub.Allow.Add(
		"tollgate.lend", "tollgate.lend.cold",
		"tollgate.segments."+node, "tollgate.fleet."+node,
		"$JS.API.INFO", "$JS.API.STREAM.NAMES",
	)
	for _, stream := range []string{rules, snapshots} {
		p.Pub.Allow.Add(
			"$JS.API.STREAM.INFO."+stream,
			"$JS.API.STREAM.MSG.GET."+stream,
			"$JS.API.DIRECT.GET."+stream, "$JS.API.DIRECT.GET."+stream+".>",
			"$JS.API.CONSUMER.CREATE."+stream, "$JS.API.CONSUMER.CREATE."+stream+".>",
			"$JS.API.CONSUMER.INFO."+stream+".>",
			"$JS.API.CONSUMER.DELETE."+stream+".>",
			"$JS.API.CONSUMER.MSG.NEXT."+stream+".>",
			"$JS.ACK."+stream+".>", "$JS.FC."+stream+".>",
		)
	}
	p.Sub.Allow.Add(
		"_INBOX."+node+".>",
		"tollgate.rules", "tollgate.heartbeat", "tollgate.trust", "tollgate.recall",
		"tollgate.receipts."+node,
	)
	return p
}
