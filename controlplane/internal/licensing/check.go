package licensing

import (
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxKey is the longest key, in bytes.
const maxKey = 64

// checkKey: a lower-case letter or digit, then those, ".", "_" and "-".
func checkKey(field, key string) error {
	if key == "" {
		return invalid(field, "is required")
	}
	if len(key) > maxKey {
		return invalid(field, "is longer than %d characters", maxKey)
	}
	for i := range len(key) {
		c := key[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-') {
			continue
		}
		return invalid(field, `%q is not a key: use lower-case letters and digits, and after the first also ".", "_", "-"`, key)
	}
	return nil
}

// checkText: text that can be stored and shown. Postgres takes no NUL, terminals no control characters.
func checkText(field, text string, longest int) error {
	if len(text) > longest {
		return invalid(field, "is longer than %d bytes", longest)
	}
	if !utf8.ValidString(text) {
		return invalid(field, "is not valid UTF-8")
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return invalid(field, "has control characters")
	}
	return nil
}

// checkTime: what RFC 3339 can write and Postgres can store.
func checkTime(field string, t time.Time) error {
	if !t.IsZero() && (t.Year() < 1970 || t.Year() > 9999) {
		return invalid(field, "is not between the years 1970 and 9999")
	}
	return nil
}

// checkZone: a zone that every node finds under that name. What is found here may be a file of this machine alone, as its own zone and the
// variants that packages put beside the database are; a node without it would refuse the customer, and all rules that follow.
func checkZone(field, name string) error {
	if name == "Local" || name == "localtime" || name == "posixrules" {
		return invalid(field, "%q is not the name of a place", name)
	}
	_, err := time.LoadLocation(name)
	variant := strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/")
	if err != nil || variant || name != "" && path.Clean(name) != name {
		return invalid(field, "%q is not a time zone of the IANA database", name)
	}
	return nil
}

// checkHost: a DNS name or an address, without port; empty is any.
func checkHost(field, host string) error {
	if host == "" {
		return nil
	}
	if len(host) > 253 {
		return invalid(field, "is longer than 253 characters")
	}
	bare := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		bare = host[1 : len(host)-1]
		if bare == "" || strings.Trim(bare, "0123456789abcdefABCDEF:.") != "" {
			return invalid(field, "%q is not an IPv6 address", host)
		}
		return nil
	}
	for label := range strings.SplitSeq(bare, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return invalid(field, "%q is not a host name", host)
		}
		for i := range len(label) {
			c := label[i] | 0x20 // Letters in lower case.
			if (c < 'a' || c > 'z') && (label[i] < '0' || label[i] > '9') && label[i] != '-' && label[i] != '_' {
				return invalid(field, "%q is not a host name without port", host)
			}
		}
	}
	return nil
}

// isMethod: methods are case-sensitive (RFC 9110 §9.1), and the ones in use are upper case.
func isMethod(m string) bool {
	if m == "" || len(m) > 32 || m[0] == '-' {
		return false
	}
	return strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

func allIn(s string, from, to byte) bool {
	for i := range len(s) {
		if s[i] < from || s[i] > to {
			return false
		}
	}
	return true
}

type validator[T any] interface {
	*T
	Validate() error
}

// each validates the items of a list, and that no two share a key.
func each[T any, P validator[T]](list string, items []T, keyField string, key func(*T) string) error {
	seen := make(map[string]bool, len(items))
	for i := range items {
		path := list + "[" + strconv.Itoa(i) + "]"
		if err := P(&items[i]).Validate(); err != nil {
			return at(path, err)
		}
		k := key(&items[i])
		if seen[k] {
			return invalid(path+"."+keyField, "%q is there twice", k)
		}
		seen[k] = true
	}
	return nil
}
