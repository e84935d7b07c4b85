package ruleset

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"tollgate/dataplane/decision"
)

// Where records lie in what is signed, and where a record says that it is optional.
const (
	envelopeRecords protowire.Number = 8
	chunkRecords    protowire.Number = 1
	recordOptional  protowire.Number = 21
)

// digests are those of an encoded message's records, in order; it has so many. They are over the bytes as they came: encoded again, a record from a later version
// might be another. An optional record is no part of a state's hash, as there are readers that leave it out: its digest is zero.
func digests(message []byte, records protowire.Number, many int) ([]decision.Digest, error) {
	all := make([]decision.Digest, 0, many)
	err := fields(message, func(number protowire.Number, kind protowire.Type, value []byte) error {
		if number != records || kind != protowire.BytesType {
			return nil
		}
		record, _ := protowire.ConsumeBytes(value)
		d, err := digestOf(record)
		all = append(all, d)
		return err
	})
	if err == nil && len(all) != many {
		err = fmt.Errorf("%d records are encoded, and %d were read", len(all), many)
	}
	return all, err
}

// digestOf is a record's, over the bytes as they came.
func digestOf(record []byte) (d decision.Digest, err error) {
	is, err := optional(record)
	if err == nil && !is {
		d = decision.DigestOf(record)
	}
	return d, err
}

func optional(record []byte) (is bool, err error) {
	err = fields(record, func(number protowire.Number, kind protowire.Type, value []byte) error {
		if number == recordOptional && kind == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(value)
			is = v != 0
		}
		return nil
	})
	return is, err
}

// fields hands over the fields of an encoded message, with their values as they are encoded.
func fields(message []byte, yield func(number protowire.Number, kind protowire.Type, value []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("read a field: %w", protowire.ParseError(n))
		}
		message = message[n:]
		n = protowire.ConsumeFieldValue(number, kind, message)
		if n < 0 {
			return fmt.Errorf("read field %d: %w", number, protowire.ParseError(n))
		}
		if err := yield(number, kind, message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// agrees fails where a state is not the one that was meant. Where nothing is said of it, any is.
func agrees(state *decision.State, said []byte) error {
	if sum := state.Sum(); len(said) > 0 && !bytes.Equal(said, sum[:]) {
		return fmt.Errorf("the state's hash would be %x, not %x", sum, said)
	}
	return nil
}
