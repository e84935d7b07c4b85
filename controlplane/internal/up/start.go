package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/natsserver"
	"tollgate/controlplane/internal/trust"
	"tollgate/controlplane/internal/up/demo"
	"tollgate/controlplane/internal/up/process"
)

// readyWithin bounds how long one child may take to be ready the first time.
const readyWithin = 2 * time.Minute

// start brings everything up. What it started before it failed is in s, for stop.
func (s *system) start(ctx context.Context) error {
	if err := s.claim(ctx); err != nil {
		return err
	}
	token, err := s.dir.secret("admin-token", licensing.NewTokenSecret)
	if err != nil {
		return err
	}
	s.authority, err = trust.Open(s.dir.join("trust"))
	if err != nil {
		return err
	}
	s.identity, err = natsserver.Open(s.dir.join("nats"), s.natsHosts()...)
	if err != nil {
		return err
	}
	s.file.AdminToken, s.file.DataDir = token, s.dir.path
	if s.file.NATSAdminCreds, err = s.identity.Credentials("admin"); err != nil {
		return err
	}
	s.file.NATSCA = s.identity.CA()
	database, err := s.startDatabase(ctx)
	if err != nil {
		return err
	}
	if err := s.startNATS(); err != nil {
		return err
	}
	if err := s.startUpstream(); err != nil {
		return err
	}
	for _, c := range []*process.Child{s.postgres, s.nats, s.upstream} {
		if err := s.await(ctx, c); err != nil {
			return err
		}
	}
	if err := s.migrate(ctx, database); err != nil {
		return err
	}
	if err := s.startPlanes(database); err != nil {
		return err
	}
	if err := s.startNodes(ctx); err != nil {
		return err
	}
	return s.finish(ctx)
}

// finish waits for control planes and nodes, and makes the demo meanwhile.
func (s *system) finish(ctx context.Context) error {
	for _, p := range s.planes {
		if err := s.await(ctx, p.child); err != nil {
			return err
		}
	}
	if err := s.writeContext(); err != nil {
		return err
	}
	api := demo.Dial(s.file.AdminURL, s.file.AdminToken)
	if err := api.Authenticate(ctx); err != nil {
		return fmt.Errorf("the API does not accept the token in %s: %w: delete the file, and another is made", s.dir.join("admin-token"), err)
	}
	if err := s.joinNodes(ctx, api); err != nil {
		return err
	}
	if s.opts.Demo {
		keys, err := demo.Apply(ctx, api, strings.TrimSuffix(s.file.UpstreamStatsURL, "/stats"), s.dir.join("demo-keys.json"))
		if err != nil {
			return fmt.Errorf("make the demo: %w", err)
		}
		s.file.Demo = &readyDemo{Keys: keys}
		s.console.step("demo", "catalog, customers, licences and keys are there")
	}
	for _, n := range s.nodes {
		if err := s.await(ctx, n.child); err != nil {
			return err
		}
	}
	if err := api.AwaitEnforced(ctx, len(s.nodes), readyWithin); err != nil {
		return err
	}
	s.console.step("fleet", "%d of %d nodes enforce the newest rules", len(s.nodes), len(s.nodes))
	return nil
}

// claim takes the addresses that the user named, before anything is started.
func (s *system) claim(ctx context.Context) error {
	if path := s.opts.ReadyFile; path != "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the ready file %s cannot be replaced: %w: choose another by --ready-file", path, bare(err))
		}
		// Found out now rather than at the end.
		if st, err := os.Stat(filepath.Dir(path)); err != nil || !st.IsDir() {
			return fmt.Errorf("the ready file %s cannot be written, there is no such folder: choose another by --ready-file", path)
		}
	}
	var err error
	if s.shared, err = listenShared(ctx, s.opts.ProxyAddr, s.opts.Nodes); err != nil {
		return err
	}
	s.file.ProxyURL = urlOf(s.shared.addr)
	for i := range s.opts.ControlPlanes {
		p := &plane{name: fmt.Sprintf("cp-%d", i+1)}
		if p.admin, err = s.ports.take(); err != nil {
			return err
		}
		if p.ops, err = s.ports.take(); err != nil {
			return err
		}
		s.planes = append(s.planes, p)
	}
	return s.forward(ctx)
}

// natsHosts is whom NATS's certificate is for, beside this machine by its own names.
func (s *system) natsHosts() []string {
	if s.opts.NATSAddr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(s.opts.NATSAddr)
	if err != nil {
		return nil // Options were validated.
	}
	return []string{host}
}

// writeContext tells the CLI where the server is.
func (s *system) writeContext() error {
	raw, err := json.Marshal(struct {
		Server string `json:"server"`
		Token  string `json:"token"`
	}{s.file.AdminURL, s.file.AdminToken})
	if err != nil {
		return fmt.Errorf("encode the CLI's context: %w", err)
	}
	return replaceFile(s.dir.join("context.json"), append(raw, '\n'))
}

// log is where a child's output goes. The last run's stays beside it.
func (s *system) log(name string) (string, error) {
	path := s.dir.join("logs", name+".log")
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("put the last log of %s aside: %w", name, err)
	}
	return path, nil
}

// spec is a child that is this program's own subcommand.
func (s *system) spec(name string, env []string, args ...string) (process.Spec, error) {
	log, err := s.log(name)
	if err != nil {
		return process.Spec{}, err
	}
	return process.Spec{
		Name: name, Path: s.opts.Executable, Args: args, Env: slices.Concat(env, s.env), Dir: s.dir.path, LogPath: log,
		Stop: []syscall.Signal{syscall.SIGTERM}, Orphan: syscall.SIGKILL, Deaths: 2,
	}, nil
}

// await returns when the child is ready. Its error names the log and shows its end.
func (s *system) await(ctx context.Context, c *process.Child) error {
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := c.AwaitReady(ctx); err != nil {
		return fmt.Errorf("%s does not get ready: %w\n%s", c.Name(), err, endOf(c.LogPath()))
	}
	s.console.step(c.Name(), "ready, pid %d", c.PID())
	return nil
}

const (
	logLines = 10
	logBytes = 8 << 10
)

// endOf names a log and shows its last lines.
func endOf(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("its log %s cannot be read: %v", path, bare(err))
	}
	raw = raw[max(0, len(raw)-logBytes):]
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	lines = lines[max(0, len(lines)-logLines):]
	return "the end of its log " + path + ":\n  " + strings.Join(lines, "\n  ")
}
