package natsserver

import (
	"slices"

	"github.com/nats-io/jwt/v2"
)

// What passes between the two accounts. The streams are in the control plane's, and nodes have no JetStream at all: not even one that is taken
// over has a subject on which it could change a stream, and what it gets as an answer can go to no subject of the control plane's account, whatever
// it names for it, as NATS itself answers between accounts.
var (
	// asked are the requests that nodes may make of the control plane's account: to the lender, to the streams that they read, and what they say.
	asked = []string{
		"tollgate.lend", "tollgate.lend.cold", "tollgate.segments.*", "tollgate.fleet.*",
		streamInfo + rules, streamInfo + snapshots, directGet + rules, directGet + snapshots, directGet + snapshots + "." + objects,
		// No node may ask this. Where an account does not import it, the server imports all of $JS.API for it, and answers to each question
		// that the account has no JetStream.
		"$JS.API.INFO",
	}
	// lent are those to lenders.
	lent = []string{"tollgate.lend", "tollgate.lend.cold"}
	// told is what nodes hear.
	told = []string{"tollgate.rules.stored", "tollgate.heartbeat", "tollgate.trust", "tollgate.recall", "tollgate.receipts.*"}
)

const (
	rules     = "TOLLGATE_RULES"
	snapshots = "OBJ_TOLLGATE_SNAPSHOTS"
	// objects are the subjects of what an object store says of its objects.
	objects    = "$O.TOLLGATE_SNAPSHOTS.M.*"
	streamInfo = "$JS.API.STREAM.INFO."
	directGet  = "$JS.API.DIRECT.GET."
)

// controlAccount is the control plane's account.
func controlAccount(id string) *jwt.AccountClaims {
	c := jwt.NewAccountClaims(id)
	c.Name = "TOLLGATE"
	c.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	for _, subject := range asked {
		c.Exports.Add(&jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: jwt.Service})
	}
	for _, subject := range told {
		c.Exports.Add(&jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: jwt.Stream})
	}
	return c
}

// nodesAccount is the nodes' account, with all that it knows of the control plane's.
func nodesAccount(id, control string) *jwt.AccountClaims {
	c := jwt.NewAccountClaims(id)
	c.Name = "TOLLGATE_NODES"
	for _, subject := range asked {
		// A lender has to know who asks: what a node says of itself does not count, what the server says of its user does.
		share := slices.Contains(lent, subject)
		c.Imports.Add(&jwt.Import{Name: subject, Subject: jwt.Subject(subject), Account: control, Type: jwt.Service, Share: share})
	}
	for _, subject := range told {
		c.Imports.Add(&jwt.Import{Name: subject, Subject: jwt.Subject(subject), Account: control, Type: jwt.Stream})
	}
	return c
}

// nodePermissions lets a node do what a node does, and nothing in another's name: it asks for loans, reports on itself, sends its own segments, and
// reads rules and snapshots. It can publish no rules, heartbeats, key sets, recalls or receipts, and sees no answers to others.
func nodePermissions(node string) jwt.Permissions {
	var p jwt.Permissions
	p.Pub.Allow.Add(
		"tollgate.lend", "tollgate.lend.cold", "tollgate.segments."+node, "tollgate.fleet."+node,
		streamInfo+rules, streamInfo+snapshots, directGet+rules, directGet+snapshots, directGet+snapshots+"."+objects,
	)
	p.Sub.Allow.Add(
		"_INBOX."+node+".>",
		"tollgate.rules.stored", "tollgate.heartbeat", "tollgate.trust", "tollgate.recall", "tollgate.receipts."+node,
	)
	return p
}
