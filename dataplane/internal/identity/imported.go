package identity

import (
	"net/http"
	"strings"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
)

// maxForeign is how many secrets of a request are tried as imported keys: hashing more is work that a client could make a
// node do with one request.
const maxForeign = 2

// imports looks for imported keys among the secrets of a request.
type imports struct {
	state        *decision.State
	tried, known int
	found        *decision.Credential
}

// try looks a secret up. Where the state holds no imported key, nothing is hashed.
func (i *imports) try(secret string, isBearer bool) {
	if !i.state.HoldsImported() || !foreign(secret, isBearer) {
		return
	}
	if i.tried++; i.tried > maxForeign {
		return
	}
	// Found by its keyed hash: see HashImported for why nothing has to be compared in constant time.
	if c := i.state.Imported(apikey.HashImported(i.state.Settings().Pepper, apikey.Sum(secret))); c != nil {
		i.found = c
		i.known++
	}
}

// foreign reports whether a secret may be an imported key. A JWT as a bearer is the business of who verifies JWTs.
func foreign(secret string, isBearer bool) bool {
	return apikey.IsImportable(secret) && (!isBearer || !apikey.IsJWT(secret))
}

// presented is the key in h that an imported credential is of; empty where there is none.
func presented(h http.Header, c *decision.Credential, s *decision.Settings) string {
	is := func(secret string, isBearer bool) bool {
		return foreign(secret, isBearer) && apikey.HashImported(s.Pepper, apikey.Sum(secret)) == c.Hash
	}
	for _, v := range h["Authorization"] {
		if token, ok := bearer(v); ok && is(token, true) {
			return token
		}
	}
	for _, v := range h["X-Api-Key"] {
		if v = strings.TrimSpace(v); is(v, false) {
			return v
		}
	}
	return ""
}
