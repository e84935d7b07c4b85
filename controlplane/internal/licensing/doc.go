// Package licensing is the control plane's domain: customers, what can be sold to them, the licences
// they hold, the credentials and routes by which their requests are decided, and who may change all that.
//
// Service has one method for each call of the admin API. A write that touches what nodes enforce runs in one
// transaction: it locks the head of the rules, checks everything against the state it will change, writes, takes the
// next epoch, and stores the encoded change set with it. Writers are therefore serial, epochs follow commit order
// without gaps, and a check can't be overtaken by another write. A write that changes nothing takes no epoch and
// answers the current one.
//
// A new write is written as
//
//	var out Thing
//	epoch, err := s.write(ctx, &out, func(w *write) error { … })
//
// and has what all writes share. out is the whole answer, a secret included: a call that comes again with its request id
// gets it from where it was stored, encrypted, and the function does not run; so nothing of the answer may be kept beside
// it, and what depends on the moment is checked inside. With validate_only the function runs and is rolled back; a secret
// is left out by the one who makes it. Of a call that names an object without sending one, w.holds refuses a stale etag.
// What is written through w's Tx is appended to the audit in the same transaction: a new method of Tx that writes needs
// its counterpart in recorder. Fields that must not be seen, there or in stored answers, are tagged json:"-". Who calls
// is in the context: see Call. A write that changes nothing, one that is only checked, one that comes again and one that
// is refused leave no event; were refusals kept, whoever may not write could fill the disk.
//
// Every error that a caller can do something about is an *Error.
package licensing
