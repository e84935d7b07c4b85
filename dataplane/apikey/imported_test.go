package apikey_test

import (
	"encoding/base64"
	"testing"

	"tollgate/dataplane/apikey"
)

func TestHashImported_IsNeitherTheSumNorOurOwnHash(t *testing.T) {
	t.Parallel()
	pepper := []byte("p")
	sum := apikey.Sum("sk_old_0123456789")
	got := apikey.HashImported(pepper, sum)
	if got == sum || got == apikey.Hash(pepper, string(sum[:])) || got == apikey.Hash(pepper, "sk_old_0123456789") {
		t.Error("the hash is one that could be had otherwise")
	}
	if got == apikey.HashImported([]byte("q"), sum) || got == apikey.HashImported(pepper, apikey.Sum("sk_old_0123456780")) {
		t.Error("the hash does not depend on pepper and key")
	}
	if got != apikey.HashImported(pepper, sum) {
		t.Error("the hash is not the same twice")
	}
}

func TestIsJWT_TellsTokensFromKeys(t *testing.T) {
	t.Parallel()
	b64 := base64.RawURLEncoding.EncodeToString
	for token, want := range map[string]bool{
		b64([]byte(`{"alg":"ES256"}`)) + ".e30.c2ln": true,
		b64([]byte(`{"alg":"none"}`)) + ".e30.":      true,
		b64([]byte(`{"typ":"JWT"}`)) + ".e30.c2ln":   false,
		b64([]byte(`["alg"]`)) + ".e30.c2ln":         false,
		b64([]byte(`{"alg":`)) + ".e30.c2ln":         false,
		b64([]byte(`{"alg":"a"}`)) + ".e30":          false,
		b64([]byte(`{"alg":"a"}`)) + ".e30.c2ln.x":   false,
		b64([]byte(`{"alg":"a"}`)) + ".e+0.c2ln":     false,
		b64([]byte(`{"alg":"a"}`)) + "=.e30.c2ln":    false,
		"sk.live.key": false, "..": false, "": false, "abcdefgh": false,
	} {
		if got := apikey.IsJWT(token); got != want {
			t.Errorf("%q: %v", token, got)
		}
	}
}
