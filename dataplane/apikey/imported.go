package apikey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// How long a key that was made elsewhere can be, in bytes.
const (
	MinImported = 8
	MaxImported = 512
)

// IsImportable reports whether a presented secret can be a key that was made elsewhere: visible ASCII, not too short to be a secret,
// and nothing that begins like a secret of Tollgate.
func IsImportable(secret string) bool {
	if len(secret) < MinImported || len(secret) > MaxImported || strings.HasPrefix(secret, Prefix) || strings.HasPrefix(secret, tokenPrefix) {
		return false
	}
	for i := range len(secret) {
		if secret[i] < '!' || secret[i] > '~' {
			return false
		}
	}
	return true
}

// tokenPrefix begins tokens of the admin API.
const tokenPrefix = "tga_"

// Sum is the SHA-256 of a whole key, by which other systems know it.
func Sum(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// IsJWT reports whether a bearer token has the form of a signed JWT (RFC 7519, compact JWS): three parts of base64url, the first a
// JSON object that names an algorithm. Whether it verifies is another question.
func IsJWT(token string) bool {
	header, rest, ok := strings.Cut(token, ".")
	if !ok {
		return false
	}
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || header == "" || !isBase64URL(payload) || !isBase64URL(signature) {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(b, &fields) != nil {
		return false
	}
	_, names := fields["alg"]
	return names
}

func isBase64URL(s string) bool {
	return all(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}
