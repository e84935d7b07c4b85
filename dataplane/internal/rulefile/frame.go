package rulefile

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	frameHeader = 8
	// maxFrame is well above a chunk and what the broker carries in one message.
	maxFrame = 64 << 20
)

// castagnoli is read only.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn: the rest of a file is no whole frame.
var errTorn = errors.New("the file ends in the middle of a frame")

// box seals payloads; the zero box leaves them as they are.
type box struct{ aead cipher.AEAD }

func newBox(key []byte) (box, error) {
	if len(key) == 0 {
		return box{}, nil
	}
	derived, err := hkdf.Key(sha256.New, key, nil, "tollgate rules on disk 1", 32)
	if err != nil {
		return box{}, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return box{}, err
	}
	aead, err := cipher.NewGCM(block)
	return box{aead}, err
}

// sealed is what is written of a payload to the file of that name, behind the header.
func (b box) sealed(file string, payload []byte) (header [frameHeader]byte, body []byte) {
	if b.aead != nil {
		nonce := make([]byte, b.aead.NonceSize(), b.aead.NonceSize()+len(payload)+b.aead.Overhead())
		_, _ = rand.Read(nonce) // Never fails.
		payload = b.aead.Seal(nonce, nonce, payload, []byte(file))
	}
	binary.LittleEndian.PutUint32(header[:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(header[4:], crc32.Checksum(payload, castagnoli))
	return header, payload
}

// frame is a payload as it is written to the file of that name, in one piece.
func (b box) frame(file string, payload []byte) []byte {
	header, body := b.sealed(file, payload)
	return append(append(make([]byte, 0, frameHeader+len(body)), header[:]...), body...)
}

// next reads a frame, and returns its payload and how many bytes it took. io.EOF at the end; errTorn where what is left is no frame.
func (b box) next(file string, r *bufio.Reader) (payload []byte, size int64, err error) {
	var header [frameHeader]byte
	switch n, err := io.ReadFull(r, header[:]); {
	case errors.Is(err, io.EOF) && n == 0:
		return nil, 0, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, 0, errTorn
	case err != nil:
		return nil, 0, err
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length == 0 || length > maxFrame {
		return nil, 0, errTorn
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(r, payload); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, 0, errTorn
	} else if err != nil {
		return nil, 0, err
	}
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(header[4:]) {
		return nil, 0, errTorn
	}
	size = frameHeader + int64(length)
	if b.aead == nil {
		return payload, size, nil
	}
	n := b.aead.NonceSize()
	if len(payload) < n {
		return nil, 0, fmt.Errorf("%s is not sealed", file)
	}
	opened, err := b.aead.Open(nil, payload[:n], payload[n:], []byte(file))
	if err != nil {
		return nil, 0, fmt.Errorf("%s was sealed under another key, or changed", file)
	}
	return opened, size, nil
}
