package licensing

import (
	"maps"
	"slices"
	"strings"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// page reads one page by asking for one item more than it returns.
func page[T any](l List, fields []string, read func(List) ([]T, error), key func(*T) string) (Page[T], error) {
	if l.PageSize < 0 {
		return Page[T]{}, invalid("page_size", "is negative")
	}
	for _, f := range slices.Sorted(maps.Keys(l.Filter)) {
		if !slices.Contains(fields, f) {
			return Page[T]{}, invalid("filter", "%q is not a field to filter by: use %s", f, orNone(fields))
		}
		if err := checkText("filter."+f, l.Filter[f], 1024); err != nil {
			return Page[T]{}, err
		}
	}
	if v, ok := l.Filter["archived"]; ok && v != "true" && v != "false" {
		return Page[T]{}, invalid("filter.archived", `is neither "true" nor "false"`)
	}
	if err := checkText("page_token", l.After, 256); err != nil {
		return Page[T]{}, err
	}
	size := min(l.PageSize, maxPage)
	if size == 0 {
		size = defaultPage
	}
	l.PageSize = size + 1
	items, err := read(l)
	if err != nil || len(items) <= size {
		return Page[T]{Items: items}, err
	}
	return Page[T]{Items: items[:size], Next: key(&items[size-1])}, nil
}

func orNone(fields []string) string {
	if len(fields) == 0 {
		return "no filter"
	}
	return strings.Join(fields, ", ")
}

// masked reads an update mask. The result says whether a field is to be changed; an empty mask changes all.
func masked(mask []string, fields ...string) (func(string) bool, error) {
	for _, path := range mask {
		if !slices.Contains(fields, path) {
			return nil, invalid("update_mask", "%q is not a field that can be changed: use %s", path, strings.Join(fields, ", "))
		}
	}
	return func(f string) bool { return len(mask) == 0 || slices.Contains(mask, f) }, nil
}

// current checks that old is what the caller has seen, and is not archived.
func current(kind Kind, id string, given string, old *Meta) error {
	if old.Archived() {
		return refused("the %s %q is archived", kind.words(), id)
	}
	return fresh(kind, id, given, old.Etag)
}

func fresh(kind Kind, id, given, stored string) error {
	if given == "" || given == stored {
		return nil
	}
	return &Error{
		Code: Aborted, Field: "etag", Message: "the " + kind.words() + " has changed since: read it again",
		Details: map[string]string{"kind": string(kind), "id": id},
	}
}

// fixed refuses to change a field that cannot change. A caller that leaves it empty doesn't mean it.
func fixed[T ~string](field string, given, stored T) error {
	if given == "" || given == stored {
		return nil
	}
	return invalid(field, "is %q and cannot change", string(stored))
}
