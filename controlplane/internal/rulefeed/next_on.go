//go:build nextversion

package rulefeed

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// With the tag, a control plane stands in for the next version, for tests of versions together: each change set has a record of a kind that is not
// known yet, which may be passed over; and a service whose key begins with next- needs what no node can do yet.

func nextRecord(r *rulesv1.Record) {
	if strings.HasPrefix(r.GetService().GetKey(), "next-") {
		r.Needs = []string{"next-version"}
	}
}

func nextRecords() [][]byte {
	r := &rulesv1.Record{Optional: true}
	raw := protowire.AppendTag(nil, 1000, protowire.BytesType)
	r.ProtoReflect().SetUnknown(protowire.AppendString(raw, "of the next version"))
	encoded, err := deterministic.Marshal(r)
	if err != nil {
		panic(err)
	}
	return [][]byte{encoded}
}
