package licensing

import "time"

// Fleet is what holds for all nodes.
type Fleet struct {
	ID  string
	Env string // The deployment's label in API keys.
	// Pepper keys the HMAC under which API keys and tokens are stored.
	Pepper       []byte `json:"-"`
	ErrorBaseURL string // Base of the type of a denial's body.
	// Ages of the last fresh heartbeat at which a node turns stale, grace, block.
	StaleAfter, GraceAfter, BlockAfter time.Duration
	// LoanHorizon is the outage of the lender that hard quotas should ride out.
	LoanHorizon time.Duration
	// OfflineStart lets nodes serve by the rules on their disk after an unclean end, before they have heard that they are current.
	OfflineStart bool
}

// The settings of a new fleet.
const (
	defaultStaleAfter  = 15 * time.Second
	defaultGraceAfter  = 15 * time.Minute
	defaultBlockAfter  = 24 * time.Hour
	defaultLoanHorizon = 60 * time.Second
)
