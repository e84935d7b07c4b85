package front

import (
	"context"
	"net/http"
	"net/url"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/record"
)

// Rules is the rule state that the node enforces.
type Rules interface {
	// Current is the newest verified state, and its age; nil and AgeUnknown where there is none yet. It never blocks: it is called for each request.
	Current() (*decision.State, decision.Age)
}

// Clock is the node's.
type Clock interface {
	// Now is the present moment. It never blocks.
	Now() decision.Moment
}

// Limits is what the node was lent of shared limits.
type Limits interface {
	decision.Accounts
	// Wait asks the lender for a licence's limits, for a request that takes units, and returns when an answer of the
	// lender to a question asked after the call has been applied to the account. Calls for one licence may share a question.
	// It blocks until then, until ctx is done, or until the lender is known not to answer, which are errors.
	Wait(ctx context.Context, license string, units int64) error
	// Renew says that a licence's loans run low. It never blocks.
	Renew(license string)
	// Unspend takes back a charge that is not billed. It never blocks.
	Unspend(license string, charge decision.Charge)
}

// Log is the node's log of decisions and usage. Its methods block for a write to a file, not for a disk to sync. An error means that the
// entry may be lost: what it stands for must not happen.
type Log interface {
	// Deny writes a denial, complete, and sets its ID and Sequence.
	Deny(*record.Decision) error
	// Begin writes an intent, and sets its ID and Sequence. When it returns nil the write has completed: the entry survives the
	// end of this process.
	Begin(*record.Decision) error
	// Settle writes how an intent ended.
	Settle(*record.Settlement) error
}

// Identity reads credentials. Its methods never block.
type Identity interface {
	// Identify reads the credential in a request's header into r: Presented and, of a key, KeyID and KeyHash.
	Identify(r *decision.Request, h http.Header, s *decision.State)
	// Strip removes Tollgate's own credentials from a header that goes to an upstream, and the key that the request was let
	// through by.
	Strip(h http.Header, by *decision.Credential, s *decision.Settings)
}

// Upstreams knows how services are reached.
type Upstreams interface {
	// Pick chooses the endpoint for the next request to a service, and what carries it there. It never blocks. It fails where the
	// service has no endpoint that can be used.
	Pick(*decision.Service) (*url.URL, http.RoundTripper, error)
}
