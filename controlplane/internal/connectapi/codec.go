package connectapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON is proto JSON that refuses fields it does not know: a misspelt field of a write would otherwise be
// dropped without a word.
type strictJSON struct{ name string }

var _ connect.Codec = strictJSON{}

// strictCodecs replaces connect's JSON codecs, both of which discard unknown fields.
func strictCodecs() connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithCodec(strictJSON{"json"}),
		connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	)
}

func (c strictJSON) Name() string { return c.name }

func (strictJSON) Marshal(message any) ([]byte, error) {
	m, err := asProto(message)
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(m)
}

// MarshalStable is for the URLs of GET requests: without the spaces that protojson puts in at random.
func (c strictJSON) MarshalStable(message any) ([]byte, error) {
	b, err := c.Marshal(message)
	if err != nil {
		return nil, err
	}
	var compact json.RawMessage
	if err := json.Unmarshal(b, &compact); err != nil {
		return nil, err
	}
	return json.Marshal(compact)
}

func (strictJSON) IsBinary() bool { return false }

func (strictJSON) Unmarshal(data []byte, message any) error {
	m, err := asProto(message)
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return errors.New("the body is empty: send a JSON object, {} at least")
	}
	if err := protojson.Unmarshal(data, m); err != nil {
		return errors.New(readable(err))
	}
	return nil
}

// readable takes off the prefix of protobuf's errors, which holds a space of a random kind.
func readable(err error) string {
	_, rest, found := strings.Cut(err.Error(), "proto:")
	if !found {
		return err.Error()
	}
	return strings.TrimLeft(rest, " \u00a0")
}

func asProto(message any) (proto.Message, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", message)
	}
	return m, nil
}
