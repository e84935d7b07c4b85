package apikey

import (
	"regexp"
	"strings"
)

var secret = regexp.MustCompile(`\b(tga?_)[A-Za-z0-9_]{4,}`)

// Redact cuts API keys and API tokens in a text down to their prefix, for logs: people put them into paths by mistake.
func Redact(s string) string {
	if !strings.Contains(s, "tg_") && !strings.Contains(s, "tga_") {
		return s
	}
	return secret.ReplaceAllString(s, "${1}...")
}
