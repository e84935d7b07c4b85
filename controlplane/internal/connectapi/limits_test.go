package connectapi

import (
	"slices"
	"strings"
	"testing"

	protovalidate "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What a caller can make long has a limit in the proto, where clients see it too.
func TestProtos_LimitWhatCallersCanMakeLong(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	var check func(m protoreflect.MessageDescriptor)
	check = func(m protoreflect.MessageDescriptor) {
		if slices.Contains(judged, m.Name()) || seen[m.FullName()] || !strings.HasPrefix(string(m.FullName()), "tollgate.") {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			o, _ := f.Options().(*descriptorpb.FieldOptions)
			long := f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind || f.IsList() || f.IsMap()
			if long && !proto.HasExtension(o, protovalidate.E_Field) && !outputOnly(f) {
				t.Errorf("%s has no limit", f.FullName())
			}
			if f.Message() != nil && !f.IsMap() && !outputOnly(f) {
				check(f.Message())
			}
		}
	}
	for _, s := range services() {
		for i := range s.Methods().Len() {
			check(s.Methods().Get(i).Input())
		}
	}
	if len(seen) == 0 {
		t.Error("there are no requests")
	}
}

// judged are messages whose values are answered one by one: a limit in the proto would refuse all of a call for one of them.
var judged = []protoreflect.Name{"UsageEvent"}

// answered are messages within requests' objects that only answers fill in.
var answered = []protoreflect.Name{"LicensePhase", "Override", "Grant", "Attachment"}

// outputOnly fields are ignored in requests, but for ids, which name what is stored; etags are compared, and kept nowhere.
func outputOnly(f protoreflect.FieldDescriptor) bool {
	return f.Name() == etagField || f.Name() == "id" || f.Message() != nil && slices.Contains(answered, f.Message().Name())
}
