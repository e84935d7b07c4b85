// Package lender answers nodes that ask for units of hard quotas and tokens of rate limits.
//
// What makes it right happens in Postgres: each grant is one call of a function that locks the pool before it reads. The lender
// finds the limit that is in force, checks the period, and, where a quota is used up but others hold idle units,
// asks all nodes to give these back before it says that the quota is exhausted.
//
// Renew and Cold may be called by any number of goroutines, and on any number of control planes: they share nothing but Postgres. A
// node's report may reach another control plane than the one that waits for it, so a waiting Cold also looks by itself every few
// milliseconds. Where Postgres is away both return nil, no answer: the node then decides with what it has.
package lender
