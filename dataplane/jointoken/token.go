// Package jointoken is what a node and a control plane agree on before the node is part of the fleet: the form of a join token, and what
// a node signs to show that it holds its key.
package jointoken

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"strings"
)

// prefix tells what the string is, to people and to scanners for secrets.
const prefix = "tgj_"

// A token is the prefix and base64url (RFC 4648 §5, without padding) of a version byte, three strings, each after its length in one byte, and
// the CRC-32 (IEEE) of all that precedes it, so that a typing error is told from a token that is not known.
const version = 1

// Token is a join token's content. It holds nothing that a node would have to trust: where to ask, and by what.
type Token struct {
	ID     string
	Secret string
	// Server is the base URL of the admin API.
	Server string
}

// Encode is the one string that is handed to a node.
func (t Token) Encode() (string, error) {
	b := []byte{version}
	for _, s := range []string{t.ID, t.Secret, t.Server} {
		if s == "" || len(s) > 255 {
			return "", fmt.Errorf("a join token holds strings of 1 to 255 bytes, not of %d", len(s))
		}
		b = append(append(b, byte(len(s))), s...)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return prefix + base64.RawURLEncoding.EncodeToString(b), nil
}

// What Parse refuses. The texts hold nothing of the token.
var (
	errForm    = errors.New(`is not a join token: "tgj_" and what follows, as it was shown`)
	errCut     = errors.New("is a join token with characters changed or missing: copy it again")
	errVersion = errors.New("is a join token of another version than this node reads")
	errServer  = errors.New("is a join token that leads to no http:// or https:// address")
)

// Parse reads what Encode wrote.
func Parse(s string) (Token, error) {
	text, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return Token{}, errForm
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 5 {
		return Token{}, errCut
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return Token{}, errCut
	}
	if body[0] != version {
		return Token{}, errVersion
	}
	var t Token
	rest := body[1:]
	for _, field := range []*string{&t.ID, &t.Secret, &t.Server} {
		if len(rest) == 0 || int(rest[0]) > len(rest)-1 || rest[0] == 0 {
			return Token{}, errCut
		}
		*field, rest = string(rest[1:1+int(rest[0])]), rest[1+int(rest[0]):]
	}
	if len(rest) > 0 {
		return Token{}, errCut
	}
	if u, err := url.Parse(t.Server); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Token{}, errServer
	}
	return t, nil
}

// Challenge is what a node signs that joins, by the key that is to be certified. No message of the fleet begins like it.
func Challenge(tokenID, node, natsUser string) []byte {
	return fields("tollgate/join/v1\x00", tokenID, node, natsUser)
}

// RenewChallenge is what a node signs that wants its key certified anew.
func RenewChallenge(certificate []byte, natsUser string) []byte {
	return fields("tollgate/renew/v1\x00", string(certificate), natsUser)
}

// fields writes each after its length, so that no two lists are written alike.
func fields(domain string, list ...string) []byte {
	b := []byte(domain)
	for _, s := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}
