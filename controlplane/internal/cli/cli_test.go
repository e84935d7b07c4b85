package cli_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/cli"
	"tollgate/controlplane/internal/connectapi"
	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/keyring"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/controlplane/internal/trust"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tollgate": tollgate})
}

// root is a root command as the real one is, with these verbs alone.
func root() *cobra.Command {
	root := &cobra.Command{Use: "tollgate", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(cli.Commands()...)
	return root
}

func tollgate() {
	if err := root().ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "tollgate:", err)
		os.Exit(cli.Status(err))
	}
}

// Each script runs against an API and a database of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("scripts: %v, %v", scripts, err)
	}
	// The scripts run in parallel within this group; the server has to outlive them.
	t.Run("each", func(t *testing.T) {
		for _, script := range scripts {
			t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
				t.Parallel()
				api := serve(t, server.Database(t))
				testscript.Run(t, testscript.Params{
					Files: []string{script},
					Setup: func(env *testscript.Env) error {
						env.Setenv("TOLLGATE_SERVER", api.url)
						env.Setenv("TOLLGATE_TOKEN", api.owner)
						env.Setenv("VIEWER", api.viewer)
						env.Setenv("TRUST", api.trust)
						return nil
					},
					Cmds:                map[string]func(*testscript.TestScript, bool, []string){"let": let},
					RequireExplicitExec: true,
					RequireUniqueNames:  true,
				})
			})
		}
	})
}

// let NAME PATTERN keeps in $NAME what the pattern's group matches in the last command's stdout.
func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: let NAME PATTERN")
	}
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// api is one, and the folder of the root that it trusts.
type api struct{ url, owner, viewer, trust string }

// serve runs the API on a database with one node and six decisions.
func serve(t *testing.T, database string) api {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	authority, err := trust.Open(filepath.Join(t.TempDir(), "trust"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := envelope.ParseRoot(authority.Root())
	if err != nil {
		t.Fatal(err)
	}
	ahead := fleet.Heads{
		Database: decision.Epoch{Generation: 1, Number: 30}, Stream: decision.Epoch{Generation: 1, Number: 2_000_080}, Lost: 50,
		Ahead:   "the rules stream is at epoch 1.2000080, ahead of the database at 1.30",
		Changes: []fleet.LostChange{{Kind: "api_key", ID: "key_1", What: "revoked", Epoch: decision.Epoch{Generation: 1, Number: 2_000_079}}},
	}
	svc, err := licensing.New(licensing.Config{
		Store: db.Licensing(), Encoder: rulefeed.Encoder{}, KeySets: keyring.OpenKeySet(envelope.NewVerifier(authority.Fleet(), root)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Bootstrap(t.Context(), licensing.Founding{}); err != nil {
		t.Fatal(err)
	}
	nodes := fleet.NewService(db.Nodes())
	h, err := connectapi.Handler(connectapi.Config{
		Licensing: svc, Metering: metering.NewService(db.Metering()), Fleet: nodes, Audit: audit.NewService(db.Audit()),
		Heads:    func(context.Context) (fleet.Heads, error) { return ahead, nil },
		AdminURL: "http://127.0.0.1:9080", Trust: func() []byte { return nil },
		Certified: func([]byte) (string, ed25519.PublicKey, error) { return "", nil, errors.New("no node joins here") },
		Others:    http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	a := api{url: server.URL, trust: authority.Dir()}
	for role, secret := range map[licensing.Role]*string{licensing.Owner: &a.owner, licensing.Viewer: &a.viewer} {
		if _, *secret, err = svc.CreateToken(t.Context(), licensing.Token{Role: role, DisplayName: "test " + string(role)}); err != nil {
			t.Fatal(err)
		}
	}
	report(t, nodes)
	decided(t, db)
	return a
}

// report is a node that is ahead of whatever the script writes, and says so each second.
func report(t *testing.T, nodes *fleet.Service) {
	t.Helper()
	said, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := uint64(1); ; n++ {
			err := nodes.Report(t.Context(), fleet.Node{
				Name: "node-1", Boot: "b1", Version: "v1", Epoch: decision.Epoch{Generation: 1, Number: 1_000_000}, State: "fresh", Report: n, KeySet: 1,
			})
			if n == 1 {
				said <- err
			}
			select {
			case <-t.Context().Done():
				return
			case <-tick.C:
			}
		}
	}()
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-done }) // The test's context is over by then.
}

// decided puts decisions into the ledger: five forwarded at noon of 24 November 2020, one throttled a minute later.
func decided(t *testing.T, db *postgres.DB) {
	t.Helper()
	noon := time.Date(2020, 11, 24, 12, 0, 0, 0, time.UTC)
	of := func(id string, after time.Duration) metering.Decision {
		return metering.Decision{
			ID: id, Time: noon.Add(after), Node: "node-1", Boot: "b1", Epoch: decision.Epoch{Generation: 1, Number: 7},
			Outcome: decision.Forward, Code: decision.OK, Customer: "cus_1", License: "lic_1", Plan: "free", PlanVersion: 3, Credential: "key_1",
			Route: "hello", Method: "GET", Path: "/hello",
		}
	}
	e := metering.NewEntries(8)
	for i := range 5 {
		d := of(fmt.Sprintf("dec_%d", i), time.Duration(i)*time.Second)
		e.Intent(d, []metering.Charge{{Meter: "requests", Feature: "calls", Units: 2}}, true)
		e.Settlement(metering.Settlement{Decision: d.ID, Code: decision.OK, Status: 200, UpstreamStatus: 200, Billed: true})
	}
	d := of("dec_9", time.Minute)
	d.Outcome, d.Code, d.Status, d.Policy, d.Path = decision.Throttle, decision.RateLimited, 429, "free-rate", "/hello\x1b[31m"
	e.Denial(d)
	answers, err := db.Ledger().Commit(t.Context(), []metering.Segment{{
		Place:   metering.Place{Node: "node-1", Boot: "b1", Number: 1, Hash: []byte("h"), SealedAt: noon},
		Entries: e,
	}})
	if err != nil || answers[0].Admission != metering.Committed {
		t.Fatalf("%v, %v", answers, err)
	}
}

// Every command that does something says what, and shows how.
func TestCommands_HaveHelpWithAnExample(t *testing.T) {
	t.Parallel()
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		if c.Short == "" || !strings.Contains(c.Example, "tollgate "+strings.Fields(strings.TrimPrefix(c.CommandPath(), "tollgate "))[0]) {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	for _, c := range root().Commands() {
		check(c)
	}
}

// Examples show flags and verbs that exist.
func TestCommands_ExamplesParse(t *testing.T) {
	t.Parallel()
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(line, "#")
			line, _, _ = strings.Cut(line, "<")
			words := split(line)
			if len(words) < 2 {
				continue
			}
			found, rest, err := root().Find(words[1:])
			// A command that takes arguments may have verbs beside them.
			if err != nil || found.HasSubCommands() && found.Use == found.Name() {
				t.Errorf("%s: %q leads to %s, %v", c.CommandPath(), line, found.CommandPath(), err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
			} else if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	for _, c := range root().Commands() {
		check(c)
	}
}

// split reads words as a shell does, with single quotes.
func split(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
