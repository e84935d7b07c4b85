package apikey_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"tollgate/dataplane/apikey"
)

func generate(t testing.TB) apikey.Key {
	t.Helper()
	k, err := apikey.Generate("live", time.UnixMilli(1_764_000_000_000), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestGenerate_KeyReadsBackToItsCredential(t *testing.T) {
	t.Parallel()
	k := generate(t)
	id, err := apikey.Parse("live", k.Whole)
	if err != nil || id != k.ID {
		t.Fatalf("Parse = %q, %v, want %q", id, err, k.ID)
	}
	if !strings.HasPrefix(k.Whole, "tg_live_"+strings.TrimPrefix(k.ID, "key_")+"_") {
		t.Errorf("key %q does not carry its id %q", k.Whole, k.ID)
	}
	if !strings.HasPrefix(k.Whole, k.Hint) || len(k.Whole)-len(k.Hint) != 1+28+6 {
		t.Errorf("hint %q shows secret parts", k.Hint)
	}
	if other := generate(t); other.ID == k.ID || other.Whole == k.Whole {
		t.Error("two keys are the same")
	}
}

func TestGenerate_ULIDTellsItsTime(t *testing.T) {
	t.Parallel()
	a, err := apikey.Generate("live", time.UnixMilli(1469918176385), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// The example of the ULID specification.
	if !strings.HasPrefix(a.ID, "key_01ARYZ6S41") {
		t.Errorf("id = %s, want it to begin with key_01ARYZ6S41", a.ID)
	}
}

func TestParse_AnyChangedCharacterIsRefused(t *testing.T) {
	t.Parallel()
	whole := generate(t).Whole
	for i := range len(whole) {
		for _, c := range []byte("0aZ_- ") {
			if whole[i] == c {
				continue
			}
			changed := whole[:i] + string(c) + whole[i+1:]
			if id, err := apikey.Parse("live", changed); err == nil {
				t.Fatalf("%q with %q at %d read as %s", whole, c, i, id)
			}
		}
	}
}

func TestParse_TellsWhyItRefuses(t *testing.T) {
	t.Parallel()
	whole := generate(t).Whole
	last := byte('0')
	if whole[len(whole)-1] == last {
		last = '1'
	}
	for name, c := range map[string]struct {
		env, key string
		want     error
	}{
		"empty":          {"live", "", apikey.ErrForm},
		"admin token":    {"live", "tga_" + whole[3:], apikey.ErrForm},
		"cut":            {"live", whole[:len(whole)-1], apikey.ErrForm},
		"longer":         {"live", whole + "0", apikey.ErrForm},
		"lower-case id":  {"live", "tg_live_" + strings.ToLower(whole[8:34]) + whole[34:], apikey.ErrForm},
		"other env":      {"test", whole, apikey.ErrEnv},
		"wrong checksum": {"live", whole[:len(whole)-1] + string(last), apikey.ErrChecksum},
	} {
		if _, err := apikey.Parse(c.env, c.key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestGenerate_RefusesLabelsThatCannotBeReadBack(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"", "a_b", "Live", "-a", "a-", strings.Repeat("a", 17), "ü"} {
		if _, err := apikey.Generate(env, time.Now(), rand.Reader); err == nil {
			t.Errorf("env %q was taken", env)
		}
	}
}

func TestHash_DependsOnPepperAndEveryCharacter(t *testing.T) {
	t.Parallel()
	h := apikey.Hash([]byte("pepper"), "tg_x")
	if h == apikey.Hash([]byte("paprika"), "tg_x") || h == apikey.Hash([]byte("pepper"), "tg_y") {
		t.Error("hashes collide")
	}
	if h != apikey.Hash([]byte("pepper"), "tg_x") {
		t.Error("a hash changes from call to call")
	}
}

func FuzzParse(f *testing.F) {
	whole := generate(f).Whole
	f.Add("live", whole)
	f.Add("live", whole[:40])
	f.Add("", "tg__")
	f.Add("live", "tg_live_7ZZZZZZZZZZZZZZZZZZZZZZZZZ_0000000000000000000000000000000000")
	f.Add("a_b", "tg_a_b_01ARYZ6S41TSV4RRFFQ69G5FAV_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	f.Fuzz(func(t *testing.T, env, key string) {
		id, err := apikey.Parse(env, key)
		if err != nil {
			return
		}
		// Whatever is accepted names its parts, and has one spelling.
		ulid, ok := strings.CutPrefix(id, "key_")
		if !ok || !strings.HasPrefix(key, "tg_"+env+"_"+ulid+"_") {
			t.Errorf("Parse(%q, %q) = %q", env, key, id)
		}
		if _, err := apikey.Parse(env, strings.ToUpper(key)); err == nil && strings.ToUpper(key) != key {
			t.Errorf("two spellings of %q are accepted", key)
		}
	})
}
