package cli

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// at follows a path of field names like `epoch.number`. Nothing is there where the path is not set.
func at(m protoreflect.Message, path string) (protoreflect.FieldDescriptor, protoreflect.Value, bool) {
	name, rest, deeper := strings.Cut(path, ".")
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if fd == nil || fd.HasPresence() && !m.Has(fd) {
		return nil, protoreflect.Value{}, false
	}
	if deeper {
		return at(m.Get(fd).Message(), rest)
	}
	return fd, m.Get(fd), true
}

// text is what a table shows of a field.
func text(m protoreflect.Message, path string) string {
	fd, v, ok := at(m, path)
	switch {
	case !ok:
		return ""
	case fd.IsMap():
		var pairs []string
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			pairs = append(pairs, k.String()+"="+v.String())
			return true
		})
		slices.Sort(pairs)
		return strings.Join(pairs, ",")
	case fd.IsList():
		items := make([]string, v.List().Len())
		for i := range items {
			items[i] = one(fd, v.List().Get(i))
		}
		return strings.Join(items, ",")
	default:
		return one(fd, v)
	}
}

func one(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		return bareWord(fd.Enum(), v.Enum())
	case protoreflect.MessageKind:
		return message(v.Message().Interface())
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes()) // As in JSON.
	case protoreflect.DoubleKind:
		return strconv.FormatFloat(v.Float(), 'f', 1, 64)
	default:
		return v.String()
	}
}

func message(m proto.Message) string {
	switch m := m.(type) {
	case *timestamppb.Timestamp:
		return m.AsTime().Format(time.RFC3339)
	case *durationpb.Duration:
		return m.AsDuration().String()
	case *adminv1.Epoch:
		return fmt.Sprintf("%d.%d", m.GetGeneration(), m.GetNumber())
	case *structpb.Value:
		if t, ok := m.GetKind().(*structpb.Value_StringValue); ok {
			return t.StringValue
		}
		b, _ := m.MarshalJSON() // A value that came over the wire can be written again.
		return string(b)
	case *adminv1.Entitlement:
		return entitlement(m)
	case *adminv1.RateLimit:
		return fmt.Sprintf("%s(%d/%s burst %d)", m.GetKey(), m.GetLimit(), m.GetPer().AsDuration(), m.GetBurst())
	case *adminv1.Attachment:
		return attachment(m)
	default:
		return ""
	}
}

func entitlement(e *adminv1.Entitlement) string {
	if q := e.GetQuota(); q != nil {
		return fmt.Sprintf("%s(%d/%s %s)", e.GetFeature(), q.GetLimit(), bareWord(q.GetPeriod().Descriptor(), q.GetPeriod().Number()),
			bareWord(q.GetMode().Descriptor(), q.GetMode().Number()))
	}
	if v := e.GetValue(); v != nil {
		return fmt.Sprintf("%s=%v", e.GetFeature(), v.AsInterface())
	}
	return e.GetFeature()
}

// attachment is the add-on's key, and when it begins or ends where that is to come.
func attachment(a *adminv1.Attachment) string {
	var dates []string
	if at := a.GetStartsAt().AsTime(); at.After(time.Now()) {
		dates = append(dates, "from "+at.Format(time.RFC3339))
	}
	if end := a.GetEndsAt(); end != nil {
		dates = append(dates, "until "+end.AsTime().Format(time.RFC3339))
	}
	if len(dates) == 0 {
		return a.GetAddOn()
	}
	return a.GetAddOn() + "(" + strings.Join(dates, " ") + ")"
}

// bareWord is an enum's value without its type's prefix: LICENSE_STATUS_ACTIVE is active.
func bareWord(enum protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	v := enum.Values().ByNumber(n)
	if n == 0 {
		return ""
	}
	if v == nil {
		return strconv.Itoa(int(n))
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), enumPrefix(enum)))
}

func enumPrefix(enum protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
}
