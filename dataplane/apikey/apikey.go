// Package apikey makes and reads clients' API keys. The control plane makes them, nodes read them.
//
// A key is
//
//	tg_<env>_<id>_<secret><checksum>
//
// env is the deployment's label, id 26 characters: the ULID of the credential's id "key_<ULID>", secret 28
// random characters of base62 (166 bits), checksum 6 characters of base62: the CRC-32 (IEEE) of all that precedes it. A
// typing error or junk is refused by the checksum, without a look-up. What is stored of a key is Hash alone.
package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"
)

// Prefix begins every API key.
const Prefix = "tg_"

// IDPrefix begins the id of every API key's credential.
const IDPrefix = "key_"

const (
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

	ulidLen     = 26
	secretLen   = 28
	checksumLen = 6
	maxEnvLen   = 16
)

// What Parse refuses. Its errors wrap one of these; none holds any part of the key.
var (
	ErrForm     = errors.New("not an API key")
	ErrEnv      = errors.New("an API key of another deployment")
	ErrChecksum = errors.New("an API key with a typing error")
)

// Key is a new API key.
type Key struct {
	// ID is the credential's id, "key_" and a ULID.
	ID string
	// Whole is the secret that the client presents. It is shown once and stored nowhere.
	Whole string
	// Hint is the beginning of Whole, without any of its secret: enough to recognise a key by.
	Hint string
}

// CheckEnv says why env cannot label a deployment: it is 1 to 16 lower-case letters, digits and inner hyphens.
func CheckEnv(env string) error {
	ok := env != "" && len(env) <= maxEnvLen && env[0] != '-' && env[len(env)-1] != '-'
	for _, c := range []byte(env) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return fmt.Errorf("env %q is not 1 to %d lower-case letters, digits and inner hyphens", env, maxEnvLen)
	}
	return nil
}

// Generate makes a key for a deployment. random is crypto/rand's Reader, but for tests. It fails where env is not a label, or
// random fails.
func Generate(env string, now time.Time, random io.Reader) (Key, error) {
	if err := CheckEnv(env); err != nil {
		return Key{}, err
	}
	ulid, err := newULID(now, random)
	if err != nil {
		return Key{}, fmt.Errorf("draw an API key's id: %w", err)
	}
	secret, err := draw(secretLen, random)
	if err != nil {
		return Key{}, fmt.Errorf("draw an API key's secret: %w", err)
	}
	hint := Prefix + env + "_" + ulid
	body := hint + "_" + secret
	return Key{ID: IDPrefix + ulid, Whole: body + checksum(body), Hint: hint}, nil
}

// Parse checks a presented key's form, deployment and checksum, and returns its credential's id. That the key is
// the credential's is for Hash to show.
func Parse(env, whole string) (id string, err error) {
	rest, ok := strings.CutPrefix(whole, Prefix)
	if !ok {
		return "", ErrForm
	}
	label, rest, ok := strings.Cut(rest, "_")
	if !ok || len(rest) != ulidLen+1+secretLen+checksumLen || rest[ulidLen] != '_' {
		return "", ErrForm
	}
	ulid, tail := rest[:ulidLen], rest[ulidLen+1:]
	if !isULID(ulid) || !all(tail, base62) {
		return "", ErrForm
	}
	if label != env {
		return "", ErrEnv
	}
	cut := len(whole) - checksumLen
	if checksum(whole[:cut]) != whole[cut:] {
		return "", ErrChecksum
	}
	return IDPrefix + ulid, nil
}

// Hash is what is stored of a key: its HMAC-SHA-256 under the fleet's pepper. Compare in constant time.
func Hash(pepper []byte, whole string) [sha256.Size]byte {
	m := hmac.New(sha256.New, pepper)
	_, _ = io.WriteString(m, whole) // A hash never fails to write.
	var sum [sha256.Size]byte
	m.Sum(sum[:0])
	return sum
}

// importedDomain keeps the hashes of imported keys apart from those of our own: no key of ours begins with it.
const importedDomain = "sha256:"

// HashImported is what is stored of a key that was made elsewhere, of which only the SHA-256 is known: an HMAC-SHA-256 of that under
// the fleet's pepper. The SHA-256 itself is kept nowhere. Whoever holds it, from a backup of the former system say, can try
// keys against it, but not against what is stored here.
//
// Such a key names no id, so it is looked up by this hash, and not compared with one. That needs no constant time: how
// long a look-up takes tells of the hash, and without the pepper a client can neither work out the hash of its guess nor
// choose a guess by its hash.
func HashImported(pepper []byte, sum [sha256.Size]byte) [sha256.Size]byte {
	m := hmac.New(sha256.New, pepper)
	_, _ = io.WriteString(m, importedDomain) // A hash never fails to write.
	_, _ = m.Write(sum[:])
	var out [sha256.Size]byte
	m.Sum(out[:0])
	return out
}

// draw picks n characters of base62 evenly.
func draw(n int, random io.Reader) (string, error) {
	out := make([]byte, 0, n)
	var buf [secretLen]byte
	for len(out) < n {
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return "", err
		}
		for _, b := range buf {
			// 248 is the largest multiple of 62 in a byte: what lies above would favour some characters.
			if b < 248 && len(out) < n {
				out = append(out, base62[b%62])
			}
		}
	}
	return string(out), nil
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var out [checksumLen]byte
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return string(out[:])
}

// newULID is 48 bits of milliseconds and 80 random bits in Crockford's base32 (github.com/ulid/spec).
func newULID(now time.Time, random io.Reader) (string, error) {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		return "", err
	}
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	out := make([]byte, ulidLen)
	for i := ulidLen - 1; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out), nil
}

// isULID: canonical ones only, so that a credential has one spelling.
func isULID(s string) bool { return len(s) == ulidLen && s[0] <= '7' && all(s, crockford) }

func all(s, alphabet string) bool {
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}
