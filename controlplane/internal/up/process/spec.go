package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Spec is a process to run.
type Spec struct {
	Name string
	Path string
	Args []string
	// Env is the whole environment.
	Env []string
	Dir string
	// LogPath is appended to with what the process writes.
	LogPath string
	// Files become descriptors 3 and up.
	Files []*os.File
	// Credential, if set, is the user that the process runs as.
	Credential *syscall.Credential
	// Stop are the signals that ask the process to end, in order; the time given to Child.Stop is shared out evenly among
	// them. SIGKILL follows by itself.
	Stop []syscall.Signal
	// Orphan is sent by the kernel when the supervisor is gone (on Linux).
	Orphan syscall.Signal
	// Ready probes the process once.
	Ready func(context.Context) error
	// Deaths is how often the process may die before it is first ready; AwaitReady fails then.
	Deaths int
}

// command opens the log and describes the process. The caller closes the log once the process was started.
func (s *Spec) command() (*exec.Cmd, *os.File, error) {
	log, err := os.OpenFile(s.LogPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log of %s: %w", s.Name, err)
	}
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env, cmd.Dir = s.Env, s.Dir
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, s.Files
	cmd.SysProcAttr = attributes(s.Credential, s.Orphan)
	return cmd, log, nil
}

// Run runs a process once, to its end, and returns an error where that is not a success. When ctx ends first, the process is
// killed.
func (s *Supervisor) Run(ctx context.Context, spec Spec) error {
	cmd, log, err := spec.command()
	if err != nil {
		return err
	}
	defer log.Close()
	if err := s.launch(cmd); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(ctx.Err(), cmd.Process.Kill(), <-ended)
	}
}

// probeEvery is the time between two probes of a process that is not ready yet.
const probeEvery = 25 * time.Millisecond
