package connectapi

import (
	"encoding/base64"
	"testing"

	"tollgate/controlplane/internal/licensing"
)

func TestPageToken_LeadsBackToItsCursor(t *testing.T) {
	t.Parallel()
	q := newQuery("features", filter{"type": "metered"})
	for _, cursor := range []string{"calls", "a b", "\x00\xff", "1732435200000000000 dec_01"} {
		if got, err := q.cursor(q.token(cursor)); err != nil || got != cursor {
			t.Errorf("%q: %q, %v", cursor, got, err)
		}
	}
	if got, err := q.cursor(""); err != nil || got != "" {
		t.Errorf("first page: %q, %v", got, err)
	}
	if got := q.token(""); got != "" {
		t.Errorf("a last page has the token %q", got)
	}
}

func TestPageToken_OfAnotherQueryIsRefused(t *testing.T) {
	t.Parallel()
	token := newQuery("features", filter{"type": "metered", "meter": "m"}).token("calls")
	for name, q := range map[string]query{
		"another list":     newQuery("meters", filter{"type": "metered", "meter": "m"}),
		"another value":    newQuery("features", filter{"type": "boolean", "meter": "m"}),
		"no filter":        newQuery("features", nil),
		"fewer terms":      newQuery("features", filter{"type": "metered"}),
		"moved boundaries": newQuery("features", filter{"typem": "etered", "meter": "m"}),
		"another bound":    newQuery("features", filter{"type": "metered", "meter": "m"}, "2026"),
	} {
		if got, err := q.cursor(token); licensing.CodeOf(err) != licensing.InvalidArgument {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := newQuery("features", filter{"meter": "m", "type": "metered"}).cursor(token); err != nil || got != "calls" {
		t.Errorf("the same terms in another order: %q, %v", got, err)
	}
}

func TestPageToken_BrokenIsRefused(t *testing.T) {
	t.Parallel()
	q := newQuery("features", nil)
	token := q.token("calls")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	broken := []string{"x", "!!!!", token[1:], token[:len(token)-2], token + "AAAA", token + "=", " " + token, base64.RawURLEncoding.EncodeToString(raw[:sumSize])}
	for i := range raw {
		flipped := append([]byte{}, raw...)
		flipped[i] ^= 1
		broken = append(broken, base64.RawURLEncoding.EncodeToString(flipped))
	}
	for _, b := range broken {
		if got, err := q.cursor(b); licensing.CodeOf(err) != licensing.InvalidArgument {
			t.Errorf("%q: %q, %v", b, got, err)
		}
	}
}

func TestPageSize_IsClamped(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int]int{-1: 50, 0: 50, 1: 1, 999: 999, 1000: 1000, 1001: 1000, 1 << 30: 1000} {
		if got := pageSize(asked); got != want {
			t.Errorf("%d: %d, want %d", asked, got, want)
		}
	}
}
