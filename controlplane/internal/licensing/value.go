package licensing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// ValueKind is the kind of a static feature's value.
type ValueKind string

// The kinds. Others, as they come from outside, are refused by their name.
const (
	NoValue     ValueKind = ""
	TextValue   ValueKind = "text"
	NumberValue ValueKind = "number"
	BoolValue   ValueKind = "bool"
)

// Value is what a static feature carries. Of Text, Number and Bool, the one that Kind names is set. The zero value is none.
type Value struct {
	Kind   ValueKind
	Text   string
	Number float64
	Bool   bool
}

// maxText is the longest text of a value, in bytes: all features of a licence go into one record of the rules.
const maxText = 1000

// validate checks the value; field is its path.
func (v *Value) validate(field string) error {
	switch v.Kind {
	case NoValue, BoolValue:
		return nil
	case TextValue:
		return checkText(field, v.Text, maxText)
	case NumberValue:
		if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
			return invalid(field, "is not a finite number")
		}
		return nil
	default:
		return invalid(field, "is a %s: use text, a number or a bool", v.Kind)
	}
}

// JSON is the value as JSON; empty for none. The value has to be valid.
func (v *Value) JSON() string {
	var of any
	switch v.Kind {
	case TextValue:
		of = v.Text
	case NumberValue:
		of = v.Number + 0 // Not -0.
	case BoolValue:
		of = v.Bool
	default:
		return ""
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(of) != nil {
		return "" // Of what is not valid.
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// ParseValue reads what JSON wrote.
func ParseValue(text string) (Value, error) {
	if text == "" {
		return Value{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	var of any
	if err := dec.Decode(&of); err != nil {
		return Value{}, fmt.Errorf("read value: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Value{}, errors.New("read value: there is more than one")
	}
	switch of := of.(type) {
	case string:
		return Value{Kind: TextValue, Text: of}, nil
	case float64:
		return Value{Kind: NumberValue, Number: of + 0}, nil
	case bool:
		return Value{Kind: BoolValue, Bool: of}, nil
	default:
		return Value{}, fmt.Errorf("read value: %s is neither text, a number nor a bool", text)
	}
}
