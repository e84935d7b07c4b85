// Package licensing is the control plane's domain: customers, what can be sold to them, the licences
// they hold, the credentials and routes by which their requests are decided, and who may change all that.
//
// Service has one method for each call of the admin API. A write that touches what nodes enforce runs in one
// transaction: it locks the head of the rules, checks everything against the state it will change, writes, takes the
// next epoch, and stores the encoded change set with it. Writers are therefore serial, epochs follow commit order
// without gaps, and a check can't be overtaken by another write. A write that changes nothing takes no epoch and
// answers the current one.
//
// Every error that a caller can do something about is an *Error.
package licensing
