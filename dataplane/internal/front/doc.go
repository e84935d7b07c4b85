// Package front takes clients' requests: it decides each, logs it, and forwards or answers it.
//
// # A request's way
//
// validate → identify → decide; while the verdict is cold, wait for the lender within one bounded time and decide
// afresh → log. A denial is logged whole, then answered. A request that passes is logged as an intent before the upstream is called,
// and settled when the response's last byte is through, the client has gone, or the upstream has failed. What was not billed is
// given back to its account. So an answer that a client has seen is in the log, whatever kills the node after.
//
// # Concurrency
//
// Each request runs on its own goroutine and shares with others the ports, which are safe for concurrent use, and
// counters. An exchange belongs to its request; the transport may still read the request's body, and the trailers with it, after
// the handler has returned, so the count of bytes read is atomic.
//
// # Failure
//
// Where something that a decision needs is not there, nothing is forwarded: rules_unavailable, limits_unavailable,
// log_unavailable, overloaded. A settlement that cannot be written is reported by the log's own alarms: the intent stands, and
// is billed by the route's policy.
package front
