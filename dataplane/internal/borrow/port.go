package borrow

import (
	"context"

	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// Lender lends.
type Lender interface {
	// Lend asks, and blocks for the answer: one loan for each ask, in order. cold: requests are waiting. It fails at once where nobody can
	// answer. After an error the request may have been heard or not.
	Lend(ctx context.Context, cold bool, req *lendv1.LendRequest) (*lendv1.LendResponse, error)
}
