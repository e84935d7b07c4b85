package licensing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"tollgate/controlplane/internal/audit"
)

// recorder is a Tx that notes what each write changes. Every method of Tx that writes an object has to be here: one that is
// not leaves no trace in the audit.
type recorder struct {
	Tx
	kind, id      string
	before, after map[string]map[string]any
	// locked are licences as they were when they were read to be changed, by id.
	locked map[string]map[string]any
	err    error
}

func (r *recorder) note(kind Kind, id string, before, after any) {
	was, err := plain(before)
	if err != nil {
		r.err = err
		return
	}
	r.differs(kind, id, was, after)
}

// differs is note where the object is plain already as it was before.
func (r *recorder) differs(kind Kind, id string, was map[string]any, after any) {
	if r.before == nil {
		r.kind, r.id = string(kind), id
		r.before, r.after = map[string]map[string]any{}, map[string]map[string]any{}
	}
	is, err := plain(after)
	if err != nil {
		r.err = err
		return
	}
	name := string(kind) + "/" + id
	r.before[name], r.after[name] = changed(r.before[name], was, is, r.after[name])
}

// size is how long that is which is noted of an object.
func (r *recorder) size(kind Kind, id string) int {
	name := string(kind) + "/" + id
	b, err := json.Marshal([]any{r.before[name], r.after[name]})
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("record: %w", err)
	}
	return len(b)
}

// changed are the fields that differ. An object that is written twice keeps what it was first and is last.
func changed(firstWas, was, is, lastIs map[string]any) (before, after map[string]any) {
	before, after = firstWas, lastIs
	if before == nil {
		before, after = map[string]any{}, map[string]any{}
	}
	for k, v := range is {
		if reflect.DeepEqual(was[k], v) {
			continue
		}
		if old, there := was[k]; there {
			if _, kept := before[k]; !kept {
				before[k] = old
			}
		}
		after[k] = v
	}
	return before, after
}

// plain is an object as JSON has it, by the API's names. Nil: an object that was not there.
func plain(object any) (map[string]any, error) {
	if object == nil {
		return nil, nil
	}
	b, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("record %T: %w", object, err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // Units are larger than a float64 is exact.
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return nil, fmt.Errorf("record %T: %w", object, err)
	}
	named, _ := rename(fields).(map[string]any)
	return named, nil
}

// rename turns Go's names into the API's. The keys of metadata are the customer's.
func rename(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, field := range v {
			if k != "Metadata" {
				field = rename(field)
			}
			out[snake(k)] = field
		}
		return out
	case []any:
		for i := range v {
			v[i] = rename(v[i])
		}
	}
	return v
}

// snake turns ExternalID into external_id.
func snake(s string) string {
	var b strings.Builder
	lower := false
	for _, r := range s {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = !unicode.IsUpper(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// audit appends what was noted as one event. A write that changed nothing leaves none.
func (w *write) audit(ctx context.Context) error {
	r := w.recorder
	if r.err != nil || r.before == nil {
		return r.err
	}
	before, err := json.Marshal(r.before)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	after, err := json.Marshal(r.after)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	e := audit.Event{
		Time: w.now, Actor: w.call.Actor, ActorName: w.call.ActorName, Role: string(w.call.Role),
		Procedure: w.call.Procedure, Kind: r.kind, ID: r.id, Before: string(before), After: string(after),
		RequestID: w.call.CallID, Generation: w.head.Epoch.Generation, Number: w.head.Epoch.Number,
	}
	if e.Actor == "" {
		e.Actor, e.Role = audit.System, audit.System
	}
	head, err := w.LockAudit(ctx)
	if err != nil {
		return err
	}
	head.Append(&e)
	return w.AppendAudit(ctx, e)
}

// inserted notes an object that was made.
func inserted[T any](r *recorder, kind Kind, id string, out T, err error) (T, error) {
	if err == nil {
		r.note(kind, id, nil, out)
	}
	return out, err
}

// insertedAll notes objects that were made together. From manyObjects on, the event says which they are, and not what is in them.
func insertedAll[T any](r *recorder, kind Kind, out []T, id func(*T) string, err error) ([]T, error) {
	if err != nil || len(out) == 0 {
		return nil, err
	}
	if len(out) >= manyObjects {
		r.note(kind, id(&out[0]), nil, map[string]any{"Created": len(out), "IDs": idsOf(out, id)})
		return out, nil
	}
	for i := range out {
		r.note(kind, id(&out[i]), nil, out[i])
	}
	return out, nil
}

func idsOf[T any](all []T, id func(*T) string) []string {
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = id(&all[i])
	}
	return ids
}

// updated reads an object, has it written, and notes the difference.
func updated[T any](r *recorder, kind Kind, id string, read, write func() (T, error)) (T, error) {
	old, err := read()
	if err != nil {
		return old, err
	}
	out, err := write()
	if err == nil {
		r.note(kind, id, old, out)
	}
	return out, err
}

func (r *recorder) CreateFleet(ctx context.Context, f Fleet) (bool, error) {
	made, err := r.Tx.CreateFleet(ctx, f)
	if err == nil && made {
		r.note(kindFleet, f.ID, nil, f)
	}
	return made, err
}

func (r *recorder) UpdateFleet(ctx context.Context, f Fleet) error {
	_, err := updated(r, kindFleet, f.ID, func() (Fleet, error) { return r.Fleet(ctx) },
		func() (Fleet, error) { return f, r.Tx.UpdateFleet(ctx, f) })
	return err
}

// RenumberDraft implements Tx. The draft that is behind its new number is the same.
func (r *recorder) RenumberDraft(ctx context.Context, plan string, to uint32) error {
	p, err := r.Plan(ctx, plan)
	if err != nil {
		return err
	}
	err = r.Tx.RenumberDraft(ctx, plan, to)
	if err == nil {
		r.note(KindPlan, plan, map[string]uint32{"DraftVersion": p.DraftVersion}, map[string]uint32{"DraftVersion": to})
	}
	return err
}

// ArchivePlanVersions implements Tx. That the plan is archived is noted of the plan.
func (r *recorder) ArchivePlanVersions(ctx context.Context, plan string) ([]uint32, error) {
	versions, err := r.Tx.ArchivePlanVersions(ctx, plan)
	if err == nil {
		r.note(KindPlan, plan, nil, map[string][]uint32{"ArchivedVersions": versions})
	}
	return versions, err
}

func (r *recorder) InsertAPIKeys(ctx context.Context, all []APIKey) ([]APIKey, error) {
	out, err := r.Tx.InsertAPIKeys(ctx, all)
	return insertedAll(r, KindAPIKey, out, func(k *APIKey) string { return k.ID }, err)
}

func (r *recorder) UpdateAPIKey(ctx context.Context, k APIKey) (APIKey, error) {
	return updated(r, KindAPIKey, k.ID,
		func() (APIKey, error) { return r.APIKey(ctx, k.ID) }, func() (APIKey, error) { return r.Tx.UpdateAPIKey(ctx, k) })
}

func (r *recorder) InsertToken(ctx context.Context, t Token) (Token, error) {
	out, err := r.Tx.InsertToken(ctx, t)
	return inserted(r, KindToken, out.ID, out, err)
}

func (r *recorder) RevokeToken(ctx context.Context, id string, at time.Time) (Token, error) {
	return updated(r, KindToken, id,
		func() (Token, error) { return r.Token(ctx, id) }, func() (Token, error) { return r.Tx.RevokeToken(ctx, id, at) })
}
