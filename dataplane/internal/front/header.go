package front

import (
	"net/http"
	"strings"
)

// Tollgate's own headers.
const (
	headerPrefix   = "Tollgate-"
	headerDecision = "Tollgate-Decision"
	headerCustomer = "Tollgate-Customer"
	headerLicense  = "Tollgate-License"
	headerPlan     = "Tollgate-Plan"
	headerFeatures = "Tollgate-Features"

	// Not as net/http spells them: on the wire they are as their draft has them.
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// guarded are names whose other spellings are never forwarded: an upstream that folds them (CGI makes HTTP_X_API_KEY of
// X-Api-Key and X_Api_Key alike) would take a client's word for Tollgate's, or see a credential.
var guarded = map[string]bool{
	"authorization": true, "x-api-key": true, "forwarded": true, "x-forwarded-for": true, "x-forwarded-host": true,
	"x-forwarded-proto": true, "host": true, "content-length": true, "transfer-encoding": true, "connection": true,
}

// reserved reports whether a client must not send a header: it is Tollgate's in any spelling, or a guarded one in
// another spelling than its own.
func reserved(name string) bool {
	if plain(name) {
		return hasTollgatePrefix(name)
	}
	folded := fold(name)
	return guarded[folded] || strings.HasPrefix(folded, "tollgate-") || folded == "tollgate"
}

// plain names consist of letters, digits and hyphens: nothing folds onto them but case.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '-' {
			return false
		}
	}
	return true
}

func hasTollgatePrefix(name string) bool {
	return len(name) >= len(headerPrefix) && strings.EqualFold(name[:len(headerPrefix)], headerPrefix)
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// fold maps all that is not a letter or digit to a hyphen, and letters to lower case.
func fold(name string) string {
	b := []byte(strings.ToLower(name))
	for i, c := range b {
		if !isAlphanumeric(c) {
			b[i] = '-'
		}
	}
	return string(b)
}

// stripReserved removes from h what a client must not send.
func stripReserved(h http.Header) {
	for name := range h {
		if reserved(name) {
			delete(h, name)
		}
	}
}

// ownResponse reports whether a response header is for Tollgate alone to send.
func ownResponse(name string) bool {
	if hasTollgatePrefix(name) {
		return true
	}
	return strings.EqualFold(name, headerRateLimit) || strings.EqualFold(name, headerRateLimitPolicy)
}

// stripOwn removes from an upstream's response what only Tollgate says.
func stripOwn(h http.Header) {
	for name := range h {
		if ownResponse(name) {
			delete(h, name)
		}
	}
}
