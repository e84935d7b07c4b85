package licensing

import (
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
)

// A token is "tga_", 200 random bits and the CRC-32 (IEEE) of all that precedes it, the latter two in lower-case
// base32 (RFC 4648 without padding). The checksum tells a typing error from a token that is not known.
const (
	tokenPrefix = "tga_"
	tokenBytes  = 25
	tokenLen    = len(tokenPrefix) + 40 + 7
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newToken(random io.Reader) (string, error) {
	var b [tokenBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	body := tokenPrefix + base32Lower.EncodeToString(b[:])
	return body + tokenChecksum(body), nil
}

func tokenChecksum(body string) string {
	return base32Lower.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// isToken checks form and checksum.
func isToken(secret string) bool {
	if len(secret) != tokenLen || !strings.HasPrefix(secret, tokenPrefix) {
		return false
	}
	body := secret[:tokenLen-7]
	if _, err := base32Lower.DecodeString(body[len(tokenPrefix):]); err != nil {
		return false
	}
	return tokenChecksum(body) == secret[tokenLen-7:]
}
