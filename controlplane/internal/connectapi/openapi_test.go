package connectapi

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"tollgate/gen"
)

// openAPIDocument is what the tests look at of gen.OpenAPI.
type openAPIDocument struct {
	Version    string              `yaml:"openapi"`
	Security   []map[string]any    `yaml:"security"`
	Paths      map[string]pathItem `yaml:"paths"`
	Components struct {
		Schemas         map[string]any `yaml:"schemas"`
		SecuritySchemes map[string]struct {
			Type   string `yaml:"type"`
			Scheme string `yaml:"scheme"`
		} `yaml:"securitySchemes"`
	} `yaml:"components"`
}

// pathItem are operations by method, in lower case.
type pathItem map[string]struct {
	OperationID string `yaml:"operationId"`
	Description string `yaml:"description"`
	Parameters  []struct {
		Name string `yaml:"name"`
		In   string `yaml:"in"`
	} `yaml:"parameters"`
	Responses map[string]any `yaml:"responses"`
}

func parseOpenAPI(t *testing.T) (doc openAPIDocument) {
	t.Helper()
	if err := yaml.Unmarshal(gen.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPI_DescribesEveryCall(t *testing.T) {
	t.Parallel()
	doc := parseOpenAPI(t)
	described := 0
	for _, item := range doc.Paths {
		described += len(item)
	}
	calls := restCalls(t)
	if described != len(calls) {
		t.Errorf("%d operations, %d calls", described, len(calls))
	}
	for _, c := range calls {
		var variables []string
		for _, v := range pathVariable.FindAllStringSubmatch(c.template, -1) {
			variables = append(variables, v[1][strings.LastIndex(v[1], ".")+1:])
		}
		path := pathVariable.ReplaceAllStringFunc(c.template, func(v string) string {
			return "{" + strings.Trim(v[strings.LastIndex(v, ".")+1:], "{}") + "}"
		})
		op, there := doc.Paths[path][strings.ToLower(c.method)]
		if !there {
			t.Errorf("%s is not at %s %s", c.procedure, c.method, path)
			continue
		}
		if strings.TrimSpace(op.Description) == "" {
			t.Errorf("%s has no comment in its proto, so no description", c.procedure)
		}
		if want := strings.NewReplacer("/tollgate.admin.v1.", "", "/", "_").Replace(c.procedure); op.OperationID != want {
			t.Errorf("%s has the id %s", c.procedure, op.OperationID)
		}
		var named []string
		for _, p := range op.Parameters {
			if p.In == "path" {
				named = append(named, p.Name)
			}
		}
		if !slices.Equal(named, variables) {
			t.Errorf("%s has the variables %q, and describes %q", path, variables, named)
		}
		for _, answer := range []string{"200", "default"} {
			if op.Responses[answer] == nil {
				t.Errorf("%s: no answer %s", c.procedure, answer)
			}
		}
	}
}

func TestOpenAPI_HoldsTogether(t *testing.T) {
	t.Parallel()
	doc := parseOpenAPI(t)
	if !strings.HasPrefix(doc.Version, "3.1.") {
		t.Errorf("version %s", doc.Version)
	}
	for _, s := range doc.Security {
		for name := range s {
			if scheme := doc.Components.SecuritySchemes[name]; scheme.Type != "http" || scheme.Scheme != "bearer" {
				t.Errorf("security %s: %v", name, scheme)
			}
		}
	}
	if len(doc.Security) == 0 {
		t.Error("no security")
	}
	// Templates that differ in the names of their variables alone are one path.
	seen := map[string]string{}
	for path := range doc.Paths {
		bare := pathVariable.ReplaceAllString(path, "{}")
		if other, twice := seen[bare]; twice {
			t.Errorf("%s and %s are the same path", path, other)
		}
		seen[bare] = path
	}
	var whole any
	if err := yaml.Unmarshal(gen.OpenAPI, &whole); err != nil {
		t.Fatal(err)
	}
	refs := references(whole)
	if len(refs) == 0 {
		t.Error("no references")
	}
	for _, ref := range refs {
		name, local := strings.CutPrefix(ref, "#/components/schemas/")
		if !local || doc.Components.Schemas[name] == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	}
}

// references are all $ref in a document.
func references(v any) (refs []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if ref, ok := value.(string); ok && key == "$ref" {
				refs = append(refs, ref)
			}
			refs = append(refs, references(value)...)
		}
	case []any:
		for _, value := range v {
			refs = append(refs, references(value)...)
		}
	}
	return refs
}
