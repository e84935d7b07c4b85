package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tollgate/controlplane/internal/postgres/pgtest"
)

// ids are what the page calls the ids that commands print.
var ids = map[string]*regexp.Regexp{
	"$CUSTOMER": regexp.MustCompile(`\bcus_\w+`), "$LICENSE": regexp.MustCompile(`\blic_\w+`), "$OVERRIDE": regexp.MustCompile(`\bovr_\w+`),
}

// Each example of the page on which rule wins says what the real commands say.
func TestDocs_ExamplesOfWhichRuleWinsAreTrue(t *testing.T) {
	page, err := os.ReadFile("../../../docs/concepts/resolution.md")
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, pgtest.Start(t).Database(t))
	t.Setenv("TOLLGATE_SERVER", server.url)
	t.Setenv("TOLLGATE_TOKEN", server.owner)
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(file, []byte(blocks(string(page), "yaml")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run([]string{"apply", "-f", file}); !strings.Contains(out, "publish") {
		t.Fatal(out)
	}
	named, examples := map[string]string{}, 0
	for _, block := range blocks(string(page), "console") {
		for example := range strings.SplitSeq(block, "$ tollgate ") {
			command, want, _ := strings.Cut(example, "\n")
			if command == "" {
				continue
			}
			examples++
			for name, id := range named {
				command, want = strings.ReplaceAll(command, name, id), strings.ReplaceAll(want, name, id)
			}
			got := run(split(command))
			if want == "" && strings.HasPrefix(got, "tollgate: ") || want != "" && !fits(want, got) {
				t.Errorf("$ tollgate %s\ngot\n%s\nwant\n%s", command, got, want)
			}
			for name, form := range ids {
				if id := form.FindString(got); id != "" && want == "" {
					named[name] = id
				}
			}
		}
	}
	if examples < 20 {
		t.Errorf("the page has %d examples: are they still found?", examples)
	}
}

// run is what a command prints, or says when it fails.
func run(args []string) string {
	var out, errs bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	if err := cmd.Execute(); err != nil {
		return fmt.Sprintln("tollgate:", err)
	}
	return out.String()
}

// blocks are the fenced blocks of a language.
func blocks(page, language string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

// fits compares words line by line; … is any one of them.
func fits(want, got string) bool {
	w, g := strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n")
	if len(w) != len(g) {
		return false
	}
	for i := range w {
		words := strings.Fields(w[i])
		for j, word := range words {
			words[j] = strings.ReplaceAll(regexp.QuoteMeta(word), "…", `\S+`)
		}
		if !regexp.MustCompile(`^` + strings.Join(words, ` +`) + ` *$`).MatchString(g[i]) {
			return false
		}
	}
	return true
}
