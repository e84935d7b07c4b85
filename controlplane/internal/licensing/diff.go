package licensing

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// ChangeKind says how something differs.
type ChangeKind string

// The kinds.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// VersionChange is one difference between two versions of a plan.
type VersionChange struct {
	// Path is what differs, in the catalog file's words, like "entitlements[calls].quota.limit".
	Path string
	Kind ChangeKind
	// Before and After are texts; empty where there is nothing.
	Before, After string
}

// fact is something that a version says, by its name in the catalog file.
type fact struct {
	name, text string
	// unsaid is the text of a fact that is left out. Where it is empty, so is the fact.
	unsaid string
	// amount: a decimal, which is compared by value.
	amount bool
}

func (f *fact) said() bool { return f.text != f.unsaid }

// diff is what makes v of o: lists in the order of their keys, facts in that of the file.
func (v *PlanVersion) diff(o *PlanVersion) []VersionChange {
	all := differ("", []fact{number("trial_days", int64(o.TrialDays))}, []fact{number("trial_days", int64(v.TrialDays))})
	all = append(all, members("entitlements", o.Entitlements, v.Entitlements, func(e *Entitlement) (string, []fact) { return e.Feature, e.facts() })...)
	all = append(all, members("rate_limits", o.RateLimits, v.RateLimits, func(r *RateLimit) (string, []fact) { return r.Key, r.facts() })...)
	return append(all, members("rate_cards", o.RateCards, v.RateCards, func(r *RateCard) (string, []fact) { return r.Key, r.facts() })...)
}

// members compares two lists of what has a key.
func members[T any](list string, before, after []T, facts func(*T) (string, []fact)) []VersionChange {
	var all []VersionChange
	old := map[string][]fact{}
	for i := range before {
		key, f := facts(&before[i])
		old[key] = f
	}
	for i := range after {
		key, f := facts(&after[i])
		path := list + "[" + key + "]"
		was, there := old[key]
		delete(old, key)
		if there {
			all = append(all, differ(path+".", was, f)...)
		} else {
			all = append(all, VersionChange{Path: path, Kind: Added, After: words(f)})
		}
	}
	for key, f := range old {
		all = append(all, VersionChange{Path: list + "[" + key + "]", Kind: Removed, Before: words(f)})
	}
	// Facts of one member stay in their order.
	slices.SortStableFunc(all, func(a, b VersionChange) int { return cmp.Compare(member(a.Path), member(b.Path)) })
	return all
}

// member is the path up to the bracket. Keys hold no brackets.
func member(path string) string { return path[:strings.Index(path, "]")+1] }

// differ compares the facts of one thing. Those of one name are compared; one that is missing is not said.
func differ(path string, before, after []fact) []VersionChange {
	var all []VersionChange
	note := func(was, is fact) {
		if was.text == is.text || was.amount && sameAmount(was.text, is.text) {
			return
		}
		kind := Changed
		switch "" {
		case was.text:
			kind = Added
		case is.text:
			kind = Removed
		}
		all = append(all, VersionChange{Path: path + is.name, Kind: kind, Before: was.text, After: is.text})
	}
	find := func(in []fact, name string) int {
		return slices.IndexFunc(in, func(f fact) bool { return f.name == name })
	}
	for _, is := range after {
		was := fact{name: is.name, text: is.unsaid}
		if i := find(before, is.name); i >= 0 {
			was = before[i]
		}
		note(was, is)
	}
	for _, was := range before {
		if find(after, was.name) < 0 {
			note(was, fact{name: was.name, text: was.unsaid})
		}
	}
	return all
}

// words are the facts in one line.
func words(facts []fact) string {
	var said []string
	for _, f := range facts {
		if f.said() {
			said = append(said, f.name+": "+f.text)
		}
	}
	return strings.Join(said, ", ")
}

func number(name string, n int64) fact {
	return fact{name: name, text: strconv.FormatInt(n, 10), unsaid: "0"}
}

func (e *Entitlement) facts() []fact {
	all := []fact{
		{name: "enabled", text: strconv.FormatBool(e.Enabled), unsaid: "false"},
		{name: "value", text: e.Value.JSON()},
	}
	if q := e.Quota; q != nil {
		limit := number("quota.limit", q.Limit)
		limit.unsaid = "" // A quota of nothing is not the same as none.
		all = append(all, limit, fact{name: "quota.period", text: string(q.Period)}, fact{name: "quota.mode", text: string(q.Mode)},
			number("quota.rollover", q.Rollover))
	}
	return all
}

func (r *RateLimit) facts() []fact {
	return []fact{
		number("limit", r.Limit), {name: "per", text: r.Per.String()}, number("burst", r.Burst), {name: "scope", text: string(r.Scope)},
	}
}

func (r *RateCard) facts() []fact {
	all := []fact{
		{name: "kind", text: string(r.Kind)}, {name: "feature", text: r.Feature}, {name: "amount", text: r.Amount, amount: true},
		{name: "currency", text: r.Currency}, number("unit_size", r.UnitSize), number("included", r.Included),
	}
	for i, t := range r.Tiers {
		tier := "tiers[" + strconv.Itoa(i) + "]."
		upTo := fact{name: tier + "up_to", text: "open"}
		if t.UpTo != 0 {
			upTo.text = strconv.FormatInt(t.UpTo, 10)
		}
		all = append(all, upTo, fact{name: tier + "unit_price", text: t.UnitPrice, amount: true},
			fact{name: tier + "flat_price", text: t.FlatPrice, amount: true})
	}
	return all
}
