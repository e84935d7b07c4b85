package apikey_test

import (
	"testing"

	"tollgate/dataplane/apikey"
)

func TestI12_RedactLeavesNoKeyInAText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/hello":                            "/hello",
		"/echo/tg_live_01M868_secret9abc/x": "/echo/tg_.../x",
		"/a?k=tga_0123456789&b=1":           "/a?k=tga_...&b=1",
		"/tg_live_abcd/tg_live_efgh":        "/tg_.../tg_...",
		"/motg_live_abcd":                   "/motg_live_abcd",
		"/tg_":                              "/tg_",
	} {
		if got := apikey.Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}
