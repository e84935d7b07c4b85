package system

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tollgate/test/relay"
)

// Divided is a system whose nodes are connected to a NATS server of their own. All that they hear of the control plane, and it of them, passes through Relay.
type Divided struct {
	*System
	Relay *relay.Relay
	// Nodes are the nodes by name.
	Nodes map[string]*Node
	// Side is the nodes' NATS server, for an administrator.
	Side relay.Side
}

// Divide starts a system and puts a relay between its control plane and its nodes.
func Divide(t testing.TB, dir string, args ...string) *Divided {
	t.Helper()
	d := &Divided{System: Start(t, dir, append([]string{"--no-respawn"}, args...)...), Nodes: map[string]*Node{}}
	r := d.Ready(t)
	d.Side = relay.Side{URL: secondNATS(t, r), Options: r.AsAdmin()}
	d.Relay = relay.Start(t, relay.Side{URL: r.NATSURL, Options: r.AsAdmin()}, d.Side)
	for _, p := range r.Nodes {
		n := &Node{Process: p, args: Arguments(t, p.PID), nats: r.NATSURL, t: t}
		if !slices.ContainsFunc(n.args, func(a string) bool { return strings.Contains(a, n.nats) }) {
			t.Fatalf("%s is not told where NATS is on its command line: %q", p.Name, n.args)
		}
		n.Stop(t)
		d.Nodes[p.Name] = n.Elsewhere(t, d.Side.URL)
	}
	for _, n := range d.Nodes {
		Eventually(t, 30*time.Second, n.Name+" is fresh on its own NATS", func() error { return n.Is(t, "fresh") })
	}
	return d
}

// AsAdmin is how who may do anything connects to NATS.
func (r Ready) AsAdmin() []nats.Option {
	return []nats.Option{nats.UserCredentials(r.NATSAdminCreds), nats.RootCAs(r.NATSCA)}
}

// secondNATS starts a NATS server with the identity of the system's own, so that the same credentials count, and an empty store.
func secondNATS(t testing.TB, r Ready) (url string) {
	t.Helper()
	from, dir := filepath.Join(r.DataDir, "nats"), filepath.Join(Dir(t), "nats")
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == "store" {
			return fs.SkipDir
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(dir, name), 0o700)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), raw, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	run(t, Binary(t), "nats-server", "--dir", dir, "--addr", addr)
	Eventually(t, 20*time.Second, "the second NATS listens", func() error {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	})
	return strings.Replace(r.NATSURL, hostOf(r.NATSURL), addr, 1)
}

func hostOf(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// run runs a process until the test ends, and shows what it said where the test fails.
func run(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	out, err := os.CreateTemp(t.TempDir(), "out-*")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }() // Its end is looked for by its id.
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended.
		if !t.Failed() {
			return
		}
		if raw, err := os.ReadFile(out.Name()); err == nil {
			t.Logf("%q said:\n%s", args[:2], raw[max(0, len(raw)-4000):])
		}
	})
	return cmd
}

// Node is a node's process that a test ends and begins anew.
type Node struct {
	Process
	args []string
	nats string
	// t is the test that the process ends with.
	t testing.TB
}

// Begin starts the process anew, on what the last one left.
func (n *Node) Begin(t testing.TB) {
	t.Helper()
	n.PID = run(n.t, n.args...).Process.Pid
}

// Elsewhere starts the node, whose process has ended, with another NATS server.
func (n *Node) Elsewhere(t testing.TB, natsURL string) *Node {
	t.Helper()
	other := &Node{Process: n.Process, args: slices.Clone(n.args), nats: natsURL, t: n.t}
	for i, a := range other.args {
		other.args[i] = strings.ReplaceAll(a, n.nats, natsURL)
	}
	other.Begin(t)
	return other
}

// Stop ends the process as it should.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(n.PID, syscall.SIGTERM); err != nil {
		t.Fatalf("end %s: %v", n.Name, err)
	}
	Eventually(t, 40*time.Second, n.Name+" ends", func() error {
		if Alive(n.PID) {
			return fmt.Errorf("process %d lives", n.PID)
		}
		return nil
	})
}

// Is says that the node's rules are in another state.
func (n *Node) Is(t testing.TB, state string) error {
	t.Helper()
	if code, _, err := Get(n.OpsURL+"/healthz", ""); err != nil || code != 200 {
		return fmt.Errorf("%s does not answer: %d %w", n.Name, code, err)
	}
	if Metric(t, n.OpsURL, "tollgate_rules_state", fmt.Sprintf("state=%q", state)) != 1 {
		return fmt.Errorf("the rules of %s are not %s", n.Name, state)
	}
	return nil
}

// Epoch is the number of the epoch that the node enforces.
func (n *Node) Epoch(t testing.TB) int64 {
	t.Helper()
	return Metric(t, n.OpsURL, "tollgate_rules_epoch", "")
}

// Refused is how much the node has refused, by reason.
func (n *Node) Refused(t testing.TB, reason string) int64 {
	t.Helper()
	return Metric(t, n.OpsURL, "tollgate_rules_rejected_total", fmt.Sprintf("reason=%q", reason))
}

// Arguments is how a process was started, without the sockets that it shares with others.
func Arguments(t testing.TB, pid int) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "cmdline"))
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	skip := false
	for _, a := range strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00") {
		shared := strings.HasPrefix(a, "--shared-")
		if !skip && !shared {
			args = append(args, a)
		}
		skip = shared && !strings.Contains(a, "=")
	}
	return args
}
