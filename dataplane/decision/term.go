package decision

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Effect is what a term does with a request for which it holds.
type Effect uint8

// The effects.
const (
	EffectBlock    Effect = iota + 1
	EffectThrottle        // Deny for now: RetryAfter.
	EffectForward         // Look at no more terms. Limits still apply.
	EffectCost            // The request takes Cost, and later terms are looked at.
)

// Term is a custom rule: what happens to a subject's requests for which a condition holds.
type Term struct {
	Key        string
	Subject    Subject
	When       string // CEL, of type bool: see CheckCondition.
	Effect     Effect
	Priority   int32         // Lowest first; ties go by key.
	RetryAfter time.Duration // Of EffectThrottle.
	Cost       int64         // Of EffectCost: units of the route's meter.
	Message    string        // For the client that is denied; may be empty.
}

// SubjectKind says whose requests a term is for.
type SubjectKind uint8

// The kinds.
const (
	SubjectAll SubjectKind = iota + 1
	SubjectPlan
	SubjectLicense
	SubjectCustomer
	SubjectRoute
)

var subjectWords = map[string]SubjectKind{
	"plan": SubjectPlan, "license": SubjectLicense, "customer": SubjectCustomer, "route": SubjectRoute,
}

// Subject is whose requests a term is for. It can be compared.
type Subject struct {
	Kind SubjectKind
	ID   string // A plan's or route's key, a licence's or customer's id; empty of SubjectAll.
}

// ParseSubject reads "all", "plan:free", "license:lic_…", "customer:cus_…" or "route:hello". Nothing is "all".
func ParseSubject(s string) (Subject, error) {
	if s == "" || s == "all" {
		return Subject{Kind: SubjectAll}, nil
	}
	word, id, _ := strings.Cut(s, ":")
	kind, ok := subjectWords[word]
	if !ok || id == "" {
		return Subject{}, fmt.Errorf("%q is neither all, plan:KEY, license:ID, customer:ID nor route:KEY", s)
	}
	return Subject{kind, id}, nil
}

// String is what ParseSubject reads.
func (s Subject) String() string {
	for word, kind := range subjectWords {
		if kind == s.Kind {
			return word + ":" + s.ID
		}
	}
	return "all"
}

// rule is a term made ready for deciding.
type rule struct {
	*Term
	when *condition
}

func (r *rule) compare(o *rule) int {
	return cmp.Or(cmp.Compare(r.Priority, o.Priority), strings.Compare(r.Key, o.Key))
}

// termTable is the terms made ready.
type termTable struct {
	// of are the terms by their subject's kind and id, each list in its order. A kind that no term is on costs a request no look-up.
	of         [SubjectRoute + 1]map[string][]rule
	all        int
	conditions map[string]*condition
	broken     []rule
}

// newTermTable sorts terms by subject and in order, and compiles those whose text was not compiled for the table before. It does not fail: a
// term that cannot be compiled stays, with a condition that cannot be told, for without it a request would pass that it might deny.
func newTermTable(terms map[string]*Term, before *termTable) termTable {
	t := termTable{conditions: map[string]*condition{}, all: len(terms)}
	for _, v := range terms {
		c := t.conditions[v.When]
		if c == nil {
			if c = before.conditions[v.When]; c == nil {
				c = newCondition(v.When)
			}
			t.conditions[v.When] = c
		}
		r := rule{v, c}
		of := &t.of[v.Subject.Kind]
		if *of == nil {
			*of = map[string][]rule{}
		}
		(*of)[v.Subject.ID] = append((*of)[v.Subject.ID], r)
		if c.err != nil {
			t.broken = append(t.broken, r)
		}
	}
	for _, of := range t.of {
		for _, rules := range of {
			slices.SortFunc(rules, func(a, b rule) int { return a.compare(&b) })
		}
	}
	return t
}

// BrokenTerms calls f for each term that cannot be compiled, in no order, with the reason. Requests that it is for are denied.
func (s *State) BrokenTerms(f func(*Term, error)) {
	for i := range s.termed.broken {
		f(s.termed.broken[i].Term, s.termed.broken[i].when.err)
	}
}

// maxRequestCost bounds what all terms of one request may cost, in CEL's units.
const maxRequestCost = 5 * maxConditionCost

// meetTerms looks at the request's terms in their order. The first that throttles or blocks denies; one that forwards ends the look. What
// cannot be told denies, whatever the effect, for nobody knows what a later term would have been spared or needed for. It spends nothing.
func (v *Verdict) meetTerms(s *State, r *Request, accounts Accounts, now time.Time) {
	var lists [SubjectRoute + 1][]rule
	n := 0
	for kind, id := range [SubjectRoute + 1]string{
		SubjectPlan: v.Plan, SubjectLicense: v.License.ID, SubjectCustomer: v.License.Customer, SubjectRoute: v.Route.Key,
	} {
		if of := s.termed.of[kind][id]; len(of) > 0 {
			lists[n] = of
			n++
		}
	}
	if n == 0 {
		return
	}
	in := &termInput{state: s, request: r, verdict: v, accounts: accounts, now: now}
	var spent uint64
	for t := first(lists[:n]); t != nil; t = first(lists[:n]) {
		holds, cost, err := t.when.holds(in)
		if spent += cost; err != nil || spent > maxRequestCost {
			v.Policy = t.Key
			v.deny(TermError)
			return
		}
		if !holds {
			continue
		}
		switch t.Effect {
		case EffectForward:
			return
		case EffectCost:
			v.Cost = t.Cost
			continue
		case EffectThrottle:
			v.RetryAfter = t.RetryAfter
			v.deny(ThrottledByTerm)
		default:
			v.deny(BlockedByTerm)
		}
		v.Policy, v.Message = t.Key, t.Message
		return
	}
}

// first takes the next rule in order out of sorted lists; nil where all are at their end.
func first(lists [][]rule) *rule {
	var least *[]rule
	for i := range lists {
		if l := &lists[i]; len(*l) > 0 && (least == nil || (*l)[0].compare(&(*least)[0]) < 0) {
			least = l
		}
	}
	if least == nil {
		return nil
	}
	r := &(*least)[0]
	*least = (*least)[1:]
	return r
}
