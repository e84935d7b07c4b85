// Package controlplane is Tollgate's control plane as one process: the admin API and the web UI, and beside them
// what talks to nodes: the publisher of rules, the lender of limits, the ingest of segments.
//
// Any number of control planes may share one Postgres and one NATS. Everything they know is in Postgres; a process that
// is killed loses nothing.
package controlplane
