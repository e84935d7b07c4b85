package licensing

import (
	"context"
	"fmt"
	"strings"
)

// maxReferences is how many references an error names.
const maxReferences = 10

// unreferenced refuses where something in use refers to an object, and names it.
func (w *write) unreferenced(ctx context.Context, kind Kind, id string) error {
	refs, err := w.References(ctx, kind, id, w.now, maxReferences+1)
	if err != nil || len(refs) == 0 {
		return err
	}
	var named, keys []string
	for _, r := range refs[:min(len(refs), maxReferences)] {
		named = append(named, r.Kind.words()+" "+r.ID)
		keys = append(keys, string(r.Kind)+"/"+r.ID)
	}
	list := strings.Join(named, ", ")
	if len(refs) > maxReferences {
		list += " and more"
	}
	return &Error{
		Code:    FailedPrecondition,
		Message: fmt.Sprintf("the %s %q is in use by %s", kind.words(), id, list),
		Details: map[string]string{"kind": string(kind), "id": id, "references": strings.Join(keys, ",")},
	}
}

// usable turns the look-up of what a value refers to into an error at that field: it has to be there, and not
// archived.
func usable(field string, kind Kind, key string, m *Meta, err error) error {
	switch {
	case CodeOf(err) == NotFound:
		return &Error{
			Code: InvalidArgument, Field: field, Message: fmt.Sprintf("there is no %s %q", kind.words(), key),
			Details: map[string]string{"kind": string(kind), "id": key},
		}
	case err != nil:
		return err
	case m.Archived():
		return &Error{
			Code: FailedPrecondition, Field: field, Message: fmt.Sprintf("the %s %q is archived", kind.words(), key),
			Details: map[string]string{"kind": string(kind), "id": key},
		}
	}
	return nil
}

// meters finds the meters that features count on.
func (w *write) meters(ctx context.Context, features map[string]*Feature) (map[string]*Meter, error) {
	var keys []string
	for _, f := range features {
		if f.Type == Metered {
			keys = append(keys, f.Meter)
		}
	}
	found, err := w.MetersNamed(ctx, keys)
	byKey := make(map[string]*Meter, len(found))
	for i := range found {
		byKey[found[i].Key] = &found[i]
	}
	return byKey, err
}

// features finds the features of keys, which must all be usable. path is the field of the i-th.
func (w *write) features(ctx context.Context, keys []string, path func(int) string) (map[string]*Feature, error) {
	found, err := w.FeaturesNamed(ctx, keys)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]*Feature, len(found))
	for i := range found {
		byKey[found[i].Key] = &found[i]
	}
	for i, k := range keys {
		f, miss := byKey[k], error(nil)
		if f == nil {
			f, miss = &Feature{}, Missing(KindFeature, k)
		}
		if err := usable(path(i), KindFeature, k, &f.Meta, miss); err != nil {
			return nil, err
		}
	}
	return byKey, nil
}
