package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// proxy is the binary of a node alone, beside the one under test.
func proxy(t *testing.T) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(system.Binary(t)), "tollgate-proxy")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("`make build` builds it: %v", err)
	}
	return path
}

// hand is a node that is started by hand.
type hand struct {
	dir, root, name string
	proxyURL, ops   string
}

func newHand(t *testing.T, r system.Ready, name string) *hand {
	t.Helper()
	show := exec.CommandContext(t.Context(), system.Binary(t), "trust", "show", "--root", "--dir", filepath.Join(r.DataDir, "trust"))
	root, err := show.Output()
	if err != nil {
		t.Fatal(err)
	}
	return &hand{dir: t.TempDir(), root: strings.TrimSpace(string(root)), name: name}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (h *hand) command(ctx context.Context, t *testing.T, token string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	addr, ops := freePort(t), freePort(t)
	h.proxyURL, h.ops = "http://"+addr, "http://"+ops
	cmd := exec.CommandContext(ctx, proxy(t), "--node-name", h.name, "--data-dir", h.dir, "--trust-root", h.root, "--proxy-addr", addr, "--ops-addr", ops, "--cold-wait", "5s")
	cmd.Env = os.Environ()
	if token != "" {
		cmd.Env = append(cmd.Env, "TOLLGATE_JOIN_TOKEN="+token)
	}
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// starts runs the node until the returned function stops it.
func (h *hand) starts(t *testing.T, token string) (stop func()) {
	t.Helper()
	cmd, out := h.command(context.WithoutCancel(t.Context()), t, token)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the node ended with %v:\n%s", err, out)
			}
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			t.Error("the node does not stop")
		}
	}
	t.Cleanup(stop)
	system.Eventually(t, 2*time.Minute, h.name+" is ready", func() error {
		code, body, err := system.Get(h.ops+"/readyz", "")
		if err == nil && code != http.StatusOK {
			err = errors.New(body)
		}
		return err
	})
	return stop
}

// refused runs the node, which ends by itself.
func (h *hand) refused(t *testing.T, token, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd, out := h.command(ctx, t, token)
	if err := cmd.Run(); err == nil || ctx.Err() != nil || !strings.Contains(out.String(), why) {
		t.Errorf("want an end with %q: %v\n%s", why, err, out)
	}
	if strings.Contains(out.String(), token) {
		t.Errorf("the token is in what the node says:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "node.cert")); err == nil {
		t.Error("there is a certificate")
	}
}

func token(t *testing.T, c *system.Client, req *adminv1.CreateJoinTokenRequest) *adminv1.CreateJoinTokenResponse {
	t.Helper()
	res, err := c.Fleet.CreateJoinToken(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A node that is given a join token and the root's public key alone becomes part of a running system.
func TestJoin_ANodeComesByATokenAlone(t *testing.T) {
	s := system.Start(t, system.Dir(t), "--nodes", "1")
	r, c := s.Ready(t), s.Client(t)
	made := token(t, c, &adminv1.CreateJoinTokenRequest{Node: "node-9"})
	h := newHand(t, r, "node-9")
	stop := h.starts(t, made.GetSecret())
	listed := func() error {
		res, err := c.Fleet.ListNodes(t.Context(), &adminv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		for _, n := range res.GetNodes() {
			if n.GetName() == "node-9" && n.GetState() == "fresh" {
				return nil
			}
		}
		return fmt.Errorf("nodes %v", res.GetNodes())
	}
	system.Eventually(t, time.Minute, "node-9 is listed as fresh", listed)
	serves := func() {
		t.Helper()
		code, body, err := system.Get(h.proxyURL+"/hello", r.Demo.Keys["pro"])
		if err != nil || code != http.StatusOK {
			t.Errorf("%d %s, %v", code, body, err)
		}
	}
	serves()
	// What it served is metered: its log is taken, so its certificate counts.
	system.Eventually(t, time.Minute, "its log has its receipts", func() error {
		if n := system.Metric(t, h.ops, "tollgate_spool_pending_segments", ""); n != 0 {
			return fmt.Errorf("%d segments pending", n)
		}
		found, err := c.Decisions.SearchDecisions(t.Context(), &adminv1.SearchDecisionsRequest{Filter: `node = "node-9"`})
		if err == nil && len(found.GetDecisions()) == 0 {
			err = errors.New("no decision of node-9")
		}
		return err
	})
	stop()
	// Its identity is its own: no token is needed, and a used one does no harm.
	stop = h.starts(t, "")
	serves()
	stop()
	stop = h.starts(t, made.GetSecret())
	serves()
	stop()

	used := newHand(t, r, "node-9")
	used.refused(t, made.GetSecret(), "used up")
	revoked := token(t, c, &adminv1.CreateJoinTokenRequest{})
	if _, err := c.Fleet.RevokeJoinToken(t.Context(), &adminv1.RevokeJoinTokenRequest{Id: revoked.GetJoinToken().GetId()}); err != nil {
		t.Fatal(err)
	}
	newHand(t, r, "node-8").refused(t, revoked.GetSecret(), "revoked")
	brief := token(t, c, &adminv1.CreateJoinTokenRequest{Ttl: durationpb.New(time.Second)})
	system.Eventually(t, time.Minute, "the token has expired", func() error {
		if until := time.Until(brief.GetJoinToken().GetExpireTime().AsTime()); until >= 0 {
			return fmt.Errorf("in %s", until)
		}
		return nil
	})
	newHand(t, r, "node-8").refused(t, brief.GetSecret(), "expired")
	// A token for any name takes none that is held.
	free := token(t, c, &adminv1.CreateJoinTokenRequest{})
	newHand(t, r, "node-1").refused(t, free.GetSecret(), "another node is called node-1")
	wrong := newHand(t, r, "node-7")
	wrong.root = strings.Repeat("A", 43)
	wrong.refused(t, free.GetSecret(), "trust_root")
}
