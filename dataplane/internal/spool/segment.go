package spool

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"tollgate/dataplane/envelope"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// maxHeader bounds what is read of a segment file to get at its header.
const maxHeader = 16 << 10

// readHeader reads a segment file's header, not its body, and returns it with its hash. It verifies no signature: the
// file is the node's own.
func readHeader(path string) (*ledgerv1.SegmentHeader, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxHeader))
	if err != nil {
		return nil, nil, err
	}
	h, hash, err := headerOf(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return h, hash, nil
}

// headerOf decodes the header at the start of an encoded segment.
func headerOf(raw []byte) (*ledgerv1.SegmentHeader, []byte, error) {
	field, kind, n := protowire.ConsumeTag(raw)
	if n < 0 || field != 1 || kind != protowire.BytesType {
		return nil, nil, errors.New("no segment header")
	}
	signed, n := protowire.ConsumeBytes(raw[n:])
	if n < 0 {
		return nil, nil, fmt.Errorf("segment header: %w", protowire.ParseError(n))
	}
	var m rulesv1.Signed
	if err := proto.Unmarshal(signed, &m); err != nil {
		return nil, nil, fmt.Errorf("segment header: %w", err)
	}
	var h ledgerv1.SegmentHeader
	if err := proto.Unmarshal(m.GetPayload(), &h); err != nil {
		return nil, nil, fmt.Errorf("segment header: %w", err)
	}
	return &h, envelope.Hash(m.GetPayload()), nil
}

// errDamaged says that a file is not what was written, or gone.
var errDamaged = errors.New("segment file is damaged")

// load reads a sealed segment as it is to be sent. The error wraps errDamaged where there is no use in trying again.
func (s segment) load() ([]byte, error) {
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	h, hash, err := headerOf(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errDamaged, s.path, err)
	}
	var m ledgerv1.Segment
	if err := proto.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errDamaged, s.path, err)
	}
	sum := sha256.Sum256(m.GetBody())
	if !bytes.Equal(hash, s.hash) || !bytes.Equal(sum[:], h.GetBodySha256()) {
		return nil, fmt.Errorf("%w: %s", errDamaged, s.path)
	}
	return raw, nil
}
