package connectapi

import (
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// The domain has zero values where the API has unset messages, and words where it has enums.

func toTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// fromTime: unset is the zero time, which timestamppb would make 1970.
func fromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func toDuration(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

func toEpoch(e decision.Epoch) *adminv1.Epoch {
	return &adminv1.Epoch{Generation: e.Generation, Number: e.Number}
}

// enum is a generated enum type.
type enum interface {
	~int32
	protoreflect.Enum
}

// toWord makes FEATURE_TYPE_BOOLEAN boolean; the zero value is the empty word.
func toWord[W ~string, E enum](e E) W {
	v := e.Descriptor().Values().ByNumber(e.Number())
	if v == nil || e.Number() == 0 {
		return ""
	}
	return W(strings.ToLower(strings.TrimPrefix(string(v.Name()), enumPrefix(e))))
}

// toEnum is toWord backwards. A word that the API has no value for is the zero value.
func toEnum[E enum, W ~string](w W) E {
	var zero E
	v := zero.Descriptor().Values().ByName(protoreflect.Name(enumPrefix(zero) + strings.ToUpper(string(w))))
	if w == "" || v == nil {
		return zero
	}
	return E(v.Number())
}

// enumPrefix is what every value of the type begins with: FEATURE_TYPE_.
func enumPrefix(e protoreflect.Enum) string {
	return strings.TrimSuffix(string(e.Descriptor().Values().ByNumber(0).Name()), "UNSPECIFIED")
}

// each converts a slice.
func each[From, To any](from []From, convert func(*From) To) []To {
	if len(from) == 0 {
		return nil
	}
	to := make([]To, len(from))
	for i := range from {
		to[i] = convert(&from[i])
	}
	return to
}

// eachMessage converts messages, which come as pointers already.
func eachMessage[From, To any](from []*From, convert func(*From) To) []To {
	if len(from) == 0 {
		return nil
	}
	to := make([]To, len(from))
	for i := range from {
		to[i] = convert(from[i])
	}
	return to
}
