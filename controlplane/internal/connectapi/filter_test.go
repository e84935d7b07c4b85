package connectapi

import (
	"maps"
	"strings"
	"testing"

	"tollgate/controlplane/internal/licensing"
)

func TestParseFilter_ReadsTermsJoinedByAND(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]filter{
		"":                                    {},
		"  \t ":                               {},
		`code = "ok"`:                         {"code": "ok"},
		`code="ok"`:                           {"code": "ok"},
		`code = ok`:                           {"code": "ok"},
		`plan_version = 3 AND plan = "a b"`:   {"plan_version": "3", "plan": "a b"},
		"a = \"x\"\n AND\n b = \"\"":          {"a": "x", "b": ""},
		`a = "with \"quotes\" and ü AND = x"`: {"a": `with "quotes" and ü AND = x`},
		`a = lic_01K0 AND b = "y" `:           {"a": "lic_01K0", "b": "y"},
	} {
		got, err := parseFilter(text)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestParseFilter_RefusesWhatItWouldGuessAt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"=", "code", "code =", `code = "`, `code = "a`, `code = "a" code = "b"`, `code = "a" AND`, `code = "a" OR x = "b"`,
		`code = "a" and x = "b"`, `code != "a"`, `code > 3`, `code = "a" AND code = "b"`, `code = = "a"`, `code = "\q"`,
		`"code" = "a"`, `code == "a"`, `code = "a"AND`, `NOT code = "a"`, `(code = "a")`,
	} {
		if got, err := parseFilter(text); licensing.CodeOf(err) != licensing.InvalidArgument {
			t.Errorf("%q is read as %v, %v", text, got, err)
		}
	}
}

func TestFilter_OnlyNamesTheFieldsThereAre(t *testing.T) {
	t.Parallel()
	err := filter{"state": "x", "color": "y"}.only("state", "name")
	if licensing.CodeOf(err) != licensing.InvalidArgument || !strings.Contains(err.Error(), `"color"`) || !strings.Contains(err.Error(), "state, name") {
		t.Errorf("%v", err)
	}
	if err := (filter{"state": "x"}).only("state"); err != nil {
		t.Error(err)
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{`a = "b" AND c = d`, `a = "\u00e4"`, "\xff = 1", `a = "` + strings.Repeat("x", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseFilter(text); err != nil && licensing.CodeOf(err) != licensing.InvalidArgument {
			t.Errorf("%q: %v", text, err)
		}
	})
}
