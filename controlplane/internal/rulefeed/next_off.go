//go:build !nextversion

package rulefeed

import rulesv1 "tollgate/gen/go/tollgate/rules/v1"

// nextRecord adds what the next version says in a record, and this one does not.
func nextRecord(*rulesv1.Record) {}

// nextRecords are those that the next version adds to a change set.
func nextRecords() [][]byte { return nil }
