package jointoken

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
)

var sample = Token{ID: "jtk_01K0", Secret: strings.Repeat("s", 40), Server: "https://tollgate.example:9080"}

func encode(t *testing.T, token Token) string {
	t.Helper()
	s, err := token.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse_ReadsWhatEncodeWrote(t *testing.T) {
	t.Parallel()
	got, err := Parse(encode(t, sample))
	if err != nil || got != sample {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParse_RefusesEveryChangedOrMissingCharacter(t *testing.T) {
	t.Parallel()
	whole := encode(t, sample)
	for i := range whole {
		for _, c := range []byte("A0-") {
			if whole[i] == c {
				continue
			}
			changed := whole[:i] + string(c) + whole[i+1:]
			if got, err := Parse(changed); err == nil {
				t.Fatalf("with %q at %d it is %+v", c, i, got)
			}
		}
		if got, err := Parse(whole[:i]); err == nil {
			t.Fatalf("cut at %d it is %+v", i, got)
		}
	}
}

// The checksum keeps nobody from writing tokens: what has a right one is read with care, too.
func TestParse_RefusesWhatIsMadeByHand(t *testing.T) {
	t.Parallel()
	text := func(body string) string {
		b := binary.BigEndian.AppendUint32([]byte(body), crc32.ChecksumIEEE([]byte(body)))
		return prefix + base64.RawURLEncoding.EncodeToString(b)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":          {"", errForm},
		"an API token":     {"tga_abc", errForm},
		"the prefix alone": {prefix, errCut},
		"not base64":       {prefix + "%%%%%%%%", errCut},
		"another version":  {text("\x02\x01a\x01b\x01c"), errVersion},
		"an empty field":   {text("\x01\x01a\x00\x01c"), errCut},
		"a long length":    {text("\x01\x01a\x01b\xffc"), errCut},
		"a field less":     {text("\x01\x01a\x01b"), errCut},
		"more than fields": {text("\x01\x01a\x01b\x0dhttp://a.test!"), errCut},
		"no address":       {text("\x01\x01a\x01b\x01c"), errServer},
		"a file":           {text("\x01\x01a\x01b\x0cfile:///etc/"), errServer},
	} {
		if got, err := Parse(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v; want %v", name, got, err, c.want)
		}
	}
}

func TestChallenge_DiffersInEveryField(t *testing.T) {
	t.Parallel()
	all := [][]byte{
		Challenge("a", "b", "c"), Challenge("ab", "", "c"), Challenge("a", "bc", ""), Challenge("", "ab", "c"), Challenge("a", "b", "d"),
		RenewChallenge([]byte("a"), "b"), RenewChallenge([]byte("ab"), ""),
	}
	for i := range all {
		for j := range i {
			if bytes.Equal(all[i], all[j]) {
				t.Errorf("%q twice", all[i])
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	whole, err := sample.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(prefix)
	f.Fuzz(func(t *testing.T, s string) {
		token, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := token.Encode(); err != nil || again != s {
			t.Errorf("%q is read and written as %q, %v", s, again, err)
		}
	})
}
