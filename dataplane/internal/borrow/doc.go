// Package borrow keeps a node's accounts: what the lender lent this process of limits that the fleet shares.
//
// # Asking
//
// A licence has at most one request under way, so that answers are applied in the order of their requests; an answer that comes after its
// request was given up is never applied (the arithmetic of loans makes up for it). Wait asks for one licence alone, on the
// subject for requests that wait; those who come while a request is under way wait together for the next one, which asks for all of them.
// A batch that takes long is given up for one who waits. Renewals and reports of spent tokens are gathered for
// some milliseconds and asked for in batches.
//
// # Failure
//
// Where the lender cannot be reached, Wait fails at once for all who wait, and renewals pause. Nothing is lost: totals are cumulative, and
// the next message carries them. A boot that the lender has closed must not go on: the fatal callback says so, once.
//
// Account, Renew, Unspend and Recalled never block. Account allocates only for a licence it sees for the first time.
package borrow
