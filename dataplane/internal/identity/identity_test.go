package identity_test

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/identity"
)

func key(t *testing.T, env string) apikey.Key {
	t.Helper()
	k, err := apikey.Generate(env, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestIdentify_ReadsOneCredentialAndNeverGuesses(t *testing.T) {
	t.Parallel()
	a, b, other := key(t, "live"), key(t, "live"), key(t, "test")
	s := state(t)
	for name, c := range map[string]struct {
		authorization, apiKey []string
		want                  decision.Presented
	}{
		"nothing":                  {nil, nil, decision.NoCredential},
		"bearer":                   {[]string{"Bearer " + a.Whole}, nil, decision.KeyCredential},
		"scheme in any case":       {[]string{"bEARER  " + a.Whole}, nil, decision.KeyCredential},
		"X-Api-Key":                {nil, []string{a.Whole}, decision.KeyCredential},
		"X-Api-Key beside a JWT":   {[]string{"Bearer eyJ.x.y"}, []string{a.Whole}, decision.KeyCredential},
		"X-Api-Key beside Basic":   {[]string{"Basic eA=="}, []string{a.Whole}, decision.KeyCredential},
		"bearer beside another's":  {[]string{"Bearer " + a.Whole}, []string{"other"}, decision.KeyCredential},
		"two keys":                 {[]string{"Bearer " + a.Whole}, []string{b.Whole}, decision.ManyCredentials},
		"the same key twice":       {[]string{"Bearer " + a.Whole}, []string{a.Whole}, decision.ManyCredentials},
		"two Authorization fields": {[]string{"Bearer " + a.Whole, "Bearer " + b.Whole}, nil, decision.ManyCredentials},
		"two keys in one field":    {nil, []string{a.Whole + ", " + b.Whole}, decision.BadCredential},
		"a JWT":                    {[]string{"Bearer eyJ.x.y"}, nil, decision.BadCredential},
		"an admin token":           {[]string{"Bearer tga_x"}, nil, decision.BadCredential},
		"Basic":                    {[]string{"Basic eA=="}, nil, decision.NoCredential},
		"junk":                     {[]string{"Bearer tg_live_junk"}, nil, decision.BadCredential},
		"another deployment's key": {[]string{"Bearer " + other.Whole}, nil, decision.BadCredential},
		"bearer without a token":   {[]string{"Bearer"}, nil, decision.NoCredential},
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
		if r.Presented != c.want {
			t.Errorf("%s: presented %d, want %d", name, r.Presented, c.want)
		}
		if c.want == decision.KeyCredential && (r.KeyID != a.ID || r.KeyHash != apikey.Hash(s.Settings().Pepper, a.Whole)) {
			t.Errorf("%s: read as %s", name, r.KeyID)
		}
		if c.want != decision.KeyCredential && r.KeyID != "" {
			t.Errorf("%s: read as %s", name, r.KeyID)
		}
	}
}

func TestI12_StripRemovesTollgatesSecretsOnly(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Authorization": {"Bearer tg_live_x", "bearer  tg_x", "Bearer tga_x", "Bearer eyJ.x.y", "Basic eA=="},
		"X-Api-Key":     {" tg_live_x", "tga_x", "other"},
	}
	identity.Reader{}.Strip(h, &decision.Credential{}, &decision.Settings{})
	if got := h["Authorization"]; len(got) != 2 || got[0] != "Bearer eyJ.x.y" || got[1] != "Basic eA==" {
		t.Errorf("Authorization: %v", got)
	}
	if got := h["X-Api-Key"]; len(got) != 1 || got[0] != "other" {
		t.Errorf("X-Api-Key: %v", got)
	}
	h = http.Header{"Authorization": {"Bearer tg_x"}, "X-Api-Key": {"tg_x"}}
	identity.Reader{}.Strip(h, &decision.Credential{}, &decision.Settings{})
	if len(h) != 0 {
		t.Errorf("left: %v", h)
	}
}

// However a key is dressed up, an upstream must not see it.
func TestI12_StripFindsASecretInAnySpelling(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"Bearer\ttg_live_x", "tg_live_x", "Token tg_live_x", "foo, tg_live_x", "Token token=\"tga_x\"", "Bearer  tg_x", "a;tg_x"} {
		for _, name := range []string{"Authorization", "X-Api-Key"} {
			h := http.Header{name: {v}}
			identity.Reader{}.Strip(h, &decision.Credential{}, &decision.Settings{})
			if len(h) != 0 {
				t.Errorf("left: %v", h)
			}
		}
	}
	jwt := "Bearer eyJtg_x.atg_tga_b.c-tga_"
	h := http.Header{"Authorization": {jwt}}
	identity.Reader{}.Strip(h, &decision.Credential{}, &decision.Settings{})
	if h.Get("Authorization") != jwt {
		t.Errorf("a JWT that holds these letters is gone")
	}
}
