package connectapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// filter is what a list is narrowed to: values by field.
type filter map[string]string

// parseFilter reads `field = "value" AND field = "value" …`. Quotes may be left off around a plain word. Each field
// may stand once.
func parseFilter(text string) (filter, error) {
	f := filter{}
	rest := strings.TrimSpace(text)
	for rest != "" {
		if len(f) > 0 {
			after, ok := cutWord(rest, "AND")
			if !ok {
				return nil, invalidField("filter", "want AND before %q", abbreviate(rest))
			}
			rest = after
		}
		field, after := splitWord(rest)
		if field == "" {
			return nil, invalidField("filter", `want a term like field = "value" at %q`, abbreviate(rest))
		}
		after, ok := strings.CutPrefix(after, "=")
		if !ok {
			return nil, invalidField("filter", "want = after %s: only equality is supported", field)
		}
		value, after, err := splitValue(strings.TrimSpace(after))
		if err != nil {
			return nil, invalidField("filter", "value of %s: %v", field, err)
		}
		if _, twice := f[field]; twice {
			return nil, invalidField("filter", "%s stands twice", field)
		}
		f[field], rest = value, strings.TrimSpace(after)
	}
	return f, nil
}

// only refuses fields that the list does not know.
func (f filter) only(known ...string) error {
	for _, field := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(known, field) {
			return invalidField("filter", "%q is not a field to filter by: use %s", field, strings.Join(known, ", "))
		}
	}
	return nil
}

// splitWord takes a word of letters, digits and _ off the front, and the space after it.
func splitWord(s string) (word, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool { return !isWord(r) })
	if end < 0 {
		end = len(s)
	}
	return s[:end], strings.TrimSpace(s[end:])
}

func cutWord(s, word string) (string, bool) {
	got, rest := splitWord(s)
	return rest, got == word
}

func isWord(r rune) bool {
	return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// splitValue takes a quoted string (as Go and JSON quote) or a plain word off the front.
func splitValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", errors.New("the quote is not closed, or has an unknown escape")
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return "", "", fmt.Errorf("unquote: %w", err)
		}
		return value, s[len(quoted):], nil
	}
	end := strings.IndexAny(s, " \t\r\n\"=")
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return "", "", errors.New(`want "a quoted string" or a word`)
	}
	return s[:end], s[end:], nil
}

func abbreviate(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
