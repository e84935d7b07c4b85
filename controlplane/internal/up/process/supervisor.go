package process

import (
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// The delay before a child that died is started again: it doubles from the first to the last while the child keeps
// dying within settled of its start.
const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = 2 * time.Second
	settled    = 10 * time.Second
)

// Config says how children are kept.
type Config struct {
	// Respawn: a child that dies is started again. Otherwise it stays dead.
	Respawn bool
	// Changed, if set, is called after each start and each unwanted death of a child. It must not block.
	Changed func(Event)
	Logger  *slog.Logger
}

// Event is a start or a death.
type Event struct {
	Name string
	// PID of the process that started; 0 where one died.
	PID int
	// Restart: it is not the child's first start.
	Restart bool
	// Cause of a death.
	Cause error
	// Final: a death after which the child is not started again.
	Final bool
}

// Supervisor starts children. Close it after all of them were stopped.
type Supervisor struct {
	cfg    Config
	starts chan func()
	close  sync.Once

	mu       sync.Mutex
	children []*Child
}

// NewSupervisor returns a supervisor without children.
func NewSupervisor(cfg Config) *Supervisor {
	s := &Supervisor{cfg: cfg, starts: make(chan func())}
	go func() {
		// Never unlocked: when this thread ends, the kernel sends children their Orphan signal.
		runtime.LockOSThread()
		for start := range s.starts {
			start()
		}
	}()
	return s
}

// Close ends the supervisor's thread, and with it what children there still are.
func (s *Supervisor) Close() { s.close.Do(func() { close(s.starts) }) }

// Start runs spec's process and keeps it running. It returns at once; see Child.AwaitReady.
func (s *Supervisor) Start(spec Spec) *Child {
	c := &Child{
		spec: spec, supervisor: s, logger: s.cfg.Logger.With("child", spec.Name),
		stop: make(chan struct{}), done: make(chan struct{}), died: make(chan struct{}, 1),
	}
	s.mu.Lock()
	s.children = append(s.children, c)
	s.mu.Unlock()
	go c.keep()
	return c
}

// KillAll kills every child at once. Stop and Kill of each still return when it is gone.
func (s *Supervisor) KillAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.children {
		go c.Kill() //nolint:errcheck // Whoever stops the child is told.
	}
}

// launch starts cmd on the supervisor's thread.
func (s *Supervisor) launch(cmd *exec.Cmd) error {
	failed := make(chan error)
	s.starts <- func() { failed <- cmd.Start() }
	if err := <-failed; err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}
