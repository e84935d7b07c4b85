package identity_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/identity"
)

// state holds imported credentials of these keys, in order: imp_0, imp_1 …
func state(t testing.TB, keys ...string) *decision.State {
	t.Helper()
	e := decision.Edit(nil)
	pepper := []byte("p")
	e.SetSettings(decision.Settings{Env: "live", Pepper: pepper})
	for i, k := range keys {
		e.SetCredential(&decision.Credential{
			ID: "imp_" + string(rune('0'+i)), License: "lic", Hash: apikey.HashImported(pepper, apikey.Sum(k)), Imported: true,
		})
	}
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	first  = "sk_old_0123456789"
	second = "other/system:key=42"
	// jwt is {"alg":"none"}, which is what a JWT looks like, and nothing that verifies.
	jwt = "eyJhbGciOiJub25lIn0.e30.c2ln"
)

func TestIdentify_FindsImportedKeysByTheirHash(t *testing.T) {
	t.Parallel()
	own := key(t, "live")
	s := state(t, first, second, jwt, "short12", strings.Repeat("k", 513), "tga_imported_by_mistake")
	for name, c := range map[string]struct {
		authorization, apiKey []string
		want                  decision.Presented
		id                    string
	}{
		"bearer":                     {[]string{"Bearer " + first}, nil, decision.KeyCredential, "imp_0"},
		"X-Api-Key":                  {nil, []string{" " + second + " "}, decision.KeyCredential, "imp_1"},
		"unknown":                    {[]string{"Bearer sk_old_0123456780"}, nil, decision.BadCredential, ""},
		"another scheme":             {[]string{"Basic " + first}, nil, decision.NoCredential, ""},
		"without a scheme":           {[]string{first}, nil, decision.NoCredential, ""},
		"in another case":            {[]string{"Bearer " + strings.ToUpper(first)}, nil, decision.BadCredential, ""},
		"a JWT as a bearer":          {[]string{"Bearer " + jwt}, nil, decision.BadCredential, ""},
		"what looks like a JWT":      {nil, []string{jwt}, decision.KeyCredential, "imp_2"},
		"too short":                  {[]string{"Bearer short12"}, nil, decision.BadCredential, ""},
		"too long":                   {nil, []string{strings.Repeat("k", 513)}, decision.BadCredential, ""},
		"an admin token":             {[]string{"Bearer tga_imported_by_mistake"}, nil, decision.BadCredential, ""},
		"with a space":               {nil, []string{"sk_old_ 0123456789"}, decision.BadCredential, ""},
		"a tg_ key":                  {[]string{"Bearer " + own.Whole}, nil, decision.KeyCredential, own.ID},
		"a tg_ key beside unknown":   {[]string{"Bearer " + own.Whole}, []string{"unknown-key"}, decision.KeyCredential, own.ID},
		"a tg_ key beside a known":   {[]string{"Bearer " + own.Whole}, []string{first}, decision.ManyCredentials, ""},
		"two known":                  {[]string{"Bearer " + first}, []string{second}, decision.ManyCredentials, ""},
		"the same twice":             {[]string{"Bearer " + first}, []string{first}, decision.ManyCredentials, ""},
		"a known beside a JWT":       {[]string{"Bearer " + jwt}, []string{first}, decision.KeyCredential, "imp_0"},
		"a known beside unknown":     {[]string{"Bearer opaque-token"}, []string{first}, decision.KeyCredential, "imp_0"},
		"more than a node will hash": {nil, []string{"unknown-1", "unknown-2", first}, decision.ManyCredentials, ""},
	} {
		h := http.Header{}
		if c.authorization != nil {
			h["Authorization"] = c.authorization
		}
		if c.apiKey != nil {
			h["X-Api-Key"] = c.apiKey
		}
		var r decision.Request
		identity.Reader{}.Identify(&r, h, s)
		if r.Presented != c.want || r.KeyID != c.id {
			t.Errorf("%s: presented %d as %q, want %d as %q", name, r.Presented, r.KeyID, c.want, c.id)
		}
	}
}

func TestIdentify_WithoutImportedKeysThereIsNoneToFind(t *testing.T) {
	t.Parallel()
	with := state(t, first)
	e := decision.Edit(with)
	e.RemoveCredential("imp_0")
	without, err := e.Build(decision.Epoch{Generation: 1, Number: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !with.HoldsImported() || without.HoldsImported() {
		t.Fatal("the index of imported keys does not follow what is removed")
	}
	for _, h := range []http.Header{{"Authorization": {"Bearer " + first}}, {"X-Api-Key": {first, "b-unknown", "c-unknown"}}} {
		var r decision.Request
		identity.Reader{}.Identify(&r, h, without)
		if r.Presented != decision.BadCredential || r.KeyID != "" {
			t.Errorf("%v: presented %d as %q", h, r.Presented, r.KeyID)
		}
	}
}

func TestI12_StripRemovesTheImportedKey(t *testing.T) {
	t.Parallel()
	s := state(t, first, second)
	h := http.Header{
		"Authorization": {"Bearer " + first, "Bearer opaque-token", "Token token=" + first, "Bearer tg_live_x"},
		"X-Api-Key":     {"a," + first, "other"},
	}
	identity.Reader{}.Strip(h, s.Credential("imp_0"), s.Settings())
	if got := h["Authorization"]; !slices.Equal(got, []string{"Bearer opaque-token"}) {
		t.Errorf("Authorization: %v", got)
	}
	if got := h["X-Api-Key"]; !slices.Equal(got, []string{"other"}) {
		t.Errorf("X-Api-Key: %v", got)
	}
}

// Whatever a client sends: who is let through by an imported key has sent exactly that key, once, and an upstream does not see it.
func FuzzIdentify_NeverGuesses(f *testing.F) {
	f.Add("Bearer "+first, second)
	f.Add("Bearer "+first, first)
	f.Add("bearer\t"+second+" ", "tg_live_x")
	f.Add("Bearer "+jwt, first)
	f.Add("Bearer tg_live_0123456789ABCDEFGHJKMNPQRS_x", "")
	f.Add("Basic "+first, first+"\x00")
	f.Add("Bearer a.b.c", "eyJ9..")
	s := state(f, first, second, jwt)
	f.Fuzz(func(t *testing.T, authorization, apiKey string) {
		h := http.Header{"Authorization": {authorization}, "X-Api-Key": {apiKey}}
		var r decision.Request
		identity.Reader{}.Identify(&r, h, s)
		c := s.Credential(r.KeyID)
		if (r.Presented == decision.KeyCredential) != (r.KeyID != "") {
			t.Fatalf("presented %d as %q", r.Presented, r.KeyID)
		}
		if c == nil {
			return
		}
		secret := map[string]string{"imp_0": first, "imp_1": second, "imp_2": jwt}[c.ID]
		sent := 0
		if scheme, token, ok := strings.Cut(strings.ReplaceAll(strings.TrimSpace(authorization), "\t", " "), " "); ok && strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) == secret {
			sent++
		}
		if strings.TrimSpace(apiKey) == secret {
			sent++
		}
		if sent == 0 {
			t.Fatalf("%q, %q was read as %s", authorization, apiKey, secret)
		}
		identity.Reader{}.Strip(h, c, s.Settings())
		for name := range h {
			if strings.Contains(h.Get(name), secret) {
				t.Fatalf("%s goes on as %q", name, h.Get(name))
			}
		}
	})
}
