package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// printYAML writes a message as the catalog file would: names with underscores, enums as bare words, whole numbers.
func printYAML(out io.Writer, m proto.Message) error {
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(mapping(m.ProtoReflect())); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	return enc.Close()
}

// mapping keeps the order of the fields in the proto, which a Go map would lose.
func mapping(m protoreflect.Message) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); m.Has(fd) {
			n.Content = append(n.Content, scalar(string(fd.Name())), field(fd, m.Get(fd)))
		}
	}
	return n
}

func field(fd protoreflect.FieldDescriptor, v protoreflect.Value) *yaml.Node {
	switch {
	case fd.IsMap():
		n := &yaml.Node{Kind: yaml.MappingNode}
		var keys []string
		v.Map().Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
			keys = append(keys, k.String())
			return true
		})
		slices.Sort(keys)
		for _, k := range keys { // The API's maps have string keys.
			n.Content = append(n.Content, scalar(k), single(fd.MapValue(), v.Map().Get(protoreflect.ValueOfString(k).MapKey())))
		}
		return n
	case fd.IsList():
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.List().Len() {
			n.Content = append(n.Content, single(fd, v.List().Get(i)))
		}
		return n
	default:
		return single(fd, v)
	}
}

func single(fd protoreflect.FieldDescriptor, v protoreflect.Value) *yaml.Node {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		switch m := v.Message().Interface().(type) {
		case *timestamppb.Timestamp, *durationpb.Duration:
			return scalar(message(m))
		case *structpb.Value:
			n := &yaml.Node{}
			if n.Encode(m.AsInterface()) == nil {
				return n
			}
		}
		return mapping(v.Message())
	case protoreflect.EnumKind:
		return scalar(bareWord(fd.Enum(), v.Enum()))
	case protoreflect.StringKind:
		return scalar(v.String())
	case protoreflect.BoolKind:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: strconv.FormatFloat(v.Float(), 'g', -1, 64)}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.String()}
	}
}

// scalar is a string; the encoder quotes one that would read as something else.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}
