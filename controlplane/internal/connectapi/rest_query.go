package connectapi

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// queryKey is where rest leaves the query for queryCheck: the transcoder hands on a call without one.
type queryKey struct{}

// queryCheck stands behind the gate, and refuses a query that names what is no field, or that says again what path
// or body say: the transcoder answers 500 to the first, and lets the second win, so that
// PATCH /v1/customers/a?customer.id=b changed b.
type queryCheck struct {
	next   http.Handler
	rules  map[string]queryRule
	errors *connect.ErrorWriter
	log    *slog.Logger
}

// queryRule is what the query of a procedure may hold: fields of input that are not bound by path or body.
type queryRule struct {
	input protoreflect.MessageDescriptor
	// bound are paths in input. "*" is all.
	bound []string
}

// pathVariable is one of a rule's: {customer.id}.
var pathVariable = regexp.MustCompile(`\{([^{}=]+)[^{}]*\}`)

// queryRules are those of every procedure.
func queryRules(services []protoreflect.ServiceDescriptor) map[string]queryRule {
	all := map[string]queryRule{}
	for _, s := range services {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			http, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			rule := queryRule{input: m.Input()}
			if http.GetBody() != "" {
				rule.bound = append(rule.bound, http.GetBody())
			}
			_, path := pattern(http)
			for _, v := range pathVariable.FindAllStringSubmatch(path, -1) {
				rule.bound = append(rule.bound, v[1])
			}
			all[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = rule
		}
	}
	return all
}

func (c *queryCheck) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	query, _ := ctx.Value(queryKey{}).(url.Values)
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if err := c.rules[r.URL.Path].check(key, query[key]); err != nil {
			if err := c.errors.Write(w, r, mapError(ctx, c.log, r.URL.Path, nil, err)); err != nil {
				c.log.DebugContext(ctx, "refusal not sent", "request_id", requestID(ctx), "error", err)
			}
			return
		}
	}
	c.next.ServeHTTP(w, r)
}

func (q queryRule) check(key string, values []string) error {
	var path []string
	var field protoreflect.FieldDescriptor
	message := q.input
	for part := range strings.SplitSeq(key, ".") {
		if message == nil || field != nil && field.Cardinality() == protoreflect.Repeated {
			return invalidField(key, "there is no such parameter")
		}
		if field = message.Fields().ByJSONName(part); field == nil {
			field = message.Fields().ByName(protoreflect.Name(part))
		}
		if field == nil {
			return invalidField(key, "there is no such parameter")
		}
		path, message = append(path, string(field.Name())), field.Message()
	}
	name := strings.Join(path, ".")
	if slices.ContainsFunc(q.bound, func(b string) bool { return b == "*" || within(name, b) || within(b, name) }) {
		return invalidField(name, "belongs in the path or the body, not in the query")
	}
	if len(values) > 1 && !field.IsList() {
		return invalidField(name, "is there more than once")
	}
	return nil
}

// within reports whether a path is another, or lies in it.
func within(path, other string) bool { return strings.HasPrefix(path+".", other+".") }

// pattern is what a rule matches. Without a rule both are empty.
func pattern(rule *annotations.HttpRule) (method, path string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	}
	return "", ""
}
