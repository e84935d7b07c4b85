// Package law holds the import law: who may import whom, as data with a reason each.
package law

// Ban forbids packages under From to import packages under To.
type Ban struct {
	// From is an import path prefix.
	From string
	// To is an import path prefix, or "any".
	To string
	// Except are prefixes, of the importer or of the imported, to which the ban does not apply; "std" stands
	// for the standard library.
	Except []string
	Reason string
}

// Bans is the law.
var Bans = []Ban{
	{
		From: "tollgate/dataplane/decision", To: "any", Except: []string{"std", "cel.dev/cel-go"},
		Reason: "the heart is pure: values in, a verdict out; so it can run anywhere and be tested without anything",
	},
	{
		From: "tollgate/controlplane/internal/licensing", To: "any",
		Except: []string{"std", "tollgate/dataplane/decision", "tollgate/dataplane/apikey", "tollgate/controlplane/internal/licensing", "tollgate/controlplane/internal/audit", "github.com/cockroachdb/apd", "github.com/oklog/ulid"},
		Reason: "the domain knows no transport, database or generated code",
	},
	{
		From: "tollgate/controlplane/internal/audit", To: "any", Except: []string{"std", "tollgate/controlplane/internal/audit"},
		Reason: "who checks the chain from afar needs nothing of the control plane",
	},
	{
		From: "tollgate/controlplane/internal/metering", To: "any",
		Except: []string{"std", "tollgate/dataplane/decision", "tollgate/controlplane/internal/metering", "tollgate/controlplane/internal/licensing"},
		Reason: "the domain knows no transport, database or generated code",
	},
	{
		From: "tollgate/", To: "github.com/jackc/pgx", Except: []string{"tollgate/controlplane/internal/postgres"},
		Reason: "SQL lives in one place",
	},
	{
		From: "tollgate/", To: "github.com/nats-io/nats.go", Except: []string{"tollgate/controlplane/internal/bus", "tollgate/dataplane/internal/bus", "tollgate/test/"},
		Reason: "the broker is a transport behind ports",
	},
	{
		From: "tollgate/dataplane", To: "tollgate/controlplane",
		Reason: "a node carries nothing of the control plane, no Postgres driver above all",
	},
	{
		From: "tollgate/dataplane", To: "github.com/jackc/pgx",
		Reason: "a node carries no Postgres driver",
	},
	{
		From: "tollgate/gen", To: "tollgate/", Except: []string{"tollgate/gen"},
		Reason: "generated code depends on no one's logic",
	},
	{
		From: "tollgate/controlplane", To: "tollgate/dataplane/internal",
		Reason: "the control plane shares the heart and the envelopes with nodes, and nothing else",
	},
	{
		From: "tollgate/", To: "net/http/pprof",
		Reason: "it registers itself on the default mux",
	},
}

// Adapters never import each other: Run wires them. Each entry is a package that talks to one technology.
var Adapters = []string{
	"tollgate/controlplane/internal/bus",
	"tollgate/controlplane/internal/cli",
	"tollgate/controlplane/internal/connectapi",
	"tollgate/controlplane/internal/ingest",
	"tollgate/controlplane/internal/lender",
	"tollgate/controlplane/internal/postgres",
	"tollgate/controlplane/internal/publisher",
	"tollgate/controlplane/internal/sample",
	"tollgate/controlplane/internal/webui",
	"tollgate/dataplane/internal/borrow",
	"tollgate/dataplane/internal/bus",
	"tollgate/dataplane/internal/front",
	"tollgate/dataplane/internal/identity",
	"tollgate/dataplane/internal/rulefile",
	"tollgate/dataplane/internal/ruleset",
	"tollgate/dataplane/internal/spool",
	"tollgate/dataplane/internal/upstream",
}
