// Package dataplane is a Tollgate node: a reverse proxy that decides each request from signed rules in its memory.
//
// Run wires the adapters under internal: front (requests), identity (credentials), upstream (services), ruleset (the rules
// stream), borrow (loans of shared limits), spool (the log) and bus (NATS). They never import each other.
package dataplane
