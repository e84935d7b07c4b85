package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// A frame is its payload's length and CRC-32C, both uint32 in little endian, and the payload. No payload is
// empty, so a run of zeros is no frame.
const (
	frameHeader = 8
	maxPayload  = 1 << 20
)

// sum is CRC-32C (Castagnoli).
func sum(payload []byte) uint32 { return crc32.Checksum(payload, castagnoli) }

// castagnoli is read only.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// contents is what a log file holds.
type contents struct {
	// body is the encoded ledger.v1.SegmentBody of its records.
	body        []byte
	records     uint32
	first, last uint64 // Sequences; 0 without records.
	// torn is how many bytes at the end are no whole frames.
	torn int64
}

// scan reads a log file up to the first frame that is not whole, or up to limit, if limit is not negative.
func scan(path string, limit int64) (contents, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return contents{}, err
	}
	if limit >= 0 && int64(len(raw)) > limit {
		raw = raw[:limit]
	}
	c := contents{body: make([]byte, 0, len(raw))}
	for len(raw) > 0 {
		payload, ok := nextFrame(raw)
		if !ok {
			break
		}
		sequence, err := sequenceOf(payload)
		if err != nil {
			return contents{}, fmt.Errorf("read %s: %w", path, err)
		}
		if c.records == 0 {
			c.first = sequence
		}
		c.last = sequence
		c.records++
		c.body = protowire.AppendTag(c.body, 1, protowire.BytesType)
		c.body = protowire.AppendBytes(c.body, payload)
		raw = raw[frameHeader+len(payload):]
	}
	c.torn = int64(len(raw))
	return c, nil
}

func nextFrame(raw []byte) ([]byte, bool) {
	if len(raw) < frameHeader {
		return nil, false
	}
	size := binary.LittleEndian.Uint32(raw)
	if size == 0 || size > maxPayload || int(size) > len(raw)-frameHeader {
		return nil, false
	}
	payload := raw[frameHeader : frameHeader+int(size)]
	return payload, binary.LittleEndian.Uint32(raw[4:]) == sum(payload)
}
