package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// syncEvery bounds what a power cut takes.
	syncEvery = 5 * time.Millisecond
	cutEvery  = time.Second
	// probeEvery is how often a log that has failed is tried.
	probeEvery = 500 * time.Millisecond
	probeBytes = 64 << 10
)

func (w *writer) wakeSync() {
	select {
	case w.toSync <- struct{}{}:
	default:
	}
}

// keepSynced syncs what was written, in groups, and probes a log that has failed.
func (w *writer) keepSynced(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.toSync:
		}
		wait := syncEvery
		if !w.syncOnce() {
			wait = probeEvery
		}
		pause.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		if wait == probeEvery {
			w.probe()
		}
	}
}

// syncOnce makes durable what was written so far. False where the log has failed.
func (w *writer) syncOnce() bool {
	w.mu.Lock()
	log, newName, failed := w.log, w.newName, w.failed != nil
	w.dirty, w.newName = false, false
	w.mu.Unlock()
	if failed {
		return false
	}
	if log == nil {
		return true
	}
	err := log.sync()
	if err == nil && newName {
		err = syncDir(w.dir.path)
	}
	if err == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.fail("sync", err) // Logged there; it is the next records that get it.
	return false
}

// probe tries to write and sync, and if that works goes on in a new log file: after a failed sync
// the pages of the old one are not to be trusted to be written by a later one, and sealing writes them anew.
func (w *writer) probe() {
	err := tryDisk(filepath.Join(w.dir.path, "probe"+tempEnd))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.log == nil || w.failed == nil {
		return
	}
	if err == nil {
		err = w.cut()
	}
	if err != nil {
		w.wakeSync()
		return
	}
	w.failed = nil
	w.logger.Info("the log can be written again", "log_file", w.log.number)
	w.wakeSync()
}

func tryDisk(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	if err == nil {
		err = syncData(f)
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}

func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// keepCutting cuts each second. caughtUp reports whether all that was cut has its receipt.
func (w *writer) keepCutting(ctx context.Context, caughtUp func() bool) {
	t := time.NewTicker(cutEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.tick(caughtUp())
		}
	}
}
