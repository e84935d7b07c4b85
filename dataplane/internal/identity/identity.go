// Package identity reads clients' credentials from requests: API keys, for now.
package identity

import (
	"net/http"
	"strings"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
)

// Reader reads credentials. It has no state: a key is hashed for each request. Safe for concurrent use.
type Reader struct{}

// Identify reads the credential in h into r: Presented and, of a key, KeyID and KeyHash. A key is a bearer token or X-Api-Key
// that begins with tg_, or that is known as an imported one. Another bearer token beside a key is the upstream's business, as is
// any other scheme; alone it is no credential that is known here. Two keys are ambiguous, even where they are the same.
func (Reader) Identify(r *decision.Request, h http.Header, s *decision.State) {
	var key string
	keys, others := 0, 0
	foreign := imports{state: s}
	for _, v := range h["Authorization"] {
		token, ok := bearer(v)
		switch {
		case ok && ours(token):
			key = token
			keys++
		case ok:
			foreign.try(token, true)
			others++
		}
	}
	for _, v := range h["X-Api-Key"] {
		if v = strings.TrimSpace(v); ours(v) {
			key = v
			keys++
		} else {
			foreign.try(v, false)
			others++
		}
	}
	switch {
	case keys+foreign.known > 1 || foreign.tried > maxForeign:
		r.Presented = decision.ManyCredentials
	case foreign.known == 1:
		r.Presented, r.KeyID, r.KeyHash = decision.KeyCredential, foreign.found.ID, foreign.found.Hash
	case keys == 1:
		r.Presented = decision.BadCredential
		settings := s.Settings()
		if id, err := apikey.Parse(settings.Env, key); err == nil {
			r.Presented, r.KeyID, r.KeyHash = decision.KeyCredential, id, apikey.Hash(settings.Pepper, key)
		}
	case others > 0:
		r.Presented = decision.BadCredential
	default:
		r.Presented = decision.NoCredential
	}
}

// adminPrefix begins tokens of the admin API. One that is sent here by mistake must not reach an upstream.
const adminPrefix = "tga_"

// Strip removes API keys from a header that goes to an upstream, and leaves other credentials. by is what the request was let
// through by: an imported key is recognised as that alone.
func (Reader) Strip(h http.Header, by *decision.Credential, s *decision.Settings) {
	secret := holdsSecret
	if by != nil && by.Imported {
		if key := presented(h, by, s); key != "" {
			secret = func(v string) bool { return holdsSecret(v) || strings.Contains(v, key) }
		}
	}
	drop(h, "Authorization", secret)
	drop(h, "X-Api-Key", secret)
}

// holdsSecret reports whether one of our keys or tokens begins anywhere in a field value, whatever scheme or list it stands in. A prefix in
// the middle of a word is none: the text of a JWT may hold any three letters.
func holdsSecret(v string) bool {
	for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return strings.ContainsRune(" \t,;:=\"'", r) }) {
		if ours(part) || strings.HasPrefix(part, adminPrefix) {
			return true
		}
	}
	return false
}

// drop removes the values of a header for which secret holds.
func drop(h http.Header, name string, secret func(string) bool) {
	values := h[name]
	var kept []string
	for _, v := range values {
		if !secret(v) {
			kept = append(kept, v)
		}
	}
	switch {
	case len(kept) == 0:
		delete(h, name)
	case len(kept) < len(values):
		h[name] = kept
	}
}

func ours(token string) bool { return strings.HasPrefix(token, apikey.Prefix) }

// bearer is the token of an Authorization value of that scheme (RFC 6750), whose name is matched in any case.
func bearer(v string) (token string, ok bool) {
	v = strings.TrimSpace(v)
	end := strings.IndexAny(v, " \t")
	if end < 0 || !strings.EqualFold(v[:end], "Bearer") {
		return "", false
	}
	return strings.TrimSpace(v[end:]), true
}
