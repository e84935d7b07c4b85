package decision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/dataplane/decision"
)

func routed(t failer, routes []*decision.Route, host, method, path string) string {
	t.Helper()
	e := decision.Edit(nil)
	for _, r := range routes {
		e.SetRoute(r)
	}
	s, err := e.Build(decision.Epoch{})
	if err != nil {
		t.Fatal(err)
	}
	v := decide(s, accounts{}, decision.Request{Host: host, Method: method, Path: path}, noon)
	if v.Route == nil {
		return ""
	}
	return v.Route.Key
}

func TestRoute_MostSpecificWins(t *testing.T) {
	t.Parallel()
	routes := []*decision.Route{
		{Key: "all", Path: "/*"},
		{Key: "root", Path: "/"},
		{Key: "users", Path: "/users/*"},
		{Key: "users-get", Path: "/users/*", Methods: []string{"GET", "HEAD"}},
		{Key: "user", Path: "/users/{id}"},
		{Key: "me", Path: "/users/me"},
		{Key: "user-orders", Path: "/users/{id}/orders"},
		{Key: "user-any", Path: "/users/{id}/{what}"},
		{Key: "user-orders-rest", Path: "/users/{id}/orders/*"},
		{Key: "host", Host: "api.example", Path: "/users/{id}", Methods: []string{"DELETE"}},
	}
	for _, tt := range []struct{ host, method, path, want string }{
		{"x", "GET", "/", "root"},
		{"x", "GET", "/other/", "all"},
		{"x", "GET", "/users", "users-get"},
		{"x", "POST", "/users", "users"},
		{"x", "GET", "/users/", "users-get"},
		{"x", "GET", "/users/1", "user"},
		{"x", "POST", "/users/me", "me"},
		{"x", "GET", "/users/1/", "users-get"},
		{"x", "GET", "/users/1/orders", "user-orders"},
		{"x", "GET", "/users/1/invoices", "user-any"},
		{"x", "GET", "/users/1/orders/2/lines", "user-orders-rest"},
		{"x", "GET", "/users/1/invoices/2", "users-get"},
		{"api.example", "DELETE", "/users/me", "host"},
		{"api.example", "GET", "/users/me", "me"},
		{"api.example:80", "DELETE", "/users/me", "me"},
		{"x", "GET", "/USERS/me", "all"},
		{"x", "GET", "", ""},
		{"x", "GET", "users/me", ""},
	} {
		if got := routed(t, routes, tt.host, tt.method, tt.path); got != tt.want {
			t.Errorf("%s %s%s: %q, want %q", tt.method, tt.host, tt.path, got, tt.want)
		}
	}
}

func TestRoute_TiesAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b decision.Route
		tie  bool
	}{
		{"same", decision.Route{Path: "/a"}, decision.Route{Path: "/a"}, true},
		{"other names of segments", decision.Route{Path: "/{a}/b"}, decision.Route{Path: "/{c}/b"}, true},
		{"a method in common", decision.Route{Path: "/a", Methods: []string{"GET", "PUT"}}, decision.Route{Path: "/a", Methods: []string{"PUT"}}, true},
		{"no method in common", decision.Route{Path: "/a", Methods: []string{"GET"}}, decision.Route{Path: "/a", Methods: []string{"PUT"}}, false},
		{"any method", decision.Route{Path: "/a", Methods: []string{"GET"}}, decision.Route{Path: "/a"}, false},
		{"other hosts", decision.Route{Host: "a", Path: "/a"}, decision.Route{Host: "b", Path: "/a"}, false},
		{"any host", decision.Route{Host: "a", Path: "/a"}, decision.Route{Path: "/a"}, false},
		{"with a rest", decision.Route{Path: "/a"}, decision.Route{Path: "/a/*"}, false},
		{"a literal and any segment", decision.Route{Path: "/{x}/b"}, decision.Route{Path: "/{x}/{y}"}, false},
	} {
		tt.a.Key, tt.b.Key = "a", "b"
		err := decision.CheckRoutes([]*decision.Route{&tt.a, &tt.b})
		if (err != nil) != tt.tie {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestParsePattern_RefusesWhatCannotBeMatched(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "a", "//", "/a//b", "/a/", "/a/./b", "/..", "//*", "/a//*", "/*/a", "/a*", "/{}", "/{a", "/a}", "/{a}b", "/{a*}", "/a?b", "/a#b", `/a\b`, "/**"} {
		if _, err := decision.ParsePattern(path); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
	for _, path := range []string{"/", "/*", "/a", "/{a}", "/a/*", "/{a}/*", "/a.b-c_d~e/%20"} {
		if _, err := decision.ParsePattern(path); err != nil {
			t.Error(err)
		}
	}
}

// matches says what a pattern means, in the words of the interface.
func matches(pattern, path string) bool {
	want := strings.Split(pattern[1:], "/")
	have := strings.Split(path[1:], "/")
	if want[len(want)-1] == "*" {
		want = want[:len(want)-1]
		if len(want) == 0 {
			return true
		}
		if len(have) > len(want) {
			have = have[:len(want)]
		}
	}
	return slices.EqualFunc(want, have, func(w, h string) bool {
		return w == h || strings.HasPrefix(w, "{") && h != ""
	})
}

func literalPrefix(pattern string) int {
	if i := strings.Index(pattern, "{"); i >= 0 {
		return i
	}
	return len(strings.TrimSuffix(pattern, "/*"))
}

func genPath(segments []string, rest bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom(segments), 0, 4).Draw(t, "segments")
		path := "/" + strings.Join(parts, "/")
		if rest && rapid.Bool().Draw(t, "rest") {
			path = strings.TrimSuffix(path, "/") + "/*"
		}
		return path
	})
}

// Exact host, then longest literal prefix, then method decides: found here by looking at every route.
func TestRoute_IsTheBestOfAllThatMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var routes []*decision.Route
		for i := range rapid.IntRange(1, 12).Draw(t, "routes") {
			r := &decision.Route{
				Key:     fmt.Sprintf("r%02d", i),
				Host:    rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "host"),
				Path:    genPath([]string{"a", "b", "ab", "{x}", "{y}"}, true).Draw(t, "path"),
				Methods: rapid.SampledFrom([][]string{nil, nil, {"GET"}, {"PUT"}, {"GET", "PUT"}}).Draw(t, "methods"),
			}
			if decision.CheckRoutes(append(routes, r)) == nil {
				routes = append(routes, r)
			}
		}
		host := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "to")
		method := rapid.SampledFrom([]string{"GET", "PUT", "POST"}).Draw(t, "method")
		path := genPath([]string{"a", "b", "ab", "c"}, false).Draw(t, "request")

		var all []*decision.Route
		for _, r := range routes {
			if (r.Host == "" || r.Host == host) && matches(r.Path, path) && (len(r.Methods) == 0 || slices.Contains(r.Methods, method)) {
				all = append(all, r)
			}
		}
		got := routed(t, routes, host, method, path)
		if len(all) == 0 {
			if got != "" {
				t.Fatalf("%s matches nothing, got %s", path, got)
			}
			return
		}
		i := slices.IndexFunc(all, func(r *decision.Route) bool { return r.Key == got })
		if i < 0 {
			t.Fatalf("got %q, which does not match", got)
		}
		for _, r := range all {
			switch g := all[i]; {
			case g.Host == "" && r.Host != "":
				t.Fatalf("got %+v, though %+v names the host", *g, *r)
			case g.Host != r.Host:
			case literalPrefix(r.Path) > literalPrefix(g.Path):
				t.Fatalf("got %+v, though %+v has the longer literal prefix", *g, *r)
			case r.Path == g.Path && len(g.Methods) == 0 && len(r.Methods) > 0:
				t.Fatalf("got %+v, though %+v names the method", *g, *r)
			}
		}
		slices.Reverse(routes)
		if again := routed(t, routes, host, method, path); again != got {
			t.Fatalf("got %s and, of the same routes, %s", got, again)
		}
	})
}
