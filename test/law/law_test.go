package law

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Dir        string
}

func TestLaw_NoPackageImportsWhatItMustNot(t *testing.T) {
	t.Parallel()
	packages := list(t)
	for _, p := range packages {
		for _, imported := range p.Imports {
			if why := forbidden(p.ImportPath, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

func TestLaw_CatchesAKnownBreach(t *testing.T) {
	t.Parallel()
	for _, breach := range [][2]string{
		{"tollgate/dataplane/decision", "tollgate/gen/go/tollgate/rules/v1"},
		{"tollgate/dataplane/internal/front", "github.com/nats-io/nats.go/jetstream"},
		{"tollgate/controlplane/internal/licensing", "github.com/jackc/pgx/v5"},
		{"tollgate/dataplane/internal/front", "tollgate/dataplane/internal/spool"},
		{"tollgate/dataplane", "tollgate/controlplane"},
	} {
		if forbidden(breach[0], breach[1]) == "" {
			t.Errorf("%s may import %s", breach[0], breach[1])
		}
	}
	if why := forbidden("tollgate/dataplane/decision", "time"); why != "" {
		t.Errorf("the heart may not import time: %s", why)
	}
}

// Every adapter named in the law exists: a renamed package must not slip out of it.
func TestLaw_NamesPackagesThatExist(t *testing.T) {
	t.Parallel()
	var have []string
	for _, p := range list(t) {
		have = append(have, p.ImportPath)
	}
	for _, a := range Adapters {
		if !slices.Contains(have, a) {
			t.Errorf("the law names %s, which does not exist", a)
		}
	}
}

func forbidden(from, to string) string {
	for _, b := range Bans {
		if !under(from, b.From) || !reaches(to, b.To) {
			continue
		}
		let := slices.ContainsFunc(b.Except, func(e string) bool {
			return under(from, e) && e != b.From || under(to, e) || e == "std" && isStandard(to)
		})
		if !let {
			return b.Reason
		}
	}
	if slices.Contains(Adapters, from) && slices.Contains(Adapters, to) && from != to {
		return "adapters never import each other; Run wires them"
	}
	return ""
}

func reaches(to, prefix string) bool { return prefix == "any" || under(to, prefix) }

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

// isStandard: paths of the standard library have no dot in their first element, and are not ours.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != "tollgate"
}

func list(t *testing.T) []listed {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for _, module := range []string{"controlplane", "dataplane", "gen", "migrations", "test", "web"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Dir", "./...")
		cmd.Dir = filepath.Join(root, module)
		out, err := cmd.Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				t.Fatalf("go list in %s: %s", module, exit.Stderr)
			}
			t.Fatal(err)
		}
		dec := json.NewDecoder(strings.NewReader(string(out)))
		for {
			var p listed
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}
