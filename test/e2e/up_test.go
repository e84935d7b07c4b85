package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// One system's life: what it says of itself, its processes' deaths, its own death, a second start, and its end with a
// process that does not answer.
func TestUp_KeepsItsWordFromStartToEnd(t *testing.T) {
	dir := system.Dir(t)
	s := system.Start(t, dir, "--controlplanes", "2")
	first := s.Ready(t)
	t.Run("the ready file is right", func(t *testing.T) { readyFileIsRight(t, s) })
	t.Run("the printed commands answer as printed", func(t *testing.T) { commandsAnswerAsPrinted(t, s) })
	t.Run("the admin address answers while one control plane lives", func(t *testing.T) { adminOutlivesAControlPlane(t, s) })
	t.Run("the sample service comes back", func(t *testing.T) {
		old := s.Kill(t, "upstream")
		s.WaitBack(t, 30*time.Second, "upstream", old)
		expect(t, s.Ready(t), first.Demo.Keys["enterprise"], "/hello", http.StatusOK)
	})
	people := peopleChangeTheDemo(t, s)
	t.Run("killed, it leaves nothing", func(t *testing.T) {
		last := s.Ready(t)
		if err := syscall.Kill(s.Up(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.Wait(t, 10*time.Second)
		system.Eventually(t, 10*time.Second, "nothing is left", last.Left)
	})

	again := system.Start(t, dir)
	second := again.Ready(t)
	if second.AdminToken != first.AdminToken {
		t.Error("a second start made another token")
	}
	for name, key := range first.Demo.Keys {
		if same := second.Demo.Keys[name] == key; same != (name != people.revoked) {
			t.Errorf("second start: the key of %s is the same: %v", name, same)
		}
	}
	for _, name := range []string{"enterprise", people.revoked} {
		expect(t, second, second.Demo.Keys[name], "/hello", http.StatusOK)
	}
	plan, err := again.Client(t).Catalog.GetPlan(t.Context(), &adminv1.GetPlanRequest{Key: people.plan})
	if err != nil || plan.GetPlan().GetPublishedVersion() != people.version {
		t.Errorf("second start: plan %s has version %d, %v; people had published %d", people.plan, plan.GetPlan().GetPublishedVersion(), err, people.version)
	}
	if n := len(second.ControlPlanes); n != 1 {
		t.Errorf("%d control planes", n)
	}
	// One that is dead and one that is suspended must not keep the rest from ending.
	again.Kill(t, "nats")
	if err := syscall.Kill(again.PID(t, "node-1"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	last := again.Ready(t)
	again.Stop(t)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if err := last.Left(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ready.json")); !os.IsNotExist(err) {
		t.Errorf("the ready file is there after the end: %v", err)
	}
}

// changes are what people did to the demo between two starts.
type changes struct {
	revoked string // Whose key.
	plan    string
	version uint32
}

func peopleChangeTheDemo(t *testing.T, s *system.System) changes {
	t.Helper()
	c := s.Client(t)
	keys, err := c.Keys.ListApiKeys(t.Context(), &adminv1.ListApiKeysRequest{Filter: fmt.Sprintf("license = %q", licenseOf(t, c, "pro-co").GetId())})
	if err != nil || len(keys.GetApiKeys()) != 1 {
		t.Fatalf("keys of pro-co: %v, %v", keys, err)
	}
	if _, err := c.Keys.RevokeApiKey(t.Context(), &adminv1.RevokeApiKeyRequest{Id: keys.GetApiKeys()[0].GetId()}); err != nil {
		t.Fatal(err)
	}
	draft, err := c.Catalog.CreatePlanDraft(t.Context(), &adminv1.CreatePlanDraftRequest{Plan: "free"})
	if err != nil {
		t.Fatal(err)
	}
	v := draft.GetPlanVersion()
	v.Entitlements = append(v.Entitlements, &adminv1.Entitlement{Feature: "reports", Enabled: true})
	if _, err := c.Catalog.UpdatePlanDraft(t.Context(), &adminv1.UpdatePlanDraftRequest{PlanVersion: v}); err != nil {
		t.Fatal(err)
	}
	_, err = c.Catalog.PublishPlanVersion(t.Context(), &adminv1.PublishPlanVersionRequest{
		Plan: "free", Version: v.GetVersion(), Migration: adminv1.Migration_MIGRATION_NEW_ONLY,
	})
	if err != nil {
		t.Fatal(err)
	}
	return changes{revoked: "pro", plan: "free", version: v.GetVersion()}
}

// The rest runs on, and is said so, where the dead stay dead.
func TestUp_NoRespawnLeavesTheDeadDead(t *testing.T) {
	s := system.Start(t, system.Dir(t), "--no-respawn")
	r := s.Ready(t)
	s.Kill(t, "node-1")
	system.Eventually(t, 10*time.Second, "the death is told", func() error {
		if out := s.Output(t); !strings.Contains(out, "stays dead") {
			return errors.New(out)
		}
		return nil
	})
	for range 20 {
		// The kernel leads some of them to the dead node's socket.
		if status, body, err := system.Get(r.ProxyURL+"/hello", r.Demo.Keys["enterprise"]); err != nil || status != http.StatusOK {
			t.Errorf("%d %s %v", status, body, err)
		}
	}
	if n := strings.Count(s.Output(t), "stays dead"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, s.Output(t))
	}
	s.Stop(t)
	if err := r.Left(); err != nil {
		t.Error(err)
	}
}

func readyFileIsRight(t *testing.T, s *system.System) {
	r := s.Ready(t)
	if st, err := os.Stat(filepath.Join(s.Dir, "ready.json")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	var names []string
	for _, list := range [][]system.Process{r.Processes, r.ControlPlanes, r.Nodes} {
		for _, p := range list {
			names = append(names, p.Name)
			// The server itself, not a wrapper: its parent is `up`.
			if parent := parentOf(t, p.PID); parent != s.Up() {
				t.Errorf("%s (pid %d) is a child of %d, not of up (%d)", p.Name, p.PID, parent, s.Up())
			}
		}
	}
	if want := []string{"postgres", "nats", "upstream", "cp-1", "cp-2", "node-1", "node-2"}; !slices.Equal(names, want) {
		t.Errorf("processes %v, want %v", names, want)
	}
	if exe := commandOf(t, s.PID(t, "postgres")); filepath.Base(exe) != "postgres" {
		t.Errorf("postgres's pid runs %s", exe)
	}
	if out, err := exec.CommandContext(t.Context(), "psql", r.DatabaseURL, "-Atc", "select count(*) from customer").Output(); err != nil || strings.TrimSpace(string(out)) != "4" {
		t.Errorf("database_url: %q, %v; want 4 customers", out, err)
	}
	nc, err := nats.Connect(r.NATSURL, r.AsAdmin()...)
	if err != nil {
		t.Fatalf("nats_admin_creds: %v", err)
	}
	nc.Close()
	for name, status := range map[string]int{"free": 200, "pro": 200, "enterprise": 200, "expired": 403} {
		expect(t, r, r.Demo.Keys[name], "/hello", status)
	}
	// The context file leads the CLI to the system.
	cli := exec.CommandContext(t.Context(), system.Binary(t), "fleet", "-o", "json")
	cli.Env = append(os.Environ(), "TOLLGATE_DATA_DIR="+r.DataDir)
	out, err := cli.Output()
	var fleet struct{ Nodes []struct{ Name string } }
	if err != nil || json.Unmarshal(out, &fleet) != nil || len(fleet.Nodes) != 2 {
		t.Errorf("tollgate fleet: %s, %v; want two nodes", out, err)
	}
	// Every user of the machine may read command lines.
	for _, list := range [][]system.Process{r.Processes, r.ControlPlanes, r.Nodes} {
		for _, p := range list {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(line), r.AdminToken) || strings.Contains(string(line), passwordOf(t, r)) {
				t.Errorf("the command line of %s holds a secret", p.Name)
			}
		}
	}
}

var printed = regexp.MustCompile(`(?m)^# (.*)\n(curl .*)$`)

func commandsAnswerAsPrinted(t *testing.T, s *system.System) {
	commands := printed.FindAllStringSubmatch(s.Output(t), -1)
	seen := map[string]bool{}
	for _, c := range commands {
		says, command := c[1], c[2]
		out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
			continue
		}
		want := regexp.MustCompile(`\d{3}`).FindAllString(says, -1)
		for _, status := range want {
			seen[status] = true
			if !strings.Contains(string(out), status) {
				t.Errorf("%s\nsays %q and answers\n%s", command, says, out)
			}
		}
		if code := regexp.MustCompile(`[a-z]+_[a-z_]+`).FindString(says); !strings.Contains(string(out), code) {
			t.Errorf("%s\nsays %q and answers\n%s", command, says, out)
		}
	}
	for _, status := range []string{"200", "429", "403"} {
		if !seen[status] {
			t.Errorf("no printed command shows %s:\n%s", status, s.Output(t))
		}
	}
}

func adminOutlivesAControlPlane(t *testing.T, s *system.System) {
	r := s.Ready(t)
	old := s.Kill(t, "cp-1")
	for range 20 {
		if status, body, err := system.Get(r.AdminURL+"/", ""); err != nil || status != http.StatusOK {
			t.Errorf("the admin address: %d %s %v", status, body, err)
		}
	}
	s.WaitBack(t, 30*time.Second, "cp-1", old)
}

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return parent
}

func commandOf(t *testing.T, pid int) string {
	t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func passwordOf(t *testing.T, r system.Ready) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.DataDir, "postgres-password"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}
