//go:build nextversion

package rulefeed

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// nextVersion makes a control plane that stands in for the next version, for tests of versions together: each change set has a record of a kind
// that is not known yet, which may be passed over; and a service whose key begins with next- needs what no node can do yet.
func nextVersion(e *rulesv1.Envelope) {
	for _, r := range e.GetRecords() {
		if strings.HasPrefix(r.GetService().GetKey(), "next-") {
			r.Needs = []string{"next-version"}
		}
	}
	r := &rulesv1.Record{Optional: true}
	raw := protowire.AppendTag(nil, 1000, protowire.BytesType)
	r.ProtoReflect().SetUnknown(protowire.AppendString(raw, "of the next version"))
	e.Records = append(e.Records, r)
}
