package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Child is a process that is kept running.
type Child struct {
	spec       Spec
	supervisor *Supervisor
	logger     *slog.Logger

	stop chan struct{} // Closed by Stop and Kill: start no more.
	done chan struct{} // Closed when the process is gone for good.
	died chan struct{} // Told of deaths, without waiting.

	mu       sync.Mutex
	cmd      *exec.Cmd // Running now; nil if none is.
	pid      int       // Of the newest process, be it alive or not.
	deaths   int
	stopping bool
}

// Name is the Spec's.
func (c *Child) Name() string { return c.spec.Name }

// LogPath is the Spec's.
func (c *Child) LogPath() string { return c.spec.LogPath }

// PID is the process's id, or that of the last one where none is running; 0 before the first.
func (c *Child) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pid
}

func (c *Child) keep() {
	defer close(c.done)
	delay := firstDelay
	for n := 0; ; n++ {
		started := time.Now()
		cause := c.once(n > 0)
		if c.ended(cause) {
			return
		}
		if time.Since(started) >= settled {
			delay = firstDelay
		}
		select {
		case <-c.stop:
			return
		case <-time.After(delay):
		}
		delay = min(2*delay, lastDelay)
	}
}

// once starts the process and waits for its end. The cause is nil where the child is being stopped.
func (c *Child) once(restart bool) error {
	cmd, err := c.launch()
	if err != nil || cmd == nil {
		return err
	}
	c.tell(Event{PID: cmd.Process.Pid, Restart: restart})
	err = cmd.Wait()
	c.mu.Lock()
	c.cmd = nil
	c.mu.Unlock()
	if err == nil {
		return errors.New("it ended by itself")
	}
	return err
}

// launch holds the lock, so that Stop finds either no process or one that it can signal.
func (c *Child) launch() (*exec.Cmd, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, nil
	}
	cmd, log, err := c.spec.command()
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if err := c.supervisor.launch(cmd); err != nil {
		return nil, err
	}
	c.cmd, c.pid = cmd, cmd.Process.Pid
	return cmd, nil
}

// ended reports whether this was the last of the child.
func (c *Child) ended(cause error) bool {
	c.mu.Lock()
	stopping := c.stopping
	c.deaths++
	c.mu.Unlock()
	if stopping {
		return true
	}
	select {
	case c.died <- struct{}{}:
	default:
	}
	final := !c.supervisor.cfg.Respawn
	c.tell(Event{Cause: cause, Final: final})
	return final
}

func (c *Child) tell(e Event) {
	if c.supervisor.cfg.Changed != nil {
		e.Name = c.spec.Name
		c.supervisor.cfg.Changed(e)
	}
}

// ErrDied says that a process died before it was ready.
var ErrDied = errors.New("it died before it was ready")

// AwaitReady returns when the child's probe succeeds. It fails with ErrDied once the process died too often before, and with the last
// probe's error when ctx ends.
func (c *Child) AwaitReady(ctx context.Context) error {
	var last error
	for {
		if last = c.spec.Ready(ctx); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		case <-c.done:
			return ErrDied
		case <-c.died:
			if c.tooOften() {
				return ErrDied
			}
		case <-time.After(probeEvery):
		}
	}
}

func (c *Child) tooOften() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deaths > c.spec.Deaths
}

// Stop asks the process to end, within the time given, and kills it and its descendants after that. It returns when the process is gone,
// and may be called more than once.
func (c *Child) Stop(within time.Duration) error {
	c.end()
	share := within / time.Duration(max(1, len(c.spec.Stop)))
	for _, sig := range c.spec.Stop {
		c.signal(sig)
		// One that is suspended would not act on it.
		c.signal(syscall.SIGCONT)
		select {
		case <-c.done:
			return nil
		case <-time.After(share):
		}
	}
	return c.Kill()
}

// killWait is how long the kernel may take to end what was killed.
const killWait = 2 * time.Second

// Kill ends the process and its descendants at once, and returns when it is gone.
func (c *Child) Kill() error {
	c.end()
	c.mu.Lock()
	cmd := c.cmd
	c.mu.Unlock()
	if cmd != nil {
		family := descendants(cmd.Process.Pid)
		c.signal(syscall.SIGKILL)
		for _, pid := range family {
			// Most are gone already with their parent.
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(killWait):
		return fmt.Errorf("%s (pid %d) cannot be killed", c.spec.Name, c.PID())
	}
}

// end sees that no further process is started.
func (c *Child) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopping {
		c.stopping = true
		close(c.stop)
	}
}

func (c *Child) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return
	}
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.logger.Warn("a signal did not arrive", "signal", sig, "error", err)
	}
}
