package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/test/system"
)

// Where the last issuer was revoked no node can join. `up` says so and what to do at once, and does nothing of its own; with another key it starts.
func TestUp_SaysWhatToDoWhereNoIssuerCounts(t *testing.T) {
	dir := system.Dir(t)
	s := system.Start(t, dir, "--nodes", "1")
	data := s.Ready(t).DataDir
	tool := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), system.Binary(t), args...)
		cmd.Env = append(cmd.Environ(), "TOLLGATE_DATA_DIR="+data)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	shown, err := tool("trust", "show")
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	issuer := ""
	for line := range strings.Lines(shown) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "issuer" {
			issuer = f[0]
		}
	}
	if out, err := tool("trust", "revoke", issuer, "--last"); err != nil {
		t.Fatalf("revoke %q: %v\n%s", issuer, err, out)
	}
	s.Stop(t)
	out, err := tool("up", "--nodes", "1", "--data-dir", data, "--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	if err == nil || !strings.Contains(out, "node-1 cannot join") || !strings.Contains(out, "tollgate trust rotate issuer --out set.pem") {
		t.Fatalf("%v, want to be told what to do:\n%s", err, out)
	}
	if out, err := tool("trust", "rotate", "issuer", "--out", filepath.Join(dir, "set.pem")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, body, err := system.Get(system.Start(t, dir, "--nodes", "1").Ready(t).Nodes[0].OpsURL+"/readyz", "")
	if err != nil || code != 200 {
		t.Errorf("%d %s, %v", code, body, err)
	}
}
