// Package decision is Tollgate's heart: what a request is answered, and why.
//
// Decide is a pure function of a rule State, a Request, the time, and the Account of the licence that the
// request comes from. It does no I/O, reads no clock, waits for nothing but an account's mutex, and, where no term is for the request,
// allocates nothing. The control plane runs the same code to explain.
//
// A State is immutable. An Editor makes the next one aside; whoever holds a State swaps one pointer.
//
// # States
//
// Customers, licences and credentials, of which there may be millions, lie in persistent tables of pages (table.go): the collector finds few pointers
// there, and a change copies one page and the way to it, never the whole. Everything else lies in maps. An Editor lets changes of tables wait, and makes them in
// order of their pages (batch.go), in pages of its own (draft.go). A table in which nothing lies yet is built of many changes at once (stage.go), by all
// processors: the one place where this package starts goroutines, which end before the call does. Texts that are read out of a State are parts of its pages.
//
// A State keeps the sum of its records' digests, so that two ways to the same records can be told to have led there.
//
// # Terms
//
// A term is a rule in CEL. CheckCondition compiles its text when it is saved, Build when a node learns of it: by the same code, and never for a
// request. What cannot be compiled or evaluated denies. A condition sees what TermNames lists, of the request by way of Details, and
// nothing else; its cost is bounded before it is saved and while it runs.
//
// # Limits
//
// Limits that a fleet shares are lent to nodes ahead of need. An Account holds what one boot was lent for
// one licence: units of hard quotas, which stay lent until spent, returned or settled, and tokens of rate
// limits, which end at a deadline. Deciding spends only from there. Where a loan is missing or dry and the
// pool is not known to be empty, the verdict is Cold: whoever asked may fetch a loan (Account.Asks, Account.Apply) and decide
// afresh. All limits of a request are spent together or not at all.
package decision
