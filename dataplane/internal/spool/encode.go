package spool

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/record"
)

// Records are encoded by hand: an intent and a settlement are written in the path of each request, and
// all but the sequence and the id can so be encoded outside of the lock, in a buffer that is used again. A test decodes what is made here
// with the generated code, and fails where a field of the protobuf message is not written.

// Fields of ledger.v1.Record.
const (
	sequenceField   protowire.Number = 1
	denialField     protowire.Number = 2
	intentField     protowire.Number = 3
	settlementField protowire.Number = 4
)

const (
	// idLength is that of every decision's id.
	idLength = 30
	// headroom is kept before an entry for the frame's header, the entry's tag, and its length.
	headroom = frameHeader + 1 + binary.MaxVarintLen32
	// idOffset is where the id's bytes are: first in a decision, after tag and length.
	idOffset = headroom + 2
	// maxPath and maxText bound what a client can make us store of it: a record has to fit in a segment, and
	// a segment in a message.
	maxPath = 4096
	maxText = 256
)

// entry is a frame in the making. b starts with headroom.
type entry struct {
	b       []byte
	scratch []byte
}

// reset empties the entry.
func (e *entry) reset() {
	if cap(e.b) < headroom {
		e.b = make([]byte, headroom, 1024)
	}
	e.b = e.b[:headroom]
}

// decision encodes a ledger.v1.Decision with an empty place for the id.
func (e *entry) decision(d *record.Decision) {
	e.reset()
	b := protowire.AppendTag(e.b, 1, protowire.BytesType)
	b = append(b, idLength)
	b = append(b, make([]byte, idLength)...)
	b = number(b, 2, uint64(d.Time.UnixMicro()))
	b = number(b, 3, d.Epoch.Generation)
	b = number(b, 4, d.Epoch.Number)
	b = text(b, 5, string(d.Outcome), maxText)
	b = text(b, 6, string(d.Code), maxText)
	b = text(b, 7, d.Customer, maxText)
	b = text(b, 8, d.License, maxText)
	b = text(b, 9, d.Plan, maxText)
	b = number(b, 10, uint64(d.PlanVersion))
	b = text(b, 11, d.Credential, maxText)
	b = text(b, 12, d.Route, maxText)
	b = text(b, 13, d.Method, maxText)
	b = text(b, 14, d.Path, maxPath)
	b = text(b, 15, d.ClientIP, maxText)
	b = text(b, 16, d.Policy, maxText)
	b = e.charge(b, 17, &d.Charge)
	b = number(b, 18, uint64(d.Status))
	b = number(b, 19, uint64(d.Overhead.Microseconds()))
	b = text(b, 20, d.TraceID, maxText)
	b = flag(b, 21, d.BillIfOpen)
	e.b = b
}

// settlement encodes a ledger.v1.Settlement.
func (e *entry) settlement(s *record.Settlement) {
	e.reset()
	b := number(e.b, 1, s.Intent.Sequence)
	b = text(b, 2, s.Intent.ID, maxText)
	b = number(b, 3, uint64(s.Status))
	b = number(b, 4, uint64(s.UpstreamStatus))
	b = number(b, 5, uint64(s.Duration.Microseconds()))
	b = number(b, 6, uint64(s.Overhead.Microseconds()))
	b = number(b, 7, uint64(s.BytesIn))
	b = number(b, 8, uint64(s.BytesOut))
	b = flag(b, 9, s.Billed)
	b = text(b, 10, string(s.Code), maxText)
	b = number(b, 11, uint64(s.Intent.Time.UnixMicro()))
	b = e.charge(b, 12, &s.Intent.Charge)
	b = text(b, 13, s.Intent.License, maxText)
	e.b = b
}

func (e *entry) charge(b []byte, field protowire.Number, c *decision.Charge) []byte {
	if c.Units == 0 {
		return b
	}
	s := text(e.scratch[:0], 1, c.Meter, maxText)
	s = text(s, 2, c.Feature, maxText)
	s = number(s, 3, uint64(c.Units))
	s = number(s, 4, uint64(c.PeriodStart))
	s = number(s, 5, c.Generation)
	s = flag(s, 6, c.Lent)
	s = number(s, 7, uint64(c.PeriodEnd))
	e.scratch = s
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, s)
}

// setID fills the place that decision has left.
func (e *entry) setID(id string) { copy(e.b[idOffset:idOffset+idLength], id) }

// frame completes the record with its sequence and returns its frame, which is valid until the entry is used again. Called again,
// it makes the frame for another sequence.
func (e *entry) frame(kind protowire.Number, sequence uint64) []byte {
	body := len(e.b) - headroom
	var prefix [headroom]byte
	p := protowire.AppendTag(prefix[:frameHeader], kind, protowire.BytesType)
	p = protowire.AppendVarint(p, uint64(body))
	start := headroom - len(p)
	copy(e.b[start:], p)
	b := number(e.b, sequenceField, sequence)
	payload := b[start+frameHeader:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], sum(payload))
	e.b = b[:len(e.b)]
	return b[start:]
}

// sequenceOf reads a record's sequence.
func sequenceOf(payload []byte) (uint64, error) {
	for len(payload) > 0 {
		field, kind, n := protowire.ConsumeTag(payload)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		payload = payload[n:]
		if field == sequenceField && kind == protowire.VarintType {
			v, n := protowire.ConsumeVarint(payload)
			if n < 0 {
				return 0, protowire.ParseError(n)
			}
			return v, nil
		}
		n = protowire.ConsumeFieldValue(field, kind, payload)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		payload = payload[n:]
	}
	return 0, errors.New("a record without sequence")
}

func number(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func flag(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return number(b, field, 1)
}

// text appends a string as protobuf wants it: valid UTF-8. What a client sent may be neither that nor short.
func text(b []byte, field protowire.Number, s string, most int) []byte {
	if s == "" {
		return b
	}
	if len(s) > most {
		s = s[:most]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}
