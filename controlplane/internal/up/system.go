package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tollgate/controlplane/internal/natsserver"
	"tollgate/controlplane/internal/trust"
	"tollgate/controlplane/internal/up/process"
)

// system is what one `up` runs.
type system struct {
	opts       Options
	dir        *dataDir
	console    *console
	supervisor *process.Supervisor
	ports      ports
	shared     *sharedSockets
	forwarder  *forwarder
	env        []string
	// authority is the fleet's root, identity NATS's operator and account.
	authority *trust.Authority
	identity  *natsserver.Identity

	postgres, nats, upstream *process.Child // postgres is nil where the database is not ours.
	planes                   []*plane
	nodes                    []*node
	file                     readyFile

	// ready: the ready file is there, and kept up to date by a goroutine that refresh wakes.
	ready   atomic.Bool
	refresh chan struct{}
	all     sync.WaitGroup
}

type plane struct {
	name       string
	admin, ops int
	child      *process.Child
}

type node struct {
	name       string
	index      int // Of its shared socket.
	proxy, ops int
	child      *process.Child // Nil until it has joined, or may.
}

// Run starts everything, and stops it when ctx ends. What is of use to people afterwards goes to out, progress to errOut. A second SIGINT or
// SIGTERM kills what has not stopped yet.
func Run(ctx context.Context, opts Options, out, errOut io.Writer) error {
	if err := opts.validate(); err != nil {
		return err
	}
	dir, err := openDataDir(opts.DataDir)
	if err != nil {
		return err
	}
	s := &system{opts: opts, dir: dir, console: newConsole(errOut), env: childEnvironment(), refresh: make(chan struct{}, 1)}
	s.supervisor = process.NewSupervisor(process.Config{
		Respawn: opts.Respawn, Changed: s.changed, Logger: slog.New(slog.NewTextHandler(errOut, nil)),
	})
	defer s.supervisor.Close()
	done := make(chan struct{})
	defer close(done)
	go s.killOnSecondSignal(done)

	err = s.start(ctx)
	if err == nil {
		err = s.announce(ctx, out)
	}
	if err == nil {
		<-ctx.Done()
		s.console.step("stopping", "nodes first; once more to stop at once")
	} else if ctx.Err() != nil {
		err = errors.New("interrupted before everything was ready")
	}
	err = errors.Join(err, s.stop())
	if err == nil {
		s.console.step("stopped", "data stays in %s", s.dir.path)
	}
	return err
}

// changed is told of every start and death.
func (s *system) changed(e process.Event) {
	switch {
	case e.Final:
		s.console.trouble(e.Name, "died (%v) and stays dead, because of --no-respawn", e.Cause)
	case e.Cause != nil:
		s.console.trouble(e.Name, "died: %v", e.Cause)
	case e.Restart:
		s.console.step(e.Name, "started again, pid %d", e.PID)
	}
	select {
	case s.refresh <- struct{}{}:
	default: // The goroutine is awake, and will read the newest.
	}
}

// announce writes the ready file, keeps it, and tells people what to do next.
func (s *system) announce(ctx context.Context, out io.Writer) error {
	if s.opts.ReadyFile != "" {
		if err := s.describe().write(s.opts.ReadyFile); err != nil {
			return err
		}
		s.ready.Store(true)
		s.all.Go(func() { s.keepReadyFile(ctx) })
	}
	s.console.step("ready", "%d processes", len(s.children()))
	return s.printHelp(out)
}

func (s *system) keepReadyFile(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.refresh:
		}
		if err := s.describe().write(s.opts.ReadyFile); err != nil {
			s.console.trouble("ready file", "%v", err)
		}
	}
}

// describe is the ready file's content as of now.
func (s *system) describe() *readyFile {
	f := s.file
	f.Nodes, f.ControlPlanes, f.Processes = nil, nil, nil
	for _, n := range s.nodes {
		f.Nodes = append(f.Nodes, readyNode{Name: n.name, ProxyURL: urlOf(local(n.proxy)), OpsURL: urlOf(local(n.ops)), PID: n.child.PID()})
	}
	for _, p := range s.planes {
		f.ControlPlanes = append(f.ControlPlanes, readyPlane{Name: p.name, AdminURL: urlOf(local(p.admin)), OpsURL: urlOf(local(p.ops)), PID: p.child.PID()})
	}
	for _, c := range []*process.Child{s.postgres, s.nats, s.upstream} {
		if c != nil {
			f.Processes = append(f.Processes, readyProcess{Name: c.Name(), PID: c.PID()})
		}
	}
	return &f
}

// children lists what was started, in the order of starting.
func (s *system) children() []*process.Child {
	var all []*process.Child
	for _, c := range []*process.Child{s.postgres, s.nats, s.upstream} {
		if c != nil {
			all = append(all, c)
		}
	}
	for _, p := range s.planes {
		all = append(all, p.child)
	}
	for _, n := range s.nodes {
		if n.child != nil {
			all = append(all, n.child)
		}
	}
	return all
}

// killOnSecondSignal sees all signals beside the one that ended Run's context.
func (s *system) killOnSecondSignal(done <-chan struct{}) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	for n := 0; ; {
		select {
		case <-done:
			return
		case <-signals:
			if n++; n >= 2 {
				s.supervisor.KillAll()
			}
		}
	}
}

// childEnvironment is this process's, without what configures Tollgate or steers Postgres's clients: children get
// what they need told.
func childEnvironment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "TOLLGATE_") && !strings.HasPrefix(kv, "PG") {
			env = append(env, kv)
		}
	}
	return env
}

// How long each group of children may take to stop; all together less than 30 s.
const (
	nodesWithin    = 10 * time.Second
	planesWithin   = 6 * time.Second
	upstreamWithin = time.Second
	natsWithin     = 4 * time.Second
	postgresWithin = 6 * time.Second
)

// stop ends everything, in the order in which it is needed: nodes drain while the rest still runs and is kept running. It may be called
// after a start that failed at any point.
func (s *system) stop() error {
	var errs []error
	if s.shared != nil {
		// Nobody connects to a node that is on its way out.
		errs = append(errs, s.shared.Close())
	}
	var nodes, planes []*process.Child
	for _, n := range s.nodes {
		nodes = append(nodes, n.child)
	}
	for _, p := range s.planes {
		planes = append(planes, p.child)
	}
	errs = append(errs, stopAll(nodesWithin, nodes...))
	if s.forwarder != nil {
		errs = append(errs, s.forwarder.Close())
	}
	errs = append(errs,
		stopAll(planesWithin, planes...),
		stopAll(upstreamWithin, s.upstream),
		stopAll(natsWithin, s.nats),
		stopAll(postgresWithin, s.postgres),
		s.ports.Close())
	s.all.Wait()
	if s.ready.Load() {
		if err := os.Remove(s.opts.ReadyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove the ready file: %w", err))
		}
	}
	return errors.Join(append(errs, s.dir.Close())...)
}

func stopAll(within time.Duration, children ...*process.Child) error {
	errs := make([]error, len(children))
	var all sync.WaitGroup
	for i, c := range children {
		if c != nil {
			all.Go(func() { errs[i] = c.Stop(within) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}
