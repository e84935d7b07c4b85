package decision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Pattern is a parsed route path.
type Pattern struct {
	segments []string // "" stands for {x}.
	rest     bool     // Ends in /*.
	literal  int      // Bytes before the first wildcard.
}

// ParsePattern reads a route path: segments divided by "/", {x} for one segment, a final "/*" for any
// rest or none.
func ParsePattern(path string) (Pattern, error) {
	if !strings.HasPrefix(path, "/") {
		return Pattern{}, fmt.Errorf("path %q does not begin with /", path)
	}
	p := Pattern{literal: len(path)}
	body := path[1:]
	if body == "*" || strings.HasSuffix(body, "/*") {
		p.rest = true
		if body == "*" {
			p.literal = 1
			return p, nil
		}
		body = strings.TrimSuffix(body, "/*")
		p.literal = len(body) + 1
	}
	if body == "" && !p.rest {
		return p, nil
	}
	offset := 1
	for seg := range strings.SplitSeq(body, "/") {
		switch {
		case strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "}") && len(seg) > 2 && !strings.ContainsAny(seg[1:len(seg)-1], "{}*"):
			p.literal = min(p.literal, offset)
			p.segments = append(p.segments, "")
		case strings.ContainsAny(seg, "{}*?#\\"):
			return Pattern{}, fmt.Errorf("path %q: segment %q is neither literal nor {name}", path, seg)
		case seg == "", seg == ".", seg == "..":
			return Pattern{}, fmt.Errorf("path %q has an empty or dot segment", path)
		default:
			p.segments = append(p.segments, seg)
		}
		offset += len(seg) + 1
	}
	return p, nil
}

// match allocates nothing.
func (p *Pattern) match(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	rest := path[1:]
	done := rest == ""
	for _, want := range p.segments {
		if done {
			return false
		}
		seg, tail, more := strings.Cut(rest, "/")
		if want == "" && seg == "" || want != "" && seg != want {
			return false
		}
		rest, done = tail, !more
	}
	return done || p.rest
}

// sameShape reports whether two patterns match the same paths.
func (p *Pattern) sameShape(o *Pattern) bool {
	return p.rest == o.rest && slices.Equal(p.segments, o.segments)
}

// before is negative where p wins over o for a path that both match: the longest literal prefix, then the first literal
// segment where the other takes any, then more segments, then no rest.
func (p *Pattern) before(o *Pattern) int {
	if c := cmp.Compare(o.literal, p.literal); c != 0 {
		return c
	}
	for i := range min(len(p.segments), len(o.segments)) {
		if c := cmp.Compare(boolInt(p.segments[i] == ""), boolInt(o.segments[i] == "")); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(o.segments), len(p.segments)), cmp.Compare(boolInt(p.rest), boolInt(o.rest)))
}

type entry struct {
	route   *Route
	pattern Pattern
}

// router lists routes of each host, best first: by pattern, then one that names methods.
type router struct {
	hosts map[string][]entry
	any   []entry
}

func newRouter(routes map[string]*Route) (router, error) {
	t := router{hosts: map[string][]entry{}}
	for _, key := range slices.Sorted(maps.Keys(routes)) {
		r := routes[key]
		p, err := ParsePattern(r.Path)
		if err != nil {
			return router{}, fmt.Errorf("route %s: %w", key, err)
		}
		e := entry{r, p}
		if r.Host == "" {
			t.any = append(t.any, e)
		} else {
			t.hosts[r.Host] = append(t.hosts[r.Host], e)
		}
	}
	order := func(list []entry) error {
		slices.SortStableFunc(list, func(a, b entry) int {
			return cmp.Or(
				a.pattern.before(&b.pattern),
				cmp.Compare(boolInt(len(a.route.Methods) == 0), boolInt(len(b.route.Methods) == 0)),
			)
		})
		for i := range list {
			for j := i + 1; j < len(list); j++ {
				if list[i].ties(&list[j]) {
					return fmt.Errorf("routes %s and %s match the same requests", list[i].route.Key, list[j].route.Key)
				}
			}
		}
		return nil
	}
	if err := order(t.any); err != nil {
		return router{}, err
	}
	for _, list := range t.hosts {
		if err := order(list); err != nil {
			return router{}, err
		}
	}
	return t, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ties reports whether neither of two entries of one host wins over the other for some request: same
// pattern, and a method in common (both naming it, or both taking any).
func (e *entry) ties(o *entry) bool {
	a, b := e.route.Methods, o.route.Methods
	if (len(a) == 0) != (len(b) == 0) || !e.pattern.sameShape(&o.pattern) {
		return false
	}
	return len(a) == 0 || slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}

// CheckRoutes says why a set of routes cannot be served together: an unreadable pattern, or two routes
// that tie.
func CheckRoutes(routes []*Route) error {
	m := make(map[string]*Route, len(routes))
	for _, r := range routes {
		m[r.Key] = r
	}
	_, err := newRouter(m)
	return err
}

// route finds the route of a request; nil where none matches. An exact host wins over any.
func (t *router) route(host, method, path string) *Route {
	for _, list := range [2][]entry{t.hosts[host], t.any} {
		for i := range list {
			e := &list[i]
			if e.pattern.match(path) && (len(e.route.Methods) == 0 || slices.Contains(e.route.Methods, method)) {
				return e.route
			}
		}
	}
	return nil
}
