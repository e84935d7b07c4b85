package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockWait bounds how long a former server may take to end.
const lockWait = 15 * time.Second

// Unlock sees to the lock file that a former server left behind: it waits for that server's end where it still runs,
// and removes the file where its process id is another process's by now, which would keep the next server from starting.
// The caller holds the data dir, so no server of this cluster is meant to run.
func (c *Cluster) Unlock(ctx context.Context) error {
	path := filepath.Join(c.data(), "postmaster.pid")
	deadline := time.Now().Add(lockWait)
	for {
		pid, err := lockedBy(path)
		if err != nil || pid == 0 {
			return err
		}
		if !c.serves(pid) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the lock of a Postgres that is gone: %w", err)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a Postgres (pid %d) runs on this data dir already: end it with `kill -INT %d`, or choose another --data-dir", pid, pid)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lockedBy is the process named by the lock file; 0 where there is none.
func lockedBy(path string) (int, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read Postgres's lock: %w", err)
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return 0, nil // Cut short by a crash: the server takes care of it.
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "-"))
	if err != nil {
		return 0, nil
	}
	return pid, nil
}

// serves reports whether the process is this cluster's server, which works in its data folder. Where that cannot be told, an existing process
// is taken for it.
func (c *Cluster) serves(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		_, err := os.Stat("/proc/self/cwd")
		// On Linux a process that hides its folder is another user's, so not ours, or is gone.
		return err != nil
	}
	data, err := filepath.EvalSymlinks(c.data())
	return err != nil || cwd == data
}
